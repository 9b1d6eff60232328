"""Reads a URDF and repairs what the core and the engines would read differently.

A mimic joint moves in one engine and not in another, a link without mass weighs 1 kg in PyBullet and is an error in MuJoCo, and a joint without
limits is free in one and locked in the other. After the repair all of them see the same tree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from isthmus.robot_import.elements import MOVING, ends, mass_of, number, origin_attributes, turn, vector
from isthmus.robot_import.inertia import repair_inertias
from isthmus.strict import suggest

__all__ = ["DescribedJoint", "Description", "is_mjcf", "read_description", "repair"]

DEFAULTS = {"revolute": math.pi, "prismatic": 0.1, "velocity": 1.0, "effort": 10.0}  # rad, m, rad/s or m/s, N·m or N
LIMB = 2  # joints that make a branch of the tree an arm or a leg


@dataclass(frozen=True, slots=True)
class DescribedJoint:
    """A joint that moves.

    Attributes:
        name: as in the URDF.
        type: "revolute", "continuous" or "prismatic".
        position: limits, rad or m.
        velocity: largest speed, rad/s or m/s.
        effort: largest effort, N·m or N.
        missing: which of position, velocity and effort the file did not say.
    """

    name: str
    type: str
    position: tuple[float, float]
    velocity: float
    effort: float
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a repaired URDF says.

    Attributes:
        joints: the joints that move, in the order of the file.
        root: name of the root link.
        tool: the last link of the longest chain: a guess.
        floating: whether the root link floats.
    """

    joints: tuple[DescribedJoint, ...]
    root: str
    tool: str
    floating: bool


def is_mjcf(file: Path) -> bool:
    """Whether a file is MuJoCo's XML rather than a URDF.

    Raises:
        ValueError: it is not XML.
    """
    return _parse(file).tag == "mujoco"


def read_description(urdf: Path) -> Element:
    """The `<robot>` element of a URDF.

    Raises:
        ValueError: not XML, not a URDF, or a xacro file.
    """
    root = _parse(urdf)
    if any(element.tag.startswith("{") and "xacro" in element.tag for element in root.iter()):
        raise ValueError(f"{urdf} contains xacro macros; expand them first: xacro {urdf} > {urdf.stem.split('.')[0]}.urdf")
    if root.tag != "robot":
        raise ValueError(f"{urdf} is not a URDF: its root element is <{root.tag}>, not <robot>")
    return root


def repair(root: Element, urdf: Path, home: Mapping[str, float], notes: list[str]) -> Description:
    """Change the tree in place so that all readers agree on it; `notes` gains a line per change.

    Raises:
        ValueError: the links are not one tree, or a joint is of a type that cannot be simulated.
    """
    _check(root, urdf)
    floating = _free_root(root, urdf, notes)
    moving = [joint for joint in root.findall("joint") if joint.get("type") in MOVING]
    described = tuple(_limits(joint) for joint in moving if joint.find("mimic") is None)
    homes = {joint.name: float(np.clip(home.get(joint.name, 0.0), *joint.position)) for joint in described}
    for joint in moving:
        if (mimic := joint.find("mimic")) is not None:
            name, leader = joint.attrib["name"], mimic.get("joint", "")
            if leader not in homes:
                raise ValueError(
                    f"{urdf}: joint {name!r} mimics {leader!r}, which is no joint that moves by itself; {suggest(leader, homes)}"
                )
            value = number(mimic, "multiplier", 1.0) * homes[leader] + number(mimic, "offset", 0.0)
            _fix(joint, value)
            notes.append(f"joint {name} mimics {leader}: coupled joints are not simulated, it is fixed at {value:g}")
    if not described:
        raise ValueError(f"{urdf}: no joint moves; a robot has at least one revolute, continuous or prismatic joint")
    _clean(root, notes)
    repair_inertias(root, notes)
    base, tool = _ends_of_tree(root)
    return Description(described, base, tool, floating or _looks_floating(root, base, notes))


def _parse(file: Path) -> Element:
    try:
        return ElementTree.parse(file).getroot()  # noqa: S314 - a local file that the user names
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not XML: {error}") from None


def _check(root: Element, urdf: Path) -> None:
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


def _clean(root: Element, notes: list[str]) -> None:
    """Drop axes of joints that do not move, which may be zero, and say which joints bring friction of their own."""
    told: dict[str, list[str]] = {}
    for joint in root.findall("joint"):
        axis, dynamics = joint.find("axis"), joint.find("dynamics")
        if joint.get("type") == "fixed":
            if axis is not None:
                joint.remove(axis)
        elif not vector(axis, "xyz", "1 0 0").any():
            raise ValueError(f"the axis of joint {joint.attrib['name']!r} is zero")
        elif dynamics is not None:
            for word in ("damping", "friction"):
                if value := number(dynamics, word, 0.0):
                    told.setdefault(f"{word} {value:g}", []).append(joint.attrib["name"])
    notes += [f"{what} stays in the URDF, of {', '.join(names)}" for what, names in told.items()]


