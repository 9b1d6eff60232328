"""Inertias of a URDF that one engine takes and another refuses or replaces."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

import numpy as np

from isthmus.numerals import number_text
from isthmus.records import Array
from isthmus.robot_import.elements import MOVING, ends, mass_of, number, vector_text

__all__ = ["repair_inertias"]

TINY_MASS, TINY_RADIUS = 1e-3, 0.01  # kg and m, of a link that moves and has no mass
SMALLEST = 1e-14  # kg·m²; MuJoCo takes less for nothing
RADIUS = 0.02  # m, of a ball whose moments a link gets in place of moments that are not positive
POINT = 1e-5  # m, of a body whose moments are no more than rounding


def repair_inertias(root: Element, notes: list[str], *, floating: bool) -> None:
    """Give every link an inertia that all engines take as it is; `notes` gains a line per change of a number; a floating root moves."""
    rigid: dict[str, list[str]] = {}
    for joint in root.findall("joint"):
        if joint.get("type") == "fixed":
            rigid.setdefault(ends(joint)[0], []).append(ends(joint)[1])
    links = {link.attrib["name"]: link for link in root.findall("link")}

    def carried(name: str) -> float:
        return max(0.0, mass_of(links[name])) + sum(carried(child) for child in rigid.get(name, []))

    moved = {ends(joint)[1] for joint in root.findall("joint") if joint.get("type") in MOVING}
    if floating:
        moved |= set(links) - {ends(joint)[1] for joint in root.findall("joint")}
    for name, link in links.items():
        inertial = link.find("inertial")
        if name in moved and carried(name) <= 0:
            wrong = f"a mass of {mass_of(link):g} kg, which is none" if mass_of(link) < 0 else "no mass"
            notes.append(f"link {name} moves but has {wrong}: it gets {TINY_MASS:g} kg")
            _set_inertial(link, TINY_MASS, 0.4 * TINY_MASS * TINY_RADIUS**2 * np.eye(3))
        elif inertial is None:
            _set_inertial(link, 0.0, np.zeros((3, 3)))  # or PyBullet would take 1 kg
        elif (mass := mass_of(link)) <= 0:
            if mass or _inertia(inertial).any():
                notes.append(f"link {name} has a mass of {mass:g} kg: it counts as 0, and its inertia is left out")
            _set_inertial(link, 0.0, np.zeros((3, 3)))
        else:
            principal, axes = np.linalg.eigh(_inertia(inertial))
            least, ball = max(mass * POINT**2, SMALLEST), 0.4 * mass * RADIUS**2
            if principal[0] < least:
                notes.append(
                    f"inertia of link {name} is not positive definite ({principal[0]:.3g} kg·m²): moments that are not get that of a ball of 2 cm"
                )
                principal = np.where(principal < least, max(ball, SMALLEST), principal)
                _set_inertial(link, mass, axes @ np.diag(principal) @ axes.T)
                principal.sort()
            if principal[0] + principal[1] < principal[2]:
                notes.append(
                    f"inertia of link {name} belongs to no rigid body ({' '.join(f'{v:.3g}' for v in principal)} kg·m²): replaced by its mean"
                )
                _set_inertial(link, mass, principal.mean() * np.eye(3))


def _set_inertial(link: Element, mass: float, inertia: Array) -> None:
    """Mass, kg, and moments `[3, 3]`, kg·m²; the origin stays."""
    inertial = link.find("inertial")
    if inertial is None:
        inertial = SubElement(link, "inertial")
    for tag in ("mass", "inertia"):
        if (element := inertial.find(tag)) is not None:
            inertial.remove(element)
    SubElement(inertial, "mass", value=number_text(mass))
    places = {"ixx": (0, 0), "iyy": (1, 1), "izz": (2, 2), "ixy": (0, 1), "ixz": (0, 2), "iyz": (1, 2)}
    SubElement(inertial, "inertia", {name: vector_text([inertia[place]]) for name, place in places.items()})


def _inertia(inertial: Element) -> Array:
    element = inertial.find("inertia")
    xx, yy, zz, xy, xz, yz = (0.0 if element is None else number(element, f"i{word}", 0.0) for word in ("xx", "yy", "zz", "xy", "xz", "yz"))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
