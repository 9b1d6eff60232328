"""Forward kinematics and gravity torques of a URDF tree, in numpy.

The observation builder, the guard and the ROS nodes all use this one implementation, so a tool pose is the same arithmetic in simulation and on the
robot. Vectorised over the batch with elementwise operations only: matrix products of numpy differ in the last bits between batch sizes. The batch is
the last axis of every intermediate result, and products with 0 and 1 are left out: this runs in every control period of every environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from isthmus import strict
from isthmus.arrays import library
from isthmus.records import Array
from isthmus.urdf import Sparse, TreeJoint, read_inertial, read_joint

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


_Turn = tuple[Array, Array, Array]  # position of a joint, its cosine and its sine, [B] each
_Three = tuple[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _Frame:
    position: Array  # [3, B], m; B may be 1 where nothing moves
    axes: tuple[Array, Array, Array]  # each [3, B]


class Kinematics:
    """The joint tree of one URDF.

    Attributes:
        links: link names, the base first.
        base: name of the root link.
    """

    def __init__(self, urdf: Path | str) -> None:
        try:
            root = ElementTree.parse(strict.path("a URDF", urdf)).getroot()  # noqa: S314 - profiles are installed data, not input from a network
        except ElementTree.ParseError as error:
            raise ValueError(f"{urdf} is no XML: {error}") from None
        joints = [read_joint(element) for element in root.findall("joint")]
        self._inertials = {link.attrib["name"]: read_inertial(link) for link in root.findall("link")}
        children = {joint.child for joint in joints}
        roots = [name for name in self._inertials if name not in children]
        if len(roots) != 1:
            raise ValueError(f"{urdf}: a robot has exactly one root link, found {', '.join(roots) or 'none'}")
        self.base = roots[0]
        self._joints: list[TreeJoint] = []
        reached = [self.base]
        for name in reached:
            for joint in joints:
                if joint.parent == name:
                    self._joints.append(joint)
                    reached.append(joint.child)
        self.links = tuple(reached)
        self._chains = {link: self._chain(link) for link in self.links}
        # Frames that no joint moves are the same for ever.
        self._still = {self.base: _Frame(np.zeros((3, 1)), (*np.eye(3)[:, :, None],))}
        for joint in self._joints:
            if joint.parent in self._still and joint.type == "fixed":
                self._still[joint.child] = _advance(self._still[joint.parent], joint, None)

    def poses(self, joints: Sequence[str], position: Array, links: Sequence[str]) -> dict[str, LinkPose]:
        """Poses of links in the base frame.

        Args:
            joints: names of the columns of `position`; joints that are not named are at 0.
            position: `[B, J]`, rad or m.
            links: names of the wanted links.

        Raises:
            ValueError: an unknown link; the message lists the known ones.
        """
        batch = position.shape[0]
        turns = self._turns(joints, position, links)
        frames = dict(self._still)
        for index in sorted({index for link in links for index in self._chains[link]}):
            joint = self._joints[index]
            if joint.child not in self._still:
                frames[joint.child] = _advance(frames[joint.parent], joint, turns.get(joint.name))
        return {
            link: LinkPose(_rows(frames[link].position, batch), np.stack([_rows(axis, batch) for axis in frames[link].axes], axis=2))
            for link in links
        }

    def positions(self, joints: Sequence[str], position: Array, links: Sequence[str]) -> dict[str, Array]:
        """As `poses`, but the positions `[B, 3]` only, in m: each link's origin is carried from joint to joint down to the base, at half the cost."""
        turns = self._turns(joints, position, links)
        found = {}
        for link in links:
            found[link] = np.empty((position.shape[0], 3))
            for column, values in enumerate(self._carried(link, turns)):
                found[link][:, column] = values
        return found

    def origin(self, joints: Sequence[str], position: Any, link: str) -> tuple[Any, Any, Any]:
        """Position of one link, for models that are differentiated: numpy, torch or CasADi alike.

        Args:
            joints: names of the columns of `position`; at least one of them moves the link.
            position: `[..., J]`, rad or m.
            link: name of the link.

        Returns:
            x, y, z, m, each of the shape of a column, or a number where nothing moves it.
        """
        operations = library(position)
        columns = [position[..., index] for index in range(len(joints))]
        turns = {name: (angle, operations.cos(angle), operations.sin(angle)) for name, angle in zip(joints, columns, strict=True)}
        return self._carried(link, turns)

    def _carried(self, link: str, turns: Mapping[str, _Turn]) -> _Three:
        """A link's origin, from joint to joint down to the base."""
        point: _Three = (0.0, 0.0, 0.0)
        for index in reversed(self._chains[link]):
            point = _carry(self._joints[index], point, turns.get(self._joints[index].name))
        return point

    def reach(self, link: str) -> tuple[Array, float]:
        """Where the first joint that turns on the way to a link is, and how far from there the link can never be.

        Returns:
            position `[3]` in the base frame, m, and the length of everything behind it in a straight line, m; of joints that turn only.

        Raises:
            ValueError: an unknown link, or nothing moves it.
        """
        self._check_links([link])
        chain = [self._joints[index] for index in self._chains[link]]
        first = next((number for number, joint in enumerate(chain) if joint.type != "fixed"), None)
        if first is None:
            raise ValueError(f"no joint moves link {link!r}")
        place = self.poses((), np.zeros((1, 0)), [chain[first].child])[chain[first].child].position[0]
        return place, float(sum(np.linalg.norm(joint.offset) for joint in chain[first + 1 :]))

    def jacobian(self, joints: Sequence[str], position: Array, link: str) -> Array:
        """Geometric Jacobian of a link's origin in the base frame (Siciliano et al., "Robotics", eq. 3.30).

        Args:
            joints: names of the columns of `position`; joints that are not named do not move.
            position: `[B, J]`, rad or m.
            link: name of the link.

        Returns:
            `[B, 6, J]`: linear velocity (m/s) and angular velocity (rad/s) of the link per rad/s or m/s of each joint.

        Raises:
            ValueError: an unknown link; the message lists the known ones.
        """
        moving = [self._joints[index] for index in self._chains.get(link, ())]
        moving = [joint for joint in moving if joint.name in joints and joint.type != "fixed"]
        poses = self.poses(joints, position, [link, *(joint.child for joint in moving)])
        columns = np.zeros((position.shape[0], 6, len(joints)))
        for joint in moving:
            column, own = list(joints).index(joint.name), poses[joint.child]
            axis = _rotate(own.rotation, joint.direction)
            if joint.type == "prismatic":
                columns[:, :3, column] = axis
            else:
                columns[:, :3, column] = np.cross(axis, poses[link].position - own.position)
                columns[:, 3:, column] = axis
        return columns

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
                axis = _rotate(poses[joint.child].rotation, joint.direction)
                arm = center - poses[joint.child].position
                lift = axis[:, 0] * arm[:, 1] - axis[:, 1] * arm[:, 0] if joint.type != "prismatic" else axis[:, 2]
                effort[:, list(joints).index(joint.name)] += inertial.mass * GRAVITY * lift
        return effort

    def mass_matrix(self, joints: Sequence[str], position: Array, *, floating: bool = False) -> Array:
        """Inertia that joint accelerations meet, without rotors: `[B, J, J]`, kg·m², kg·m or kg; joints that are not named do not move.

        Args:
            joints: names of the columns of `position`.
            position: `[B, J]`, rad or m.
            floating: whether the root link floats: what is returned is then the inertia that is left when nothing holds the root.
        """
        count, batch = len(joints), position.shape[0]
        poses, columns = self.poses(joints, position, self.links), {name: index for index, name in enumerate(joints)}
        total = np.zeros((batch, 6 + count, 6 + count))
        for link, inertial in self._inertials.items():
            if inertial is None or not (inertial.mass or inertial.moments.any()):
                continue
            rotation = poses[link].rotation
            center = poses[link].position + _rotate(rotation, inertial.center)
            linear, angular = np.zeros((batch, 3, 6 + count)), np.zeros((batch, 3, 6 + count))
            for axis in range(3):  # of the root: along x, y, z, then about them
                linear[:, axis, axis] = angular[:, axis, 3 + axis] = 1.0
                linear[:, :, 3 + axis] = np.cross(np.eye(3)[axis], center)
            for index in self._chains[link]:
                joint = self._joints[index]
                if joint.name not in columns or joint.type == "fixed":
                    continue
                own, column = poses[joint.child], 6 + columns[joint.name]
                along = _rotate(own.rotation, joint.direction)
                if joint.type == "prismatic":
                    linear[:, :, column] = along
                else:
                    linear[:, :, column], angular[:, :, column] = np.cross(along, center - own.position), along
            moments = rotation @ inertial.moments @ np.swapaxes(rotation, 1, 2)
            total += inertial.mass * np.swapaxes(linear, 1, 2) @ linear + np.swapaxes(angular, 1, 2) @ moments @ angular
        held, across = total[:, 6:, 6:], total[:, 6:, :6]
        return np.asarray(held - across @ np.linalg.pinv(total[:, :6, :6]) @ np.swapaxes(across, 1, 2) if floating else held)

    def _turns(self, joints: Sequence[str], position: Array, links: Sequence[str]) -> dict[str, _Turn]:
        self._check_links(links)
        angle = np.ascontiguousarray(position.T)
        return dict(zip(joints, zip(angle, np.cos(angle), np.sin(angle), strict=True), strict=True))

    def _check_links(self, links: Sequence[str]) -> None:
        for link in links:
            if link not in self._chains:
                raise ValueError(f"unknown link {link!r}; known: {', '.join(self.links)}")

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