def _free_root(root: Element, urdf: Path, notes: list[str]) -> bool:
    """Replace a floating joint below the root by a floating base."""
    tied = {joint: ends(joint) for joint in root.findall("joint")}
    children = {child for _, child in tied.values()}
    free = [joint for joint in tied if joint.get("type") == "floating"]
    if not free:
        return False
    parent, child = tied[free[0]]
    siblings = [joint for joint in tied if tied[joint][0] == parent]
    if len(free) > 1 or parent in children or len(siblings) > 1:
        raise ValueError(f"{urdf}: floating joint {free[-1].attrib['name']!r} is not the one between the world and the robot")
    root.remove(free[0])
    root.remove(next(link for link in root.findall("link") if link.attrib["name"] == parent))
    notes.append(f"floating joint {free[0].attrib['name']} removed: {child} is a floating base")
    return True


def _ends_of_tree(root: Element) -> tuple[str, str]:
    """The root link, and the last link of the longest chain; of several the one that is a frame without mass, then the first."""
    parents = {child: parent for parent, child in map(ends, root.findall("joint"))}
    depths: dict[str, int] = {}
    for link in root.findall("link"):
        name, depth = link.attrib["name"], 0
        above = name
        while above in parents:
            above, depth = parents[above], depth + 1
        depths[name] = depth
    deepest = [link for link in root.findall("link") if depths[link.attrib["name"]] == max(depths.values())]
    tool = next((link for link in deepest if not mass_of(link)), deepest[0])
    return next(name for name, depth in depths.items() if depth == 0), tool.attrib["name"]


def _looks_floating(root: Element, base: str, notes: list[str]) -> bool:
    """Whether the root link has mass and carries several limbs, as bodies of walking robots do."""
    below: dict[str, list[Element]] = {}
    for joint in root.findall("joint"):
        below.setdefault(ends(joint)[0], []).append(joint)

    def moving(joint: Element) -> int:
        return (joint.get("type") in MOVING) + max((moving(other) for other in below.get(ends(joint)[1], [])), default=0)

    limbs = sum(moving(joint) >= LIMB for joint in below.get(base, []))
    mass = next(mass_of(link) for link in root.findall("link") if link.attrib["name"] == base)
    if floating := mass > 0 and limbs > 1:
        notes.append(
            f"base guessed floating: root link {base} has mass and carries {limbs} limbs; for a fixed one remove base: and set base_frame: {base}"
        )
    return floating


def _fix(joint: Element, value: float) -> None:
    """Make a joint fixed at `value`."""
    position, (roll, pitch, yaw) = vector(joint.find("origin"), "xyz"), vector(joint.find("origin"), "rpy")
    rotation = turn(np.eye(3)[2], yaw) @ turn(np.eye(3)[1], pitch) @ turn(np.eye(3)[0], roll)
    axis = vector(joint.find("axis"), "xyz", "1 0 0")
    axis = axis / np.sqrt((axis**2).sum())
    if joint.get("type") == "prismatic":
        position = position + rotation @ axis * value
    else:
        rotation = rotation @ turn(axis, value)
    joint.set("type", "fixed")
    for tag in ("origin", "mimic", "limit", "axis", "dynamics", "safety_controller"):
        if (element := joint.find(tag)) is not None:
            joint.remove(element)
    SubElement(joint, "origin", origin_attributes(position, rotation))


def _limits(joint: Element) -> DescribedJoint:
    """Read the limits of a moving joint; what is missing is written into the URDF too, so that the engines enforce it."""
    name, kind = joint.attrib["name"], joint.attrib["type"]
    limit = joint.find("limit")
    if limit is None:
        limit = SubElement(joint, "limit")
    low, high = number(limit, "lower", 0.0), number(limit, "upper", 0.0)
    missing = []
    if kind == "continuous":
        low, high = -math.inf, math.inf
    elif not low < high:
        missing.append("position")
        low, high = -DEFAULTS[kind], DEFAULTS[kind]
        limit.attrib |= {"lower": f"{low:.12g}", "upper": f"{high:.12g}"}
    values = {}
    for word in ("velocity", "effort"):
        values[word] = number(limit, word, 0.0)
        if not (values[word] > 0 and math.isfinite(values[word])):
            missing.append(word)
            values[word] = DEFAULTS[word]
            limit.set(word, f"{values[word]:g}")
    return DescribedJoint(name, kind, (low, high), values["velocity"], values["effort"], tuple(missing))
