"""Guesses whether somebody else's robot stands on a fixed base or walks, and puts the mass of a walking one where engines look for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from isthmus.records import Array
from isthmus.robot_import.elements import MOVING, ends, mass_of, origin, origin_attributes, turn, vector

__all__ = ["guess_base"]

LIMB = 2  # joints that make a branch of the tree an arm or a leg
HANGING = 0.3  # of its length that a leg reaches down
WALKING, CRAWLING = 2, 4  # legs that hang down, or that at least do not point up, of a walking robot
LEVEL = 0.3  # of an axis that is vertical, of a wheel at most
GROUND = ("world", "map", "odom", "ground")  # root links that are the room and no part of a robot


@dataclass(frozen=True, slots=True)
class _Limb:
    joints: tuple[Element, ...]  # all that move in this branch, the first one first
    drop: float  # of the way from its beginning to its end that goes down, -1 … 1


def guess_base(root: Element, homes: Mapping[str, float], *, floating: bool, notes: list[str]) -> bool:
    """Whether the root link floats; if it does, it has mass afterwards. `notes` gains a line on what was guessed.

    Args:
        root: the `<robot>` element; only the inertia of its root is changed.
        homes: joint → home position, rad or m.
        floating: whether the file says so.
        notes: lines for the reader.
    """
    tree = _Tree(root, homes)
    if not floating:
        legs = [limb for limb in tree.limbs if len(limb.joints) >= LIMB]
        hanging = sum(limb.drop > HANGING for limb in legs)
        crawling = sum(limb.drop > -HANGING for limb in legs)
        heavy = tree.heavy is not None and tree.base.lower() not in GROUND
        wheels = [limb.joints[-1].attrib["name"] for limb in tree.limbs if _is_wheel(limb, tree)]
        floating = heavy and len(wheels) < WALKING and (hanging >= WALKING or crawling >= CRAWLING)  # what drives and has limbs has arms
        if floating:
            notes.append(
                f"base guessed floating: {tree.heavy} has mass and carries {max(hanging, crawling)} limbs that may be legs; "
                f"for a fixed one remove base: and set base_frame: {tree.base}"
            )
        elif heavy and len(wheels) >= WALKING:
            notes.append(
                f"base taken as fixed in the air, but {', '.join(wheels)} look like wheels: "
                "for a robot that drives write a base block with kind: differential (docs/how-to/add-a-robot.md, Mobile bases)"
            )
        else:
            notes.append(f"base taken as fixed: {tree.base} does not move; for a robot that walks write a base block with kind: floating")
    if floating and tree.heavy not in (None, tree.base):
        tree.move_mass()
        notes.append(f"root link {tree.base} has no mass: it gets that of {tree.heavy}, which is fixed to it")
    return floating


def _is_wheel(limb: _Limb, tree: _Tree) -> bool:
    """Whether a limb ends in a joint that turns for ever about a horizontal axis, behind nothing but a suspension or a caster's vertical axis."""
    *before, last = limb.joints

    def upright(joint: Element) -> float:
        axis = tree.places[ends(joint)[1]][1] @ vector(joint.find("axis"), "xyz")
        return abs(float(axis[2]))

    hung = all(joint.get("type") == "prismatic" or upright(joint) > 1 - LEVEL for joint in before)
    return len(before) <= 1 and hung and last.get("type") == "continuous" and upright(last) < LEVEL


class _Tree:
    """The links in the home pose.

    Attributes:
        base: name of the root link.
        places: link → position `[3]` in m and rotation matrix `[3, 3]` in the root's frame.
        heavy: the first link with mass among the root and what is fixed to it; None if there is none.
        limbs: the branches that begin there.
    """

    def __init__(self, root: Element, homes: Mapping[str, float]) -> None:
        self._links = {link.attrib["name"]: link for link in root.findall("link")}
        self._below: dict[str, list[Element]] = {name: [] for name in self._links}
        for joint in root.findall("joint"):
            self._below[ends(joint)[0]].append(joint)
        children = {ends(joint)[1] for joint in root.findall("joint")}
        self.base = next(name for name in self._links if name not in children)
        self.places: dict[str, tuple[Array, Array]] = {self.base: (np.zeros(3), np.eye(3))}
        reached = [self.base]
        for name in reached:
            for joint in self._below[name]:
                self.places[ends(joint)[1]] = _advanced(self.places[name], joint, homes)
                reached.append(ends(joint)[1])
        rigid = [self.base]
        for name in rigid:
            rigid += [ends(joint)[1] for joint in self._below[name] if joint.get("type") not in MOVING]
        self.heavy = next((name for name in rigid if mass_of(self._links[name]) > 0), None)
        first = [joint for name in rigid for joint in self._below[name] if joint.get("type") in MOVING]
        self.limbs = [_Limb(tuple(self._moving(joint)), self._drop(joint)) for joint in first]

    def move_mass(self) -> None:
        """Give the root the inertia of `heavy`, in the same place."""
        assert self.heavy is not None  # noqa: S101 - the caller's case
        root, heavy = self._links[self.base], self._links[self.heavy]
        for old in root.findall("inertial"):
            root.remove(old)
        inertial = heavy.find("inertial")
        assert inertial is not None  # noqa: S101 - it has mass
        heavy.remove(inertial)
        root.append(inertial)
        (position, rotation), (center, own) = self.places[self.heavy], origin(inertial)
        for old in inertial.findall("origin"):
            inertial.remove(old)
        inertial.insert(0, Element("origin", origin_attributes(position + rotation @ center, rotation @ own)))

    def _moving(self, joint: Element) -> list[Element]:
        own = [joint] if joint.get("type") in MOVING else []
        return own + [found for other in self._below[ends(joint)[1]] for found in self._moving(other)]

    def _drop(self, joint: Element) -> float:
        """How much of the way to the link that is farthest from a joint goes down."""
        begin = self.places[ends(joint)[1]][0]
        reached = [ends(joint)[1]]
        for name in reached:
            reached += [ends(other)[1] for other in self._below[name]]
        ways = [self.places[name][0] - begin for name in reached]
        ways += [self.places[name][0] + self.places[name][1] @ origin(self._links[name].find("inertial"))[0] - begin for name in reached]
        longest = max(ways, key=lambda way: float((way**2).sum()))
        length = float(np.sqrt((longest**2).sum()))
        return -float(longest[2]) / length if length else 0.0


def _advanced(place: tuple[Array, Array], joint: Element, homes: Mapping[str, float]) -> tuple[Array, Array]:
    (position, rotation), (offset, own) = place, origin(joint)
    position, rotation = position + rotation @ offset, rotation @ own
    value = homes.get(joint.attrib["name"], 0.0)
    if joint.get("type") == "prismatic":
        position = position + rotation @ vector(joint.find("axis"), "xyz") * value
    elif joint.get("type") in MOVING:
        rotation = rotation @ turn(vector(joint.find("axis"), "xyz"), value)
    return position, rotation