def _advance(parent: _Frame, joint: TreeJoint, turn: _Turn | None) -> _Frame:
    """The child's frame, from that of the parent."""
    position, axes = parent.position, parent.axes
    for axis, length in zip(axes, joint.offset, strict=True):
        if length:
            position = position + axis * length
    if joint.rotation:
        axes = _apply(joint.rotation.columns, axes)
    if turn is None or joint.type == "fixed":
        return _Frame(position, axes)
    angle, cos, sin = turn
    if joint.type == "prismatic":
        return _Frame(position + _combine(joint.axis, axes) * angle, axes)
    if joint.about_z:  # the common case costs six products
        x, y, z = axes
        return _Frame(position, (cos * x + sin * y, cos * y - sin * x, z))
    return _Frame(position, _rodrigues(axes, joint.skew.columns, joint.square.columns, cos, sin))


def _carry(joint: TreeJoint, point: _Three, turn: _Turn | None) -> _Three:
    """A point of the child's frame in the parent's; components are `[B]`, or numbers as long as nothing has moved them."""
    if turn is not None and joint.type != "fixed":
        angle, cos, sin = turn
        x, y, z = point
        if joint.type == "prismatic":
            moved = dict(joint.axis)
            point = (x + moved.get(0, 0.0) * angle, y + moved.get(1, 0.0) * angle, z + moved.get(2, 0.0) * angle)
        elif not joint.about_z:
            point = _rodrigues(point, joint.skew.rows, joint.square.rows, cos, sin)
        elif not (isinstance(x, float) and isinstance(y, float) and x == y == 0):
            point = (cos * x - sin * y, sin * x + cos * y, z)
    if joint.rotation:
        point = _apply(joint.rotation.rows, point)
    (x, y, z), (dx, dy, dz) = point, joint.offset
    return x + dx if dx else x, y + dy if dy else y, z + dz if dz else z


