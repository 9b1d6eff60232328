"""Joints and masses of a URDF file, prepared for fast forward kinematics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from isthmus.records import Array

__all__ = ["ConstantMatrix", "Inertial", "Sparse", "TreeJoint", "read_inertial", "read_joint"]

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


def read_joint(element: ElementTree.Element) -> TreeJoint:
    """A `<joint>`.

    Raises:
        ValueError: it lacks its links, or a vector has not three numbers.
    """
    parent, child, axis = element.find("parent"), element.find("child"), element.find("axis")
    if parent is None or child is None:
        raise ValueError(f"joint {element.get('name')!r} needs a parent and a child")
    offset, rotation = _read_origin(element.find("origin"))
    direction = _floats(axis.get("xyz", "1 0 0")) if axis is not None else np.array([1.0, 0, 0])
    x, y, z = direction / np.sqrt((direction**2).sum())
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
    return Inertial(float(mass.attrib["value"]), _read_origin(inertial.find("origin"))[0])


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
    values = np.array([float(word) for word in text.split()])
    if values.shape != (3,):
        raise ValueError(f"expected three numbers, got {text!r}")
    return values
