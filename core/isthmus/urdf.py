"""Joints and masses of a URDF file, prepared for fast forward kinematics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from isthmus.numerals import decimal
from isthmus.records import Array

__all__ = ["ConstantMatrix", "Inertial", "Sparse", "TreeJoint", "read_inertial", "read_joint", "unit"]

Sparse = tuple[tuple[tuple[int, float], ...], ...]
"""Index and value of what is not 0, per row or column of a matrix."""


@dataclass(frozen=True, slots=True)
class ConstantMatrix:
    """A constant 3 × 3 matrix without its zeros."""

    rows: Sparse
    columns: Sparse


@dataclass(frozen=True, slots=True)
class TreeJoint:
    """A joint of the tree, with its constants prepared for products without zeros."""

    name: str
    type: str
    parent: str
    child: str
    offset: tuple[float, ...]  # [3], m
    rotation: ConstantMatrix | None  # None for the identity
    direction: Array  # unit vector of the axis, [3]
    axis: tuple[tuple[int, float], ...]  # the same without its zeros
    about_z: bool
    skew: ConstantMatrix  # of the axis
    square: ConstantMatrix  # of the skew-symmetric matrix


@dataclass(frozen=True, slots=True)
class Inertial:
    """Mass of a link."""

    mass: float  # kg
    center: Array  # [3], m, in the link's frame
    moments: Array  # [3, 3], kg·m², about the centre, along the link's axes


def read_joint(element: ElementTree.Element) -> TreeJoint:
    """A `<joint>`.

    Raises:
        ValueError: it lacks its links, a vector has not three numbers, or its axis is zero.
    """
    parent, child, axis = element.find("parent"), element.find("child"), element.find("axis")
    if parent is None or child is None:
        raise ValueError(f"joint {element.get('name')!r} needs a parent and a child")
    offset, rotation = _read_origin(element.find("origin"))
    moves = element.attrib["type"] != "fixed"
    direction = _floats(axis.get("xyz", "1 0 0")) if axis is not None and moves else np.array([1.0, 0, 0])
    x, y, z = unit(direction)
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return TreeJoint(
        name=element.attrib["name"],
        type=element.attrib["type"],
        parent=parent.attrib["link"],
        child=child.attrib["link"],
        offset=tuple(offset.tolist()),
        rotation=None if np.array_equal(rotation, np.eye(3)) else _matrix(rotation),
        direction=np.array([x, y, z]),
        axis=_sparse(np.array([[x, y, z]]))[0],
        about_z=bool(z == 1),
        skew=_matrix(skew),
        square=_matrix(skew @ skew),
    )


def unit(vector: Array) -> Array:
    """The direction of a vector `[3]` of any length.

    Raises:
        ValueError: it is zero or not finite.
    """
    longest = float(np.abs(vector).max())
    if not 0 < longest < np.inf:
        raise ValueError(f"an axis must be three numbers that are not all 0, got {' '.join(map(str, vector.tolist()))}")
    scaled = vector / longest  # squares of the numbers as they are may not fit into 64 bits
    return np.asarray(scaled / np.sqrt((scaled**2).sum()))


def _matrix(values: Array) -> ConstantMatrix:
    return ConstantMatrix(_sparse(values), _sparse(values.T))


def _sparse(values: Array) -> Sparse:
    return tuple(tuple((index, value) for index, value in enumerate(row) if value) for row in values.tolist())


def read_inertial(link: ElementTree.Element) -> Inertial | None:
    """Mass and centre of a `<link>`; None if it has no mass."""
    inertial = link.find("inertial")
    mass = inertial.find("mass") if inertial is not None else None
    if inertial is None or mass is None:
        return None
    center, rotation = _read_origin(inertial.find("origin"))
    element = inertial.find("inertia")
    given: Mapping[str, str] = element.attrib if element is not None else {}
    xx, yy, zz, xy, xz, yz = (decimal(given.get(f"i{word}", "0")) for word in ("xx", "yy", "zz", "xy", "xz", "yz"))
    own = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Inertial(decimal(mass.attrib["value"]), center, rotation @ own @ rotation.T)


def _read_origin(origin: ElementTree.Element | None) -> tuple[Array, Array]:
    attributes: Mapping[str, str] = origin.attrib if origin is not None else {}
    roll, pitch, yaw = _floats(attributes.get("rpy", "0 0 0"))
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    rotation = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ],
    )
    # The cosine of a quarter turn written in decimals is 6e-17.
    return _floats(attributes.get("xyz", "0 0 0")), np.where(np.abs(rotation) < 1e-12, 0.0, rotation)


def _floats(text: str) -> Array:
    values = np.array([decimal(word) for word in text.split()])
    if values.shape != (3,):
        raise ValueError(f"expected three numbers, got {text!r}")
    return values