def _rodrigues(parts: _Three, skew: Sparse, square: Sparse, cos: Array, sin: Array) -> _Three:
    """The rotation formula: parts + sin K parts + (1 - cos) K² parts."""
    once, twice = _apply(skew, parts), _apply(square, parts)
    x, y, z = (part + sin * first + (1 - cos) * second for part, first, second in zip(parts, once, twice, strict=True))
    return x, y, z


def _apply(matrix: Sparse, parts: _Three) -> _Three:
    return _combine(matrix[0], parts), _combine(matrix[1], parts), _combine(matrix[2], parts)


def _combine(weights: tuple[tuple[int, float], ...], parts: _Three) -> Any:
    """Weighted sum of some of three parts, which are axes `[3, B]`, components `[B]` or numbers."""
    total: Any = None
    for index, weight in weights:
        term = parts[index] if weight == 1 else parts[index] * weight
        total = term if total is None else total + term
    return 0.0 if total is None else total


def _rows(values: Array, batch: int) -> Array:
    """`[3, B]` or `[3, 1]` → `[B, 3]`."""
    return np.ascontiguousarray(np.broadcast_to(values, (3, batch)).T)


def _rotate(rotation: Array, vector: Array) -> Array:
    return np.asarray(rotation[:, :, 0] * vector[0] + rotation[:, :, 1] * vector[1] + rotation[:, :, 2] * vector[2])
