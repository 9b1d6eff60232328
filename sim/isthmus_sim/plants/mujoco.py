"""MuJoCo as a plant: a batch of simulations on the engine's own thread pool (`mujoco.batch`, MuJoCo >= 3.17)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus.images import convert_color
from isthmus.records import Array, Command, Measurement
from isthmus.robot import Camera, Robot
from isthmus_sim.appearance import AppearanceRanges, add_pool
from isthmus_sim.batch_pictures import BatchPictures
from isthmus_sim.camera_rig import CameraRig, find_cameras
from isthmus_sim.cameras import free_view
from isthmus_sim.dumps import save_dump
from isthmus_sim.parameters import cannot_express, parameter_rows, parameter_table
from isthmus_sim.plants.base import (
    Rest,
    command_values,
    odometry,
    rows_of,
    start_state,
    substeps,
    wheel_speeds,
)
from isthmus_sim.plants.command_path import CommandPaths
from isthmus_sim.plants.mujoco_bodies import Bodies
from isthmus_sim.plants.mujoco_model import build_spec, compile_model, compiled
from isthmus_sim.plants.mujoco_parameters import RowParameters
from isthmus_sim.plants.sensors import Sensors
from isthmus_sim.scene import Scene

__all__ = ["MujocoPlant", "compile_model"]

_POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)
_PUSH = ("push_x", "push_y", "push_z", "push_time", "push_duration")


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
        substeps: physics steps per control period.
        threads: of the engine.
        pictures: draws rows.
    """

    realtime = False

    def __init__(
        self,
        robot: Robot,
        *,
        mode: str,
        period: float,
        batch: int = 1,
        scene: Scene | None = None,
        cameras: Sequence[str] = (),
        appearance: AppearanceRanges | None = None,
        threads: int | None = None,
    ) -> None:
        """Compile the model.

        Args:
            robot: profile.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
            scene: what stands around the robot.
            cameras: of the robot, whose images `read` shows.
            appearance: ranges that the look of each episode is drawn from; None for a plain look.
            threads: of the engine; None means one per processor.
        """
        self.robot, self.period, self.batch = robot, period, batch
        self.scene = scene or Scene()
        self.parameters = parameter_table(robot, self.scene)
        self.substeps = substeps(period)
        self.threads = min(batch, threads or os.cpu_count() or 1)
        self._mode, self._joints = mode, robot.joint_names
        spec = build_spec(robot, mode, period / self.substeps, self.scene)
        if appearance is not None:
            add_pool(spec)
        self.model = compiled(spec, robot)
        self._xml = spec.to_xml
        self._batch = Batch(self.model, nsim=batch, nthread=self.threads)
        # Live arrays, bound once: asking the batch for them again costs more than reading them.
        names = ("qpos", "qvel", "act", "ctrl", "qfrc_actuator")
        self._qpos, self._qvel, self._act, self._ctrl, self._effort = (self._batch.bind(name) for name in names)
        driven = [self.model.joint(name) for name in (robot.base.wheels if mode == "twist" else robot.joint_names)]
        self._positions = _columns([joint.qposadr[0] for joint in driven])
        self._velocities = _columns([joint.dofadr[0] for joint in driven])
        self._bodies = Bodies(self.model, self._batch, robot, self.scene)
        self._rows = RowParameters(
            self.model,
            self._batch,
            self.parameters,
            tool=robot.tool_frame,
            casters=robot.base.casters,
            scene=[body.name for body in self.scene.bodies],
        )
        self._sensors = Sensors(batch, period)
        self._rest = Rest(robot, mode, batch)
        self._paths = CommandPaths(self.parameters, batch, self.model.nu, period, self.substeps)
        self._push = np.zeros((batch, len(_PUSH)))
        self._pushing = False
        self._steps = np.zeros(batch, dtype=np.int64)
        self._stopped = np.zeros(batch, dtype=bool)
        self._any_stopped = False
        self._sample: Measurement | None = None  # the exact state of now; nobody writes into it
        self._state = self._batch.state
        self._before = self._state.copy()
        self.pictures = BatchPictures(self.model, self._batch)
        self._rig = CameraRig(find_cameras(robot, cameras), batch, period, self.pictures.camera, appearance, self.model.nbody)
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
        if self._mode == "effort" and (gains := [name for name in values if name.endswith(".gain")]):
            raise cannot_express("mujoco", gains[0], "effort commands pass no servo")
        self._batch.reset(ids, stage=_NO_STAGE)
        self._place(ids, start)
        resting = start["position"] if self._mode == "position" else np.zeros((len(ids), self.model.nu))
        self._ctrl[ids] = resting
        if self._mode == "velocity":
            self._act[ids] = start["position"]
        self._rows.write(ids, values)
        self._sensors.reset(ids, seeds, values)
        self._paths.reset(ids, values, resting, self._ctrl, seeds)
        self._prepare_push(ids, values)
        self._batch.forward(ids)  # everything, or joint efforts would be those of another episode
        self._steps[ids] = 0
        self._stopped[ids] = False
        self._any_stopped = bool(self._stopped.any())
        self._sample = None
        self._rig.reset(ids, seeds)

    def read(self) -> Measurement:
        """What the sensors of all rows say; joint efforts are those of the last physics step."""
        measurement = self._sensors.sense(self._exact(), self._steps)
        if self._rig.cameras:
            measurement.images = self._rig.read(self._steps)
        return measurement

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame and of every scene body that the robot does not carry."""
        exact = self._exact()
        poses = {**exact.poses, **self._bodies.standing(), self.robot.tool_frame: self._bodies.tool()}
        return Measurement(exact.stamp, exact.joints, exact.position, exact.velocity, exact.effort, poses, exact.twists)

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = command_values(command, self._mode, self.robot, self.batch)
        if self._mode == "twist":
            values = wheel_speeds(self.robot.base, values)
        if self._any_stopped:
            self._ctrl[~self._stopped] = values[~self._stopped]
        else:
            self._ctrl[:] = values

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._any_stopped:
            self._hold_still()
        if self._sensors.late:
            self._sensors.record(self._exact())
        if self._pushing:
            self._apply_push()
        self._before[:] = self._state
        path, friction = self._paths.path, self._rows.friction
        if path is None and friction is None:
            self._batch.step(nstep=self.substeps, stage=_POSITION_STAGE)
        else:
            asked = self._ctrl.copy()
            commands = path.push(asked) if path is not None else np.repeat(asked[:, None], self.substeps, axis=1)
            if friction is not None:
                for step in range(self.substeps - 1):
                    friction.apply()
                    self._ctrl[:] = commands[:, step]
                    self._batch.step()
                friction.apply()
            elif self.substeps > 1:
                self._batch.rollout(self.substeps - 1, control=commands[:, :-1], control_spec=_CONTROL, record=())
            # A rollout leaves the joint efforts of any row behind, a step those of each row.
            self._ctrl[:] = commands[:, -1]
            self._batch.step(stage=_POSITION_STAGE)
            self._ctrl[:] = asked
        self._steps += 1
        self._sample = None

    def follow(self, other: MujocoPlant, rows: Array, ids: Array) -> None:
        """Put rows `ids` `[n]` where rows `rows` `[n]` of another plant of the same model are; their parameters stay their own.

        The state is the whole one, with the solver's warm start, and commands that are still under way.
        """
        self._state[ids] = other._state[rows]
        self._paths.follow(other._paths, rows, ids)
        self._steps[ids] = other._steps[rows]
        self._sample = None

    def stop(self, reason: str) -> None:
        """Command rest, and ignore what is written until `reset`; an effort-controlled robot is damped."""
        self._stopped[:] = self._any_stopped = True
        self._rest.begin(self._exact())
        self._hold_still()

    def close(self) -> None:
        """Release the graphics; the batch goes with the object."""
        self.pictures.close()

    def render(
        self,
        row: int = 0,
        *,
        height: int = 480,
        width: int = 640,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.4),
        distance: float = 2.0,
        markers: tuple[tuple[float, float, float], ...] = (),
        studio: bool = False,
    ) -> Array:
        """See `RenderedSimulator.render`; `studio` adds ground, shadows and sky."""
        view = free_view(look_at, distance, np.radians(55.0), np.radians(-20.0), height=height, width=width)
        return self.pictures.picture(row, view, markers, studio=studio)

    def picture(self, camera: Camera, row: int = 0) -> Array:
        """What a camera of the robot sees now, `[H, W, C]` uint8, without its latency and with a plain look."""
        return convert_color(self.pictures.camera(row, camera), "rgb8", camera.spec.encoding)

    def dump(self, row: int, path: Path) -> None:
        """Save what `isthmus view --dump` opens: the row's model, its state before the last control period, and the control of that period."""
        control = self._ctrl[row].copy()
        save_dump(path, self._xml(), self._rows.fields(row), self._before[row].copy(), control)

    def _exact(self) -> Measurement:
        if self._sample is None:
            position = self._qpos[:, self._positions].copy()
            velocity = self._qvel[:, self._velocities].copy()
            effort = self._effort[:, self._velocities].copy()
            if self._mode == "twist":
                position, velocity, effort = (odometry(self.robot.base, values) for values in (position, velocity, effort))
            self._sample = Measurement(self._steps * self.period, self._joints, position, velocity, effort)
            if self._bodies.any:
                self._sample.poses, self._sample.twists = self._bodies.moving()
        return self._sample

    def _place(self, ids: Array, start: Mapping[str, Array]) -> None:
        if self._mode == "twist":
            self._qvel[_at(ids, self._velocities)] = wheel_speeds(self.robot.base, start["velocity"])
        else:
            self._qpos[_at(ids, self._positions)] = start["position"]
            self._qvel[_at(ids, self._velocities)] = start["velocity"]
        self._bodies.place(ids, start)

    def _prepare_push(self, ids: Array, values: Mapping[str, Array]) -> None:
        if self._pushing or any(name in values for name in _PUSH):
            self._pushing = True
            self._push[ids] = np.stack([values.get(name, np.zeros(ids.size)) for name in _PUSH], axis=1)

    def _apply_push(self) -> None:
        now = self._steps * self.period
        begin = self._push[:, 3] - 1e-9
        during = (now >= begin) & (now < begin + self._push[:, 4])
        self._batch.bind("xfrc_applied")[:, self._bodies.pushed, :3] = np.where(during[:, None], self._push[:, :3], 0.0)

    def _hold_still(self) -> None:
        self._ctrl[self._stopped] = self._rest.values(self._exact())[self._stopped]


def _columns(indices: Sequence[int]) -> Any:
    """A slice where the columns follow each other, else their indices: slices are views, and fast."""
    first, count = int(indices[0]), len(indices)
    return slice(first, first + count) if list(indices) == list(range(first, first + count)) else np.array(indices)


def _at(rows: Array, columns: Any) -> Any:
    return (rows, columns) if isinstance(columns, slice) else np.ix_(rows, columns)
