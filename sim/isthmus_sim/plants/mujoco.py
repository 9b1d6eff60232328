"""MuJoCo as a plant: a batch of simulations on the engine's own thread pool (`mujoco.batch`, MuJoCo >= 3.17)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus.kinematics import Kinematics
from isthmus.records import Array, Command, Measurement
from isthmus.robot import Robot
from isthmus_sim.parameters import parameter_rows, parameter_table
from isthmus_sim.plants.base import (
    DelayedCommands,
    command_values,
    odometry,
    resting_values,
    rows_of,
    start_state,
    substeps,
    turned,
    turned_back,
    wheel_speeds,
)
from isthmus_sim.plants.mujoco_model import compile_model
from isthmus_sim.plants.mujoco_parameters import RowParameters
from isthmus_sim.plants.sensors import Sensors
from isthmus_sim.scene import Scene

__all__ = ["MujocoPlant", "compile_model"]

_POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_PUSH = ("push_x", "push_y", "push_z")


class MujocoPlant:
    """A batch of simulated robots in a scene.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: number of rows.
        realtime: False.
        scene: what stands around the robot.
        parameters: what `reset` can be told.
        model: the compiled MuJoCo model; read only.
    """

    realtime = False

    def __init__(
        self, robot: Robot, *, mode: str, period: float, batch: int = 1, scene: Scene | None = None, cameras: Sequence[str] = ()
    ) -> None:
        """Compile the model.

        Args:
            robot: profile.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
            scene: what stands around the robot.
            cameras: of the robot, whose images `read` shows.
        """
        self.robot, self.period, self.batch = robot, period, batch
        self.scene = scene or Scene()
        self.parameters = parameter_table(robot, self.scene)
        self._mode = mode
        self._substeps = substeps(period)
        self._cameras = tuple(camera for camera in robot.cameras if camera.name in cameras)
        self.model = compile_model(robot, mode, period / self._substeps, self.scene, robot.cameras)
        self._batch = Batch(self.model, nsim=batch, nthread=min(batch, os.cpu_count() or 1))
        for name in ("qpos", "qvel", "act", "ctrl", "xpos", "xquat", "qfrc_actuator"):
            self._batch.bind(name)
        driven = robot.base.wheels if mode == "twist" else robot.joint_names
        joints = [self.model.joint(name) for name in driven]
        self._positions = _columns([joint.qposadr[0] for joint in joints])
        self._velocities = _columns([joint.dofadr[0] for joint in joints])
        self._free = {body.name: self.model.joint(body.name) for body in self.scene.moving}
        self._tool = self.model.body(robot.tool_frame).id
        self._root = Kinematics(robot.urdf_path).base
        self._mobile = self.model.joint(robot.base_frame) if robot.base.kind != "fixed" else None
        self._pushed = self.model.body(self._root).id if self._mobile is not None else self._tool
        self._rows = RowParameters(self.model, self._batch, robot, self.scene)
        self._sensors = Sensors(batch, period)
        self._delayed: DelayedCommands | None = None
        self._push = np.zeros((batch, 5))  # force, time, duration
        self._steps = np.zeros(batch, dtype=np.int64)
        self._stopped = np.zeros(batch, dtype=bool)
        self._renderer: Any = None
        self.reset()

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; `state` also takes `base`, `base_twist` and the poses of scene bodies (`start_state`)."""
        ids = rows_of(rows, self.batch)
        start = start_state(self.robot, self.scene, state, len(ids))
        values = parameter_rows(self.parameters, parameters, len(ids))
        self._batch.reset(ids, stage=_NO_STAGE)
        self._place(ids, start)
        resting = self._resting(start["position"])
        if self._mode == "velocity":
            self._batch.act[ids] = start["position"]
        self._batch.ctrl[ids] = resting
        self._rows.write(ids, values)
        self._sensors.reset(ids, seeds, values)
        self._delay(ids, values.get("action_delay"), resting)
        self._prepare_push(ids, values)
        self._batch.forward(ids)  # everything, or joint efforts would be those of another episode
        self._steps[ids] = 0
        self._stopped[ids] = False

    def read(self) -> Measurement:
        """What the sensors of all rows say; joint efforts are those of the last physics step."""
        measurement = self._sensors.sense(self._exact(), self._steps)
        if self._cameras:
            measurement.images = self._images()
        return measurement

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame and of every scene body that moves."""
        measurement = self._exact()
        measurement.poses = {**measurement.poses, self.robot.tool_frame: self._pose(self._tool)}
        return measurement

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = command_values(command, self._mode, self.robot, self.batch)
        if self._mode == "twist":
            values = wheel_speeds(self.robot.base, values)
        if self._stopped.any():
            self._batch.ctrl[~self._stopped] = values[~self._stopped]
        else:
            self._batch.ctrl[:] = values

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._stopped.any():
            self._rest()
        if self._sensors.late:
            self._sensors.record(self._exact())
        if self._push.any():
            self._apply_push()
        if self._delayed is None:
            self._batch.step(nstep=self._substeps, stage=_POSITION_STAGE)
        else:
            asked = self._batch.ctrl.copy()
            seen = self._delayed.push(asked)
            self._batch.rollout(self._substeps, control=seen, control_spec=int(mujoco.mjtState.mjSTATE_CTRL), record=())
            self._batch.ctrl[:] = asked
            self._batch.forward(stage=_POSITION_STAGE)
        self._steps += 1

    def stop(self, reason: str) -> None:
        """Command rest, and ignore what is written until `reset`; an effort-controlled robot is damped."""
        self._stopped[:] = True
        self._rest()

    def close(self) -> None:
        """Release the renderer; the batch goes with the object."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def render(
        self,
        row: int = 0,
        *,
        height: int = 480,
        width: int = 640,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.4),
        distance: float = 2.0,
        markers: tuple[tuple[float, float, float], ...] = (),
    ) -> Array:
        """See `RenderedSimulator.render`."""
        if self._renderer is None or (self._renderer.height, self._renderer.width) != (height, width):
            self.close()
            self._renderer = mujoco.Renderer(self.model, height, width)
            weakref.finalize(self, self._renderer.close)  # before the interpreter takes the graphics library down
        data = self._batch.get_data(row)
        mujoco.mj_forward(self.model, data)
        camera = mujoco.MjvCamera()
        camera.lookat[:] = look_at
        camera.distance, camera.azimuth, camera.elevation = distance, 55.0, -20.0
        self._renderer.update_scene(data, camera)
        for marker in markers:
            scene = self._renderer.scene
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                mujoco.mjtGeom.mjGEOM_SPHERE,
                np.full(3, 0.03),
                np.array(marker),
                np.eye(3).ravel(),
                np.array([0.2, 0.8, 0.3, 1], np.float32),
            )
            scene.ngeom += 1
        return np.asarray(self._renderer.render()).copy()

    def _exact(self) -> Measurement:
        batch = self._batch
        position, velocity = batch.qpos[:, self._positions].copy(), batch.qvel[:, self._velocities].copy()
        effort = batch.qfrc_actuator[:, self._velocities].copy()
        if self._mode == "twist":
            position, velocity = odometry(self.robot.base, position), odometry(self.robot.base, velocity)
            effort = odometry(self.robot.base, effort)
        measurement = Measurement(self._steps * self.period, self.robot.joint_names, position, velocity, effort)
        if self._free or self._mobile is not None:
            self._add_bodies(measurement)
        return measurement

    def _add_bodies(self, measurement: Measurement) -> None:
        poses, twists = {}, {}
        for body in self.scene.moving:
            poses[body.name] = self._pose(self.model.body(body.name).id)
            if body.joint == "free":
                twists[body.name] = self._twist(self._free[body.name], poses[body.name][:, 3:], own_frame=False)
        if self._mobile is not None:
            poses[self._root] = self._pose(self.model.body(self._root).id)
            twists[self._root] = self._twist(self._mobile, poses[self._root][:, 3:], own_frame=True)
        measurement.poses, measurement.twists = poses, twists

    def _pose(self, body: int) -> Array:
        quaternion = self._batch.xquat[:, body]  # w, x, y, z
        return np.concatenate([self._batch.xpos[:, body], quaternion[:, 1:], quaternion[:, :1]], axis=1)

    def _twist(self, joint: Any, orientation: Array, *, own_frame: bool) -> Array:
        """MuJoCo keeps the linear velocity of a free body in the world's frame and the angular one in the body's."""
        first = joint.dofadr[0]
        linear, angular = self._batch.qvel[:, first : first + 3], self._batch.qvel[:, first + 3 : first + 6]
        if own_frame:
            linear = turned_back(orientation, linear)
        else:
            angular = turned(orientation, angular)
        return np.concatenate([linear, angular], axis=1)

    def _place(self, ids: Array, start: Mapping[str, Array]) -> None:
        batch = self._batch
        if self._mode != "twist":
            batch.qpos[_at(ids, self._positions)] = start["position"]
            batch.qvel[_at(ids, self._velocities)] = start["velocity"]
        else:
            batch.qvel[_at(ids, self._velocities)] = wheel_speeds(self.robot.base, start["velocity"])
        placed = {body.name: self._free[body.name] for body in self.scene.moving}
        if self._mobile is not None:
            placed["base"] = self._mobile
            first = self._mobile.dofadr[0]
            twist, orientation = start["base_twist"], start["base"][:, 3:]
            batch.qvel[ids, first : first + 3] = turned(orientation, twist[:, :3])
            batch.qvel[ids, first + 3 : first + 6] = twist[:, 3:]
        for name, joint in placed.items():
            first, values = joint.qposadr[0], start[name]
            if values.shape[1] == 7:
                values = values[:, [0, 1, 2, 6, 3, 4, 5]]
            batch.qpos[ids, first : first + values.shape[1]] = values

    def _resting(self, position: Array) -> Array:
        """What rows are commanded until their first command, `[n, controls]`."""
        return position.copy() if self._mode == "position" else np.zeros((len(position), self.model.nu))

    def _delay(self, ids: Array, delay: Array | None, resting: Array) -> None:
        if self._delayed is None:
            if delay is None or not delay.any():
                return
            self._delayed = DelayedCommands(self.batch, self.model.nu, self.period, self._substeps)
            others = np.setdiff1d(np.arange(self.batch), ids)
            self._delayed.reset(others, np.zeros(others.size), self._batch.ctrl[others])
        self._delayed.reset(ids, np.zeros(ids.size) if delay is None else delay, resting)

    def _prepare_push(self, ids: Array, values: Mapping[str, Array]) -> None:
        names = (*_PUSH, "push_time", "push_duration")
        if self._push.any() or any(name in values for name in names):
            self._push[ids] = np.stack([values.get(name, np.zeros(ids.size)) for name in names], axis=1)

    def _apply_push(self) -> None:
        now = self._steps * self.period
        begin, end = self._push[:, 3] - 1e-9, self._push[:, 3] + self._push[:, 4] - 1e-9
        pushing = (now >= begin) & (now < end)
        self._batch.bind("xfrc_applied")[:, self._pushed, :3] = np.where(pushing[:, None], self._push[:, :3], 0.0)

    def _images(self) -> dict[str, Array]:
        images: dict[str, Array] = {}
        for camera in self._cameras:
            raise NotImplementedError(camera.name)
        return images

    def _rest(self) -> None:
        reading = self._exact()
        resting = resting_values(self.robot, self._mode, reading.position, reading.velocity)
        self._batch.ctrl[self._stopped] = resting[self._stopped]


def _columns(indices: Sequence[int]) -> Any:
    """A slice where the columns follow each other, else their indices: slices are views, and fast."""
    first, count = int(indices[0]), len(indices)
    return slice(first, first + count) if list(indices) == list(range(first, first + count)) else np.array(indices)


def _at(rows: Array, columns: Any) -> Any:
    return (rows, columns) if isinstance(columns, slice) else np.ix_(rows, columns)
