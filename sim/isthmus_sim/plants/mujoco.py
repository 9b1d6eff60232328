"""MuJoCo as a plant: a batch of simulations on the engine's own thread pool (`mujoco.batch`, MuJoCo >= 3.17)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.records import Array, Command, Measurement
from isthmus.robot import Robot
from isthmus_sim.parameters import PARAMETERS, parameter_rows
from isthmus_sim.plants.base import command_values, resting_values, rows_of, start_state, substeps

if "DISPLAY" not in os.environ:
    os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco
from mujoco.batch import Batch

__all__ = ["MujocoPlant", "compile_model"]

_POSITION_STAGE = int(mujoco.mjtStage.mjSTAGE_POS)
_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)


def compile_model(robot: Robot, mode: str, timestep: float) -> Any:
    """The robot's URDF as a MuJoCo model with one actuator per joint.

    A velocity command moves the set-point of the position servo (MuJoCo's `intvelocity`), as industrial arms do: a proportional
    velocity servo would creep under gravity. Links do not collide with each other, as nothing here models self-collision.

    Args:
        robot: profile.
        mode: command mode.
        timestep: physics step, s.
    """
    spec = mujoco.MjSpec.from_file(str(robot.urdf_path))
    spec.compiler.fusestatic = False
    spec.compiler.discardvisual = False
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A diverged row must stay visible as NaN; MuJoCo would silently put it back to qpos0.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
    for joint in robot.joints:
        element = spec.joint(joint.name)
        element.armature = joint.servo.armature
        actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        if mode == "effort":
            actuator.set_to_motor()
        elif mode == "position":
            actuator.set_to_position(kp=joint.servo.position_gain, kv=joint.servo.velocity_gain)
        else:
            actuator.set_to_intvelocity(kp=joint.servo.position_gain, kv=joint.servo.velocity_gain)
            if np.isfinite(joint.position).all():  # or the set-point would wind up behind a joint limit
                actuator.actlimited, actuator.actrange = True, list(joint.position)
        actuator.forcelimited = True
        actuator.forcerange = [-joint.effort, joint.effort]
    spec.worldbody.add_light(pos=[1, -1, 3], dir=[-0.3, 0.3, -1], castshadow=False)
    white, kind = [1.0, 1.0, 1.0], mujoco.mjtTexture.mjTEXTURE_SKYBOX
    spec.add_texture(name="sky", type=kind, builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT, rgb1=white, rgb2=white, width=8, height=48)
    return spec.compile()


class MujocoPlant:
    """A batch of simulated robots.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: number of rows.
        realtime: False.
    """

    realtime = False

    def __init__(self, robot: Robot, *, mode: str, period: float, batch: int = 1) -> None:
        """Compile the model.

        Args:
            robot: profile.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
        """
        self.robot, self.period, self.batch = robot, period, batch
        self._mode = mode
        self._substeps = substeps(period)
        self._model = compile_model(robot, mode, period / self._substeps)
        self._batch = Batch(self._model, nsim=batch, nthread=min(batch, os.cpu_count() or 1))
        joints = [self._model.joint(name) for name in robot.joint_names]
        self._positions = np.array([joint.qposadr[0] for joint in joints])
        self._velocities = np.array([joint.dofadr[0] for joint in joints])
        self._tool = self._model.body(robot.tool_frame).id
        self._base = self._model.body(robot.base_frame).id
        for name in ("qpos", "qvel", "act", "ctrl", "xpos", "xquat", "qfrc_actuator"):
            self._batch.bind(name)
        self._steps = np.zeros(batch, dtype=np.int64)
        self._stopped = np.zeros(batch, dtype=bool)
        self._renderer: Any = None
        self._changed: set[str] = set()
        self.reset()

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; this plant has no noise, so seeds change nothing."""
        ids = rows_of(rows, self.batch)
        position, velocity = start_state(self.robot, state, len(ids))
        values = parameter_rows(parameters, len(ids))
        self._batch.reset(ids, stage=_NO_STAGE)
        self._batch.qpos[np.ix_(ids, self._positions)] = position
        self._batch.qvel[np.ix_(ids, self._velocities)] = velocity
        if self._mode == "velocity":
            self._batch.act[ids] = position
        elif self._mode == "position":
            self._batch.ctrl[ids] = position
        self._set_parameters(ids, values)
        self._batch.forward(ids)  # everything, or joint efforts would be those of another episode
        self._steps[ids] = 0
        self._stopped[ids] = False

    def read(self) -> Measurement:
        """Joint states of all rows; joint efforts are those of the last physics step."""
        return Measurement(
            stamp=self._steps * self.period,
            joints=self.robot.joint_names,
            position=self._batch.qpos[:, self._positions],
            velocity=self._batch.qvel[:, self._velocities],
            effort=self._batch.qfrc_actuator[:, self._velocities],
        )

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame."""
        measurement = self.read()
        quaternion = self._batch.xquat[:, self._tool][:, [1, 2, 3, 0]]  # MuJoCo stores w, x, y, z
        pose = np.concatenate([self._batch.xpos[:, self._tool] - self._batch.xpos[:, self._base], quaternion], axis=1)
        measurement.poses = {self.robot.tool_frame: pose}
        return measurement

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = command_values(command, self._mode, self.robot, self.batch)
        self._batch.ctrl[~self._stopped] = values[~self._stopped]

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._stopped.any():
            self._rest()
        self._batch.step(nstep=self._substeps, stage=_POSITION_STAGE)
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
            self._renderer = mujoco.Renderer(self._model, height, width)
            weakref.finalize(self, self._renderer.close)  # before the interpreter takes the graphics library down
        data = self._batch.get_data(row)
        mujoco.mj_forward(self._model, data)
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

    def _set_parameters(self, ids: Array, values: Mapping[str, Array]) -> None:
        """Write the named parameters of the rows, and the nominal value of every parameter that was ever changed."""
        self._changed |= set(values)
        derived = False
        for name in sorted(self._changed):
            row = values.get(name, np.full(len(ids), PARAMETERS[name].nominal))
            if name == "gravity":
                self._batch.expand("opt.gravity")[ids] = np.stack([0 * row, 0 * row, -row], axis=1)
            elif name == "payload":
                self._batch.expand("body_mass")[ids, self._tool] = self._model.body_mass[self._tool] + row
                derived = True
            elif name == "joint_damping":
                # A URDF may carry damping of its own; the parameter comes on top of it.
                self._batch.expand("dof_damping")[np.ix_(ids, self._velocities)] = self._model.dof_damping[self._velocities] + row[:, None]
            else:
                raise ValueError(f"plant 'mujoco' cannot express parameter {name!r}")
        if derived:
            self._batch.set_const(ids)

    def _rest(self) -> None:
        reading = self.read()
        resting = resting_values(self.robot, self._mode, reading.position, reading.velocity)
        self._batch.ctrl[self._stopped] = resting[self._stopped]
