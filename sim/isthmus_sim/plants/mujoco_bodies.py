"""Where the bodies of a MuJoCo batch are, and putting them elsewhere.

MuJoCo writes quaternions w first, and keeps the linear velocity of a free body in the world's frame and the angular one in the body's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.plants.base import turned, turned_back
from isthmus_sim.scene import Scene

__all__ = ["Bodies"]


class Bodies:
    """Poses `[B, 7]` and twists `[B, 6]` of the tool frame, of a mobile robot's root, and of the scene's bodies.

    Attributes:
        any: whether anything but the robot's joints moves.
        pushed: number of the body that pushes act on: the root of a mobile robot, else the tool.
    """

    def __init__(self, model: mujoco.MjModel, batch: Batch, robot: Robot, scene: Scene) -> None:
        # Live arrays, bound once: asking the batch for them again costs more than reading them.
        self._qpos, self._qvel, self._xpos, self._xquat = (batch.bind(name) for name in ("qpos", "qvel", "xpos", "xquat"))
        self._moving = {body.name: (model.body(body.name).id, model.joint(body.name), body) for body in scene.moving}
        self._standing = {body.name: model.body(body.name).id for body in scene.standing}
        self._root = Kinematics(robot.urdf_path).base
        self._mobile = model.joint(robot.base_frame) if robot.base.kind != "fixed" else None
        self._tool, self._root_body = model.body(robot.tool_frame).id, model.body(self._root).id if self._mobile is not None else 0
        self.any = bool(self._moving) or self._mobile is not None
        self.pushed = self._tool if self._mobile is None else self._root_body

    def tool(self) -> Array:
        """Pose of the tool frame."""
        return self._pose(self._tool)

    def standing(self) -> dict[str, Array]:
        """Poses of the bodies that never move."""
        return {name: self._pose(number) for name, number in self._standing.items()}

    def moving(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Poses of the bodies that move and of a mobile robot's root, and the twists of those that are free."""
        poses, twists = {}, {}
        for name, (number, joint, body) in self._moving.items():
            poses[name] = self._pose(number)
            if body.joint == "free":
                twists[name] = self._twist(joint, poses[name][:, 3:], own_frame=False)
        if self._mobile is not None:
            poses[self._root] = self._pose(self._root_body)
            twists[self._root] = self._twist(self._mobile, poses[self._root][:, 3:], own_frame=True)
        return poses, twists

    def place(self, rows: Array, start: Mapping[str, Array]) -> None:
        """Put the bodies and the mobile root of some rows where an episode begins; see `start_state`."""
        for name, (_, joint, body) in self._moving.items():
            self._put(rows, joint, start[name], free=body.joint == "free")
        if self._mobile is not None:
            self._put(rows, self._mobile, start["base"], free=True)
            first, twist = self._mobile.dofadr[0], start["base_twist"]
            self._qvel[rows, first : first + 3] = turned(start["base"][:, 3:], twist[:, :3])
            self._qvel[rows, first + 3 : first + 6] = twist[:, 3:]

    def _pose(self, body: int) -> Array:
        pose = np.empty((len(self._xpos), 7))
        pose[:, :3] = self._xpos[:, body]
        pose[:, 3:6] = self._xquat[:, body, 1:]  # w, x, y, z
        pose[:, 6] = self._xquat[:, body, 0]
        return pose

    def _twist(self, joint: Any, orientation: Array, *, own_frame: bool) -> Array:
        first = joint.dofadr[0]
        linear, angular = self._qvel[:, first : first + 3], self._qvel[:, first + 3 : first + 6]
        if own_frame:
            linear = turned_back(orientation, linear)
        else:
            angular = turned(orientation, angular)
        return np.concatenate([linear, angular], axis=1)

    def _put(self, rows: Array, joint: Any, values: Array, *, free: bool) -> None:
        first = joint.qposadr[0]
        ordered = values[:, [0, 1, 2, 6, 3, 4, 5]] if free else values
        self._qpos[rows, first : first + ordered.shape[1]] = ordered
