"""How the elements of a URDF are read and written."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from xml.etree.ElementTree import Element

import numpy as np

from isthmus.numerals import decimal, number_text
from isthmus.records import Array

__all__ = ["MOVING", "ends", "mass_of", "number", "origin", "origin_attributes", "turn", "vector", "vector_text"]

MOVING = ("revolute", "continuous", "prismatic")


def ends(joint: Element) -> tuple[str, str]:
    """Parent and child link of a joint."""
    parent, child = joint.find("parent"), joint.find("child")
    return ("" if parent is None else parent.get("link", "")), ("" if child is None else child.get("link", ""))


def mass_of(link: Element) -> float:
    """Mass of a link, kg; 0 if it has none."""
    mass = link.find("inertial/mass")
    return 0.0 if mass is None else number(mass, "value", 0.0)


def number(element: Element, attribute: str, default: float) -> float:
    """An attribute as a number.

    Raises:
        ValueError: it is not one.
    """
    text = element.get(attribute)
    try:
        return default if text is None else decimal(text)
    except ValueError:
        raise ValueError(f"<{element.tag}> {attribute} must be a number, got {text!r}") from None


def vector(element: Element | None, attribute: str, default: str = "0 0 0") -> Array:
    """An attribute of three numbers, `[3]`; the default where the element or the attribute is missing.

    Raises:
        ValueError: it is not three numbers.
    """
    text = default if element is None else element.get(attribute, default)
    try:
        x, y, z = (decimal(word) for word in text.split())
    except ValueError:
        raise ValueError(f"{attribute} must be three numbers, got {text!r}") from None
    return np.array([x, y, z])


def turn(axis: Array, angle: float) -> Array:
    """Rotation matrix `[3, 3]` about a unit axis `[3]` (Rodrigues), rad."""
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * skew + (1 - math.cos(angle)) * skew @ skew)


def origin_attributes(position: Array, rotation: Array) -> dict[str, str]:
    """Attributes of an `<origin>`: position `[3]` in m and a rotation matrix `[3, 3]` as roll, pitch, yaw."""
    flat = math.hypot(rotation[0, 0], rotation[1, 0])
    pitch = math.atan2(-rotation[2, 0], flat)
    if flat > 1e-9:
        roll, yaw = math.atan2(rotation[2, 1], rotation[2, 2]), math.atan2(rotation[1, 0], rotation[0, 0])
    else:  # straight up or down: only the sum or difference of roll and yaw counts
        roll, yaw = math.atan2(-rotation[1, 2], rotation[1, 1]), 0.0
    return {"xyz": vector_text(position), "rpy": vector_text((roll, pitch, yaw))}


def origin(element: Element | None) -> tuple[Array, Array]:
    """Position `[3]` in m and rotation matrix `[3, 3]` of an element that may have an `<origin>`."""
    place = None if element is None else element.find("origin")
    roll, pitch, yaw = vector(place, "rpy")
    x, y, z = np.eye(3)
    return vector(place, "xyz"), turn(z, yaw) @ turn(y, pitch) @ turn(x, roll)


def vector_text(values: Iterable[float]) -> str:
    """Numbers as an attribute has them; what is too small for a normal number is 0, as some parsers refuse it."""
    return " ".join("nan" if math.isnan(value) else number_text(value if abs(value) >= sys.float_info.min else 0.0) for value in values)
