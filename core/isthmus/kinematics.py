"""Forward kinematics and gravity torques of a URDF tree, in numpy.

The observation builder, the guard and the ROS nodes all use this one implementation, so a tool pose is the same arithmetic in simulation and on the
robot. Vectorised over the batch with elementwise operations only: matrix products of numpy differ in the last bits between batch sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from isthmus.records import Array

__all__ = ["Kinematics", "LinkPose", "quaternion"]

GRAVITY = 9.81


@dataclass(frozen=True, slots=True)
class LinkPose:
    """Pose of a link in the base frame.

    Attributes:
        position: `[B, 3]`, m.
        rotation: `[B, 3, 3]`, columns are the link's axes in the base frame.
    """

    position: Array
    rotation: Array

    def vector(self) -> Array:
        """`[B, 7]`: position and quaternion x, y, z, w."""
        return np.concatenate([self.position, quaternion(self.rotation)], axis=1)


@dataclass(frozen=True, slots=True)
class _Joint:
    name: str
    type: str
    parent: str
    child: str
    offset: Array  # [3], m
    rotation: Array  # [3, 3]
    axis: Array  # [3], unit


@dataclass(frozen=True, slots=True)
class _Inertial:
    mass: float  # kg
    center: Array  # [3], m, in the link's frame


class Kinematics:
    """The joint tree of one URDF.

    Attributes:
        links: link names, the base first.
        base: name of the root link.
    """

    def __init__(self, urdf: Path) -> None:
        root = ElementTree.parse(urdf).getroot()  # noqa: S314 - profiles are installed data, not input from a network
        joints = [_read_joint(element) for element in root.findall("joint")]
        self._inertials = {link.attrib["name"]: _read_inertial(link) for link in root.findall("link")}
        children = {joint.child for joint in joints}
        roots = [name for name in self._inertials if name not in children]
        if len(roots) != 1:
            raise ValueError(f"{urdf}: a robot has exactly one root link, found {', '.join(roots) or 'none'}")
        self.base = roots[0]
        self._joints: list[_Joint] = []
        reached = [self.base]
        for name in reached:
            for joint in joints:
                if joint.parent == name:
                    self._joints.append(joint)
                    reached.append(joint.child)
        self.links = tuple(reached)
        self._chains = {link: self._chain(link) for link in self.links}

    def poses(self, joints: Sequence[str], position: Array, links: Sequence[str]) -> dict[str, LinkPose]:
        """Poses of links in the base frame.

        Args:
            joints: names of the columns of `position`; joints that are not named are at 0.
            position: `[B, J]`, rad or m.
            links: names of the wanted links.

        Raises:
            ValueError: an unknown link; the message lists the known ones.
        """
        wanted: set[int] = set()
        for link in links:
            if link not in self._chains:
                raise ValueError(f"unknown link {link!r}; known: {', '.join(self.links)}")
            wanted.update(self._chains[link])
        columns = {name: position[:, index] for index, name in enumerate(joints)}
        batch = position.shape[0]
        found = {self.base: LinkPose(np.zeros((batch, 3)), np.broadcast_to(np.eye(3), (batch, 3, 3)))}
        for index in sorted(wanted):
            joint = self._joints[index]
            found[joint.child] = _advance(found[joint.parent], joint, columns.get(joint.name))
        return {link: found[link] for link in links}

    def gravity(self, joints: Sequence[str], position: Array) -> Array:
        """Efforts that hold the robot still against gravity (base upright), `[B, J]`, N·m or N.

        Args:
            joints: names of the columns of `position`.
            position: `[B, J]`, rad or m.
        """
        poses = self.poses(joints, position, self.links)
        effort = np.zeros(position.shape)
        for link, inertial in self._inertials.items():
            if inertial is None:
                continue
            center = poses[link].position + _rotate(poses[link].rotation, inertial.center)
            for index in self._chains[link]:
                joint = self._joints[index]
                if joint.name not in joints or joint.type == "fixed":
                    continue
                axis = _rotate(poses[joint.child].rotation, joint.axis)
                arm = center - poses[joint.child].position
                lift = axis[:, 0] * arm[:, 1] - axis[:, 1] * arm[:, 0] if joint.type != "prismatic" else axis[:, 2]
                effort[:, list(joints).index(joint.name)] += inertial.mass * GRAVITY * lift
        return effort

    def _chain(self, link: str) -> tuple[int, ...]:
        by_child = {joint.child: index for index, joint in enumerate(self._joints)}
        chain = []
        while link != self.base:
            chain.append(by_child[link])
            link = self._joints[by_child[link]].parent
        return tuple(reversed(chain))


def quaternion(rotation: Array) -> Array:
    """Unit quaternions x, y, z, w with w >= 0 of rotation matrices, `[B, 3, 3]` → `[B, 4]`.

    Every component is found from the diagonal (Shepperd, "Quaternion from rotation matrix", 1978); the largest one fixes the signs.
    """
    r = rotation
    squares = np.stack(
        [
            1 + r[:, 0, 0] - r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] + r[:, 1, 1] - r[:, 2, 2],
            1 - r[:, 0, 0] - r[:, 1, 1] + r[:, 2, 2],
            1 + r[:, 0, 0] + r[:, 1, 1] + r[:, 2, 2],
        ],
        axis=1,
    )
    xy, xz, yz = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    xw, yw, zw = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    products = np.stack(  # row i: 4 q_i q
        [
            np.stack([squares[:, 0], xy, xz, xw], axis=1),
            np.stack([xy, squares[:, 1], yz, yw], axis=1),
            np.stack([xz, yz, squares[:, 2], zw], axis=1),
            np.stack([xw, yw, zw, squares[:, 3]], axis=1),
        ],
        axis=1,
    )
    largest = np.argmax(squares, axis=1)
    rows = np.arange(r.shape[0])
    result = products[rows, largest] / (2 * np.sqrt(squares[rows, largest]))[:, None]
    return np.asarray(np.where(result[:, 3:] < 0, -result, result))


def _advance(parent: LinkPose, joint: _Joint, value: Array | None) -> LinkPose:
    position = parent.position + _rotate(parent.rotation, joint.offset)
    rotation = _compose(parent.rotation, joint.rotation)
    if joint.type == "prismatic" and value is not None:
        position = position + _rotate(rotation, joint.axis) * value[:, None]
    elif joint.type != "fixed" and value is not None:
        rotation = _turn(rotation, joint.axis, value)
    return LinkPose(position, rotation)


def _rotate(rotation: Array, vector: Array) -> Array:
    return np.asarray(rotation[:, :, 0] * vector[0] + rotation[:, :, 1] * vector[1] + rotation[:, :, 2] * vector[2])


def _compose(rotation: Array, constant: Array) -> Array:
    return np.asarray(
        rotation[:, :, 0, None] * constant[0] + rotation[:, :, 1, None] * constant[1] + rotation[:, :, 2, None] * constant[2],
    )


def _turn(rotation: Array, axis: Array, angle: Array) -> Array:
    """Append a rotation about `axis` (Rodrigues); the common case of the z axis costs six products."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    if axis[2] == 1:
        x, y = rotation[:, :, 0], rotation[:, :, 1]
        return np.stack([cos * x + sin * y, cos * y - sin * x, rotation[:, :, 2]], axis=2)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    first, second = _compose(rotation, skew), _compose(rotation, skew @ skew)
    return np.asarray(rotation + sin[:, :, None] * first + (1 - cos)[:, :, None] * second)


def _read_joint(element: ElementTree.Element) -> _Joint:
    parent, child, axis = element.find("parent"), element.find("child"), element.find("axis")
    if parent is None or child is None:
        raise ValueError(f"joint {element.get('name')!r} needs a parent and a child")
    offset, rotation = _read_origin(element.find("origin"))
    direction = _floats(axis.get("xyz", "1 0 0")) if axis is not None else np.array([1.0, 0, 0])
    return _Joint(
        name=element.attrib["name"],
        type=element.attrib["type"],
        parent=parent.attrib["link"],
        child=child.attrib["link"],
        offset=offset,
        rotation=rotation,
        axis=direction / np.sqrt((direction**2).sum()),
    )


def _read_inertial(link: ElementTree.Element) -> _Inertial | None:
    inertial = link.find("inertial")
    mass = inertial.find("mass") if inertial is not None else None
    if inertial is None or mass is None:
        return None
    return _Inertial(float(mass.attrib["value"]), _read_origin(inertial.find("origin"))[0])


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
    return _floats(attributes.get("xyz", "0 0 0")), rotation


def _floats(text: str) -> Array:
    values = np.array([float(word) for word in text.split()])
    if values.shape != (3,):
        raise ValueError(f"expected three numbers, got {text!r}")
    return values
