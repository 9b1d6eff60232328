"""Reads a URDF and repairs what the core and the engines would read differently.

A mimic joint moves in one engine and not in another, a link without mass weighs 1 kg in PyBullet and is an error in MuJoCo, a joint without limits
is free in one and locked in the other, and PyBullet moves further along a longer axis. After the repair all of them see the same tree.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from isthmus.numerals import number_text
from isthmus.robot_import.base import guess_base
from isthmus.robot_import.checks import check_numbers, check_once, check_tree, floats, positive
from isthmus.robot_import.elements import MOVING, ends, mass_of, number, origin, origin_attributes, turn, vector, vector_text
from isthmus.robot_import.inertia import repair_inertias
from isthmus.strict import suggest
from isthmus.urdf import unit

__all__ = ["DescribedJoint", "Description", "is_mjcf", "read_description", "repair"]

DEFAULTS = {"revolute": math.pi, "prismatic": 0.1, "velocity": 1.0, "effort": 10.0}  # rad, m, rad/s or m/s, N·m or N
DEGREES = 4 * math.pi, 720.0  # rad, between which the limits of a revolute joint look like degrees
ROUNDED = 1e-3  # an axis that differs by less from its direction was only rounded
KEPT = {
    "robot": ("link", "joint", "material"),
    "link": ("inertial", "visual", "collision"),
    "joint": ("origin", "parent", "child", "axis", "limit", "dynamics", "mimic"),
    "material": ("color",),
}
SHAPES = {"box": "size", "sphere": "radius", "cylinder": "radius length", "capsule": "radius length", "mesh": ""}  # and their sizes


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
        tool: the last link of the longest chain with a joint that moves: a guess.
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
    macros = any(element.tag.startswith("{") and "xacro" in element.tag for element in root.iter())
    read = [element for part in root if part.tag in ("link", "joint") for element in part.iter()]
    if macros or any(mark in value for element in read for value in element.attrib.values() for mark in ("${", "$(")):
        target = urdf.with_name(f"{urdf.name.split('.')[0]}.expanded.urdf")
        number = 2
        while target.exists():  # what is advised must not destroy a file, least of all this one
            target, number = urdf.with_name(f"{urdf.name.split('.')[0]}.expanded_{number}.urdf"), number + 1
        source, expanded = (shlex.quote(f"./{file}" if str(file).startswith("-") else str(file)) for file in (urdf, target))
        raise ValueError(f"{urdf} contains xacro macros; expand them first: xacro {source} -o {expanded}, then import {expanded}")
    if root.tag != "robot":
        raise ValueError(f"{urdf} is not a URDF: its root element is <{root.tag}>, not <robot>")
    return root


def repair(root: Element, urdf: Path, home: Mapping[str, float], notes: list[str]) -> Description:
    """Change the tree in place so that all readers agree on it; `notes` gains a line per change.

    Raises:
        ValueError: the links are not one tree, or a joint is of a type that cannot be simulated.
    """
    check_tree(root, urdf)
    check_numbers(root, urdf)
    _flush(root)
    _drop(root, notes)
    check_once(root, urdf)
    _straighten(root, urdf, notes)
    floating = _free_root(root, urdf, notes)
    moving = [joint for joint in root.findall("joint") if joint.get("type") in MOVING]
    described = tuple(_limits(joint, notes) for joint in moving if joint.find("mimic") is None)
    homes = {joint.name: float(np.clip(home.get(joint.name, 0.0), *joint.position)) for joint in described}
    for joint in described:
        if (said := home.get(joint.name, 0.0)) != homes[joint.name] and joint.name in home:
            low, high = map(number_text, joint.position)
            notes.append(f"joint {joint.name}: home {said:.6g} is beyond its limits {low} … {high}, it becomes {homes[joint.name]:.6g}")
    _fix_mimics({joint.attrib["name"]: joint for joint in moving if joint.find("mimic") is not None}, homes, notes)
    if not described:
        raise ValueError(f"{urdf}: no joint moves; a robot has at least one revolute, continuous or prismatic joint")
    _tell_dynamics(root, notes)
    floating = guess_base(root, homes, floating=floating, notes=notes)
    repair_inertias(root, notes, floating=floating)
    base, tool = _ends_of_tree(root)
    return Description(described, base, tool, floating)


def _parse(file: Path) -> Element:
    try:
        return ElementTree.parse(file).getroot()  # noqa: S314 - a local file that the user names
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not XML: {error}") from None


def _fix_mimics(mimics: Mapping[str, Element], homes: Mapping[str, float], notes: list[str]) -> None:
    """Fix joints where they are when those that they mimic, which may mimic others, are at home."""

    def value(name: str, followers: tuple[str, ...]) -> float:
        if name in homes:
            return homes[name]
        if name not in mimics or name in followers:
            circle = f"mimics it in a circle: {', '.join(followers)}"
            why = circle if name in followers else f"is no joint that moves by itself; {suggest(name, homes)}"
            raise ValueError(f"joint {followers[-1]!r} mimics {name!r}, which {why}")
        mimic = mimics[name].find("mimic")
        assert mimic is not None  # noqa: S101 - the caller's case
        leader = value(mimic.get("joint", ""), (*followers, name))
        return number(mimic, "multiplier", 1.0) * leader + number(mimic, "offset", 0.0)

    places = {name: value(name, ()) for name in mimics}
    for name, place in places.items():
        leader = mimics[name].find("mimic").get("joint")  # type: ignore[union-attr] # just read
        _fix(mimics[name], place)
        notes.append(f"joint {name} mimics {leader}: coupled joints are not simulated, it is fixed at {number_text(place)}")


def _tell_dynamics(root: Element, notes: list[str]) -> None:
    """Say which joints bring friction of their own."""
    told: dict[str, list[str]] = {}
    for joint in root.findall("joint"):
        dynamics = joint.find("dynamics")
        if joint.get("type") in MOVING and dynamics is not None:
            for word in ("damping", "friction"):
                if value := number(dynamics, word, 0.0):
                    told.setdefault(f"{word} {number_text(value)}", []).append(joint.attrib["name"])
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
    """The root link, and the last link of the longest chain with a joint that moves; of several a frame without mass, then the first."""
    above = {ends(joint)[1]: joint for joint in root.findall("joint")}
    depths: dict[str, tuple[bool, int]] = {}
    for link in root.findall("link"):
        name, moving, depth = link.attrib["name"], False, 0
        while name in above:
            moving, depth = moving or above[name].get("type") in MOVING, depth + 1
            name = ends(above[name])[0]
        depths[link.attrib["name"]] = moving, depth
    deepest = [link for link in root.findall("link") if depths[link.attrib["name"]] == max(depths.values())]
    tool = next((link for link in deepest if not mass_of(link)), deepest[0])
    return next(name for name, (_, depth) in depths.items() if depth == 0), tool.attrib["name"]


def _fix(joint: Element, value: float) -> None:
    """Make a joint fixed at `value`."""
    position, rotation = origin(joint)
    axis = vector(joint.find("axis"), "xyz")
    if joint.get("type") == "prismatic":
        position = position + rotation @ axis * value
    else:
        rotation = rotation @ turn(axis, value)
    joint.set("type", "fixed")
    for tag in ("origin", "mimic", "limit", "axis", "dynamics"):
        if (element := joint.find(tag)) is not None:
            joint.remove(element)
    SubElement(joint, "origin", origin_attributes(position, rotation))


def _limits(joint: Element, notes: list[str]) -> DescribedJoint:
    """Read the limits of a moving joint; what is missing is written into the URDF too, so that the engines enforce it."""
    name, kind = joint.attrib["name"], joint.attrib["type"]
    limit = joint.find("limit")
    if limit is None:
        limit = SubElement(joint, "limit")
    low, high = number(limit, "lower", 0.0), number(limit, "upper", 0.0)
    missing = []
    if kind == "continuous":
        if limit.attrib.pop("lower", None) is not None or limit.attrib.pop("upper", None) is not None:
            notes.append(f"joint {name} is continuous: its position limits {low:g} … {high:g} are left out")
        limit.attrib.pop("upper", None)
        low, high = -math.inf, math.inf
    elif not -math.inf < low < high < math.inf:
        missing.append("position")
        if low or high:
            notes.append(f"joint {name}: its position limits {low:g} … {high:g} are no range, others are assumed")
        low, high = -DEFAULTS[kind], DEFAULTS[kind]
    if kind == "revolute" and DEGREES[0] < max(-low, high) <= DEGREES[1]:
        notes.append(f"joint {name}: its position limits {low:g} … {high:g} rad are many turns; a URDF is in rad, not in degrees")
    if kind != "continuous":
        limit.attrib |= {"lower": number_text(low), "upper": number_text(high)}
    values = {}
    for word in ("velocity", "effort"):
        values[word] = number(limit, word, 0.0)
        if not 0 < values[word] < math.inf:
            missing.append(word)
            if values[word]:
                notes.append(f"joint {name}: its {word} limit {values[word]:g} is no number > 0, {DEFAULTS[word]:g} is assumed")
            values[word] = DEFAULTS[word]
        limit.set(word, number_text(values[word]))
    return DescribedJoint(name, kind, (low, high), values["velocity"], values["effort"], tuple(missing))


def _straighten(root: Element, urdf: Path, notes: list[str]) -> None:
    """Give axes the length 1: PyBullet moves further along a longer one, and drops those of joints that do not move, which may be zero."""
    for joint in root.findall("joint"):
        axis = joint.find("axis")
        if joint.get("type") not in MOVING:
            if axis is not None:
                joint.remove(axis)
            continue
        given = vector(axis, "xyz", "1 0 0")
        try:
            direction = unit(given)
        except ValueError as error:
            told = "is zero" if not given.any() else f"cannot be used: {error}"
            raise ValueError(f"{urdf}: the axis of joint {joint.attrib['name']!r} {told}") from None
        if axis is None:
            axis = SubElement(joint, "axis")
        axis.set("xyz", vector_text(direction))
        if np.abs(given - direction).max() > ROUNDED:
            notes.append(f"the axis of joint {joint.attrib['name']} was {vector_text(given)}: an axis is a direction, it gets the length 1")


def _drop(root: Element, notes: list[str]) -> None:
    """Remove what the core does not read and some engine might; a line per kind."""
    dropped: dict[str, int] = {}
    for tag, kept in KEPT.items():
        for parent in [root] if tag == "robot" else list(root.iter(tag)):
            for element in [child for child in parent if child.tag not in kept]:
                parent.remove(element)
                dropped[f"<{element.tag}>"] = dropped.get(f"<{element.tag}>", 0) + 1
    notes += [f"{count} {tag} left out: not used" for tag, count in sorted(dropped.items())]
    for material in root.iter("material"):
        color = material.find("color")
        if color is not None and not (len(rgba := floats(color.get("rgba", ""))) == 4 and all(map(math.isfinite, rgba))):
            material.remove(color)
            notes.append(f"color {color.get('rgba', '')!r} of material {material.get('name')!r} left out: it must be 4 finite numbers")
    for link in root.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            shape.attrib.pop("name", None)  # of a shape nothing knows it by, and MuJoCo complains of one that is there twice
            geometry = shape.find("geometry")
            found = None
            if geometry is not None and len(geometry):
                found, *others = geometry
                for other in others:
                    geometry.remove(other)
                    notes.append(f"a {other.tag} of link {link.attrib['name']} left out: a <geometry> takes one shape, the first one stays")
            if found is None or found.tag not in SHAPES:
                why = "it has no geometry" if found is None else f"<{found.tag}> is not one of {', '.join(SHAPES)}"
            elif bad := [word for word in SHAPES[found.tag].split() if not positive(found.get(word, ""), 3 if word == "size" else 1)]:
                why = f"{bad[0]} of its {found.tag} must be greater than 0, got {found.get(bad[0], 'nothing')!r}"
            else:
                continue
            link.remove(shape)
            notes.append(f"a {shape.tag} shape of link {link.attrib['name']} left out: {why}")


def _flush(root: Element) -> None:
    """Make numbers 0 that are too small for a normal one: some parsers refuse them."""
    for element in root.iter():
        for name, text in element.attrib.items():
            if name not in ("name", "link", "joint", "filename") and any(_is_subnormal(word) for word in text.split()):
                element.set(name, " ".join("0" if _is_subnormal(word) else word for word in text.split()))


def _is_subnormal(word: str) -> bool:
    try:
        return 0 < abs(float(word)) < sys.float_info.min
    except ValueError:
        return False
