"""Refuses a URDF whose links are no tree, or whose numbers no engine takes; every message names the element."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree.ElementTree import Element

from isthmus.numerals import decimal
from isthmus.robot_import.elements import MOVING

__all__ = ["check_numbers", "check_once", "check_tree", "floats", "positive"]

_NUMBERS = {  # element → its attributes that are numbers
    **{"origin": "xyz rpy", "axis": "xyz", "mimic": "multiplier offset", "dynamics": "damping friction"},
    **{"mass": "value", "inertia": "ixx iyy izz ixy ixz iyz", "limit": "lower upper velocity effort"},
}
_OFTEN = ("visual", "collision")  # what a link may have more than once
_COUNTS = {"xyz": 3, "rpy": 3}  # numbers in an attribute; 1 in others


def check_tree(root: Element, urdf: Path) -> None:
    """Whether names are unique and all links are one tree.

    Raises:
        ValueError: they are not; or a joint is of a type that cannot be simulated.
    """
    for tag in ("link", "joint"):
        names = [element.get("name") or "" for element in root.findall(tag)]
        if bad := [name for name in names if not name or names.count(name) > 1]:
            raise ValueError(f"{urdf}: every {tag} needs a name of its own, got {bad[0]!r} {'twice' if bad[0] else ''}".rstrip())
    links = {link.attrib["name"] for link in root.findall("link")}
    parents: dict[str, str] = {}
    for joint in root.findall("joint"):
        name = joint.attrib["name"]
        if joint.get("type") not in (*MOVING, "fixed", "floating"):
            raise ValueError(f"{urdf}: joint {name!r} is {joint.get('type')!r}; known: {', '.join((*MOVING, 'fixed', 'floating'))}")
        for end in ("parent", "child"):
            element = joint.find(end)
            if element is None or element.get("link") not in links:
                raise ValueError(f"{urdf}: the {end} of joint {name!r} is not a link of the file")
        child = joint.find("child").attrib["link"]  # type: ignore[union-attr] # just checked
        if child in parents:
            raise ValueError(f"{urdf}: link {child!r} is the child of two joints, {parents[child]!r} and {name!r}; loops are not supported")
        parents[child] = name
    if len(roots := sorted(links - set(parents))) != 1:
        raise ValueError(f"{urdf}: a robot has exactly one root link, found {', '.join(roots) or 'none'}")


def check_once(root: Element, urdf: Path) -> None:
    """Whether what an element has once is there once; readers take the first one, the last one, or none.

    Raises:
        ValueError: it is there more often.
    """
    for part in [*root.findall("link"), *root.findall("joint")]:
        for element in part.iter():
            names = [child.tag for child in element]
            once = [name for name in names if name not in _OFTEN and names.count(name) > 1]
            if once:
                where = "" if element is part else f"<{element.tag}> of "
                raise ValueError(f"{urdf}: {where}{part.tag} {part.get('name')!r} has {names.count(once[0])} <{once[0]}>, it takes one")


def check_numbers(root: Element, urdf: Path) -> None:
    """Whether numbers are numbers; only limits may be infinite, and friction is not negative.

    Raises:
        ValueError: one is not.
    """
    for part in [*root.findall("link"), *root.findall("joint")]:
        for element in part.iter():
            for word in _NUMBERS.get(element.tag, "").split():
                if (given := element.get(word)) is None:
                    continue
                values, count = floats(given), _COUNTS.get(word, 1)
                finite, least = element.tag != "limit", 0.0 if element.tag == "dynamics" else -math.inf
                if len(values) != count or (finite and not all(math.isfinite(value) and value >= least for value in values)):
                    right = f"{'a' if count == 1 else count} {'finite ' if finite else ''}number{'s' if count > 1 else ''}"
                    right += " >= 0" if least == 0 else ""
                    raise ValueError(f"{urdf}: {part.tag} {part.get('name')!r}: {word} of <{element.tag}> must be {right}, got {given!r}")


def positive(text: str, count: int) -> bool:
    """Whether a text is so many finite numbers > 0."""
    values = floats(text)
    return len(values) == count and all(0 < value < math.inf for value in values)


def floats(text: str) -> list[float]:
    """The numbers of a text, which may be infinite; none if a word of it is no number."""
    try:
        return [decimal(word) for word in text.split()]
    except ValueError:
        return []
