"""Recorded objects in MuJoCo's state: a free body is where its pose is, a hinged one where the coordinate of its joint says.

Of a hinged body the orientation alone is compared, as where its hinge is may be unknown; of one that slides the place alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import Mechanism
from isthmus_sim.identification.poses import pose_noise, quaternion_product

__all__ = ["ObjectStates", "object_noise"]

_AS_POSE = np.array([0, 1, 2, 4, 5, 6, 3])  # of a free joint of MuJoCo, whose quaternion begins with w
_BACK = np.array([-1.0, -1.0, -1.0, 1.0])  # of a quaternion qx, qy, qz, qw: the inverse


def object_noise(mechanism: Mechanism, logs: Sequence[Log]) -> dict[str, Array]:
    """Standard deviation of the noise of each object's pose, m and rad, `[2]`; infinite where it is not compared."""
    found = {name: pose_noise(logs, name) for name in mechanism.objects}
    for name, joint in mechanism.hinged.items():
        slides = mechanism.model.joint(joint).type[0] == mujoco.mjtJoint.mjJNT_SLIDE
        found[name] = np.where([slides, not slides], found[name], np.inf)
    return found


class ObjectStates:
    """Where O objects are in the state of a model."""

    def __init__(self, model: Any, objects: Sequence[str], hinged: Mapping[str, str]) -> None:
        """Find them.

        Args:
            model: compiled.
            objects: bodies.
            hinged: those that are held by a joint → its name; the others move freely.
        """
        self._places: list[tuple[Array, Array]] = []  # addresses of coordinates and velocities
        self._joints: list[_Joint | None] = []
        for name in objects:
            joint = model.joint(hinged[name]) if name in hinged else model.joint(int(model.body(name).jntadr[0]))
            q, v = int(joint.qposadr[0]), int(joint.dofadr[0])
            own = name in hinged
            self._places.append((np.array([q]), np.array([v])) if own else (q + _AS_POSE, v + np.arange(6)))
            self._joints.append(_Joint(model, name, int(joint.id)) if own else None)

    def write(self, position: Array, velocity: Array, rows: Array, pose: Array, twist: Array) -> None:
        """Write poses `[R, O, 7]` and twists `[R, O, 6]` into rows of coordinates `[…, nq]` and velocities `[…, nv]`."""
        for number, ((q, v), joint) in enumerate(zip(self._places, self._joints, strict=True)):
            mine, moving = pose[:, number], twist[:, number]
            position[rows[:, None], q] = mine if joint is None else joint.coordinate(mine)[:, None]
            velocity[rows[:, None], v] = moving if joint is None else joint.speed(moving)[:, None]

    def read(self, position: Array) -> Array:
        """Poses of coordinates `[…, nq]`, `[…, O, 7]`."""
        shown = [
            position[..., q] if joint is None else joint.pose(position[..., q[0]])
            for (q, _), joint in zip(self._places, self._joints, strict=True)
        ]
        return np.stack(shown, axis=-2)


class _Joint:
    """A joint between the world and a body."""

    def __init__(self, model: Any, body: str, number: int) -> None:
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        self._slides = model.jnt_type[number] == mujoco.mjtJoint.mjJNT_SLIDE
        self._axis, self._zero = model.jnt_axis[number].copy(), float(model.qpos0[model.jnt_qposadr[number]])
        self._place, (w, *xyz) = data.body(body).xpos.copy(), data.body(body).xquat
        self._rotation = np.array([*xyz, w])
        self._along = data.xaxis[number].copy()  # the axis in the world
        self._middle = float(model.jnt_range[number].mean()) if model.jnt_limited[number] else 0.0

    def coordinate(self, pose: Array) -> Array:
        """Of poses `[R, 7]`, `[R]`; an angle is the one within half a turn of the middle of its range."""
        if self._slides:
            return np.asarray(self._zero + (pose[:, :3] - self._place) @ self._along)
        turned = quaternion_product(np.broadcast_to(self._rotation * _BACK, (len(pose), 4)), pose[:, 3:])
        angle = self._zero + 2 * np.arctan2(turned[:, :3] @ self._axis, turned[:, 3]) - self._middle
        return np.asarray(self._middle + np.mod(angle + np.pi, 2 * np.pi) - np.pi)

    def speed(self, twist: Array) -> Array:
        """Of twists `[R, 6]`, whose rotation is along the axes of the body, `[R]`."""
        return np.asarray(twist[:, :3] @ self._along if self._slides else twist[:, 3:] @ self._axis)

    def pose(self, coordinate: Array) -> Array:
        """Of coordinates `[…]`, `[…, 7]`; the place of a body that turns is that of its zero."""
        moved = coordinate - self._zero
        result = np.empty((*coordinate.shape, 7))
        result[..., :3] = self._place + (moved[..., None] * self._along if self._slides else 0.0)
        result[..., 3:] = self._rotation
        if not self._slides:
            turn = np.concatenate([np.sin(moved / 2)[..., None] * self._axis, np.cos(moved / 2)[..., None]], axis=-1)
            result[..., 3:] = quaternion_product(np.broadcast_to(self._rotation, turn.shape), turn)
        return result
