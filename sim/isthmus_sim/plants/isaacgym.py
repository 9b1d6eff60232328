"""Isaac Gym as a plant: a batch of fixed-base arms on one GPU. States and commands are GPU tensors inside and numpy copies at the waist.

**It has not been run.** It is written against the interface that the PyPI package `isaacgym-stubs` declares (Preview 4), and type-checked with it.
NVIDIA ships binaries for Python 3.6 to 3.8 only, while isthmus needs 3.10: it waits for a newer build. Run `isthmus.testing.plant_conformance` before
you trust it. The engine works in single precision, and a row of a batch is not promised to equal a single run bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import isaacgym.gymapi as gymapi
import isaacgym.gymtorch as gymtorch
import numpy as np
import torch  # after Isaac Gym, which insists on it

from isthmus.kinematics import Kinematics
from isthmus.records import Array, Command, Measurement
from isthmus.robot import Robot
from isthmus_sim.parameters import cannot_express, parameter_rows, parameter_table
from isthmus_sim.plants.base import Rest, command_values, rows_of, start_state, substeps
from isthmus_sim.plants.sensors import SENSED, Sensors
from isthmus_sim.scene import Scene

__all__ = ["IsaacGymPlant"]

_EXPRESSED = ("gravity", "payload", "joint_damping", *SENSED)


class IsaacGymPlant:
    """A batch of simulated arms, one environment each.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: number of rows.
        realtime: False.
        scene: empty: this plant simulates the robot alone.
        parameters: what `reset` can be told; those that Isaac Gym cannot express are refused there.
    """

    realtime = False

    def __init__(
        self, robot: Robot, *, mode: str, period: float, batch: int = 1, scene: Scene | None = None, cameras: Sequence[str] = ()
    ) -> None:
        """Start the simulation; arguments as in `make_plant`.

        Raises:
            ValueError: a mobile robot, a scene or cameras, or a joint or tool frame that the URDF lacks.
        """
        if robot.base.kind != "fixed":
            raise ValueError(f"plant 'isaacgym' simulates fixed bases only, robot {robot.name!r} has a {robot.base.kind} one")
        if (scene is not None and scene.bodies) or cameras:
            raise ValueError("plant 'isaacgym' simulates a robot alone, without a scene and without cameras")
        self.robot, self.period, self.batch, self.scene = robot, period, batch, Scene()
        self.parameters = parameter_table(robot, self.scene)
        self._mode, self._substeps = mode, substeps(period)
        self._timestep = period / self._substeps
        self._gym = gymapi.acquire_gym()
        self._gravity = self.parameters["gravity"].nominal
        self._sim = self._gym.create_sim(0, -1, gymapi.SIM_PHYSX, self._simulation())
        self._closed = False
        self._kinematics = Kinematics(robot.urdf_path)
        self._sensors = Sensors(batch, period)
        self._rest = Rest(robot, mode, batch)
        self._payload, self._damping = np.zeros(batch), np.zeros(batch)
        self._make_environments()
        limits = robot.limits()
        self._low, self._high, self._effort = (self._tensor(v) for v in (limits.position_low, limits.position_high, limits.effort))
        shape = (batch, len(robot.joints))
        self._command, self._setpoint = self._tensor(np.zeros(shape)), self._tensor(np.zeros(shape))
        self._pending = np.zeros(batch, dtype=bool)  # rows whose start state the simulation has not seen
        self._steps = np.zeros(batch, dtype=np.int64)
        self._stopped = np.zeros(batch, dtype=bool)
        self.reset()

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; gravity is one for all rows, and changes only when all are reset."""
        ids = rows_of(rows, self.batch)
        start = start_state(self.robot, self.scene, state, len(ids))
        values = parameter_rows(self.parameters, parameters, len(ids))
        self._set_parameters(ids, values)
        places = torch.as_tensor(ids, device=self._device)
        position, velocity = self._tensor(start["position"]), self._tensor(start["velocity"])
        joints = torch.as_tensor(self._joints, device=self._device)
        self._state[places[:, None], joints, 0] = position
        self._state[places[:, None], joints, 1] = velocity
        self._setpoint[places] = position
        self._command[places] = position if self._mode == "position" else 0.0
        self._pending[ids] = True
        self._sensors.reset(ids, seeds, values)
        self._steps[ids] = 0
        self._stopped[ids] = False

    def read(self) -> Measurement:
        """What the sensors of all rows say; joint efforts are those of the last physics step."""
        return self._sensors.sense(self._exact(), self._steps)

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame by the core's kinematics: the engine's own is one step old after a reset."""
        measurement = self._exact()
        pose = self._kinematics.poses(measurement.joints, measurement.position, [self.robot.tool_frame])[self.robot.tool_frame]
        measurement.poses = {self.robot.tool_frame: pose.vector()}
        return measurement

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = self._tensor(command_values(command, self._mode, self.robot, self.batch))
        free = torch.as_tensor(~self._stopped, device=self._device)
        self._command[free] = values[free]

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._stopped.any():
            self._hold_still()
        if self._sensors.late:
            self._sensors.record(self._exact())
        if self._pending.any():  # once before a step: of two indexed writes the engine keeps the last
            actors = self._actors[torch.as_tensor(np.flatnonzero(self._pending), device=self._device)]
            self._gym.set_dof_state_tensor_indexed(self._sim, self._shown(self._state), self._shown(actors), len(actors))
            self._pending[:] = False
        for _ in range(self._substeps):
            self._drive()
            self._gym.simulate(self._sim)
            self._gym.fetch_results(self._sim, True)
            self._gym.refresh_dof_state_tensor(self._sim)
        self._gym.refresh_dof_force_tensor(self._sim)
        self._steps += 1

    def stop(self, reason: str) -> None:
        """Command rest, and ignore what is written until `reset`; an effort-controlled robot is damped."""
        self._stopped[:] = True
        self._rest.begin(self._exact())
        self._hold_still()

    def close(self) -> None:
        """Destroy the simulation."""
        if not self._closed:
            self._gym.destroy_sim(self._sim)
            self._closed = True

    def render(self, row: int = 0, **options: object) -> Array:
        """Always a ValueError: there are no pictures."""
        raise ValueError("plant 'isaacgym' draws no pictures; use --plant mujoco or pybullet for them")

    def _simulation(self) -> gymapi.SimParams:
        settings = gymapi.SimParams()
        settings.dt, settings.substeps = self._timestep, 1
        settings.up_axis = gymapi.UP_AXIS_Z
        settings.gravity = gymapi.Vec3(0.0, 0.0, -self._gravity)
        settings.use_gpu_pipeline = settings.physx.use_gpu = True
        return settings

    def _make_environments(self) -> None:
        gym, robot = self._gym, self.robot
        options = gymapi.AssetOptions()
        options.fix_base_link, options.collapse_fixed_joints = True, False
        options.linear_damping = options.angular_damping = 0.0
        asset = gym.load_asset(self._sim, str(robot.urdf_path.parent), robot.urdf, options)
        self._joints = [gym.find_asset_dof_index(asset, name) for name in robot.joint_names]
        self._tool = gym.find_asset_rigid_body_index(asset, robot.tool_frame)
        for name, index in zip((*robot.joint_names, robot.tool_frame), (*self._joints, self._tool), strict=True):
            if index < 0:
                raise ValueError(f"{robot.urdf} has no joint or link {name!r}")
        corner, side, actors = gymapi.Vec3(1.0, 1.0, 1.0), int(np.ceil(np.sqrt(self.batch))), []
        self._environments: list[tuple[gymapi.Env, int]] = []
        for row in range(self.batch):
            environment = gym.create_env(self._sim, gymapi.Vec3(-1.0, -1.0, -1.0), corner, side)
            # One group per row and a common filter bit: rows do not touch each other, and links of a robot do not either.
            actor = gym.create_actor(environment, asset, gymapi.Transform(), robot.name, row, 1)
            gym.enable_actor_dof_force_sensors(environment, actor)
            self._environments.append((environment, actor))
            actors.append(gym.get_actor_index(environment, actor, gymapi.DOMAIN_SIM))
            self._set_servo(row)
        self._weight = gym.get_actor_rigid_body_properties(*self._environments[0])[self._tool].mass
        gym.prepare_sim(self._sim)
        count = gym.get_asset_dof_count(asset)
        self._state = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(self._sim)).view(self.batch, count, 2)
        self._force = gymtorch.wrap_tensor(gym.acquire_dof_force_tensor(self._sim)).view(self.batch, count)
        self._device = self._state.device
        self._actors = torch.as_tensor(actors, dtype=torch.int32, device=self._device)
        self._targets = torch.zeros_like(self._force)

    def _set_servo(self, row: int) -> None:
        environment, actor = self._environments[row]
        servos = self._gym.get_actor_dof_properties(environment, actor)
        for index, joint in zip(self._joints, self.robot.joints, strict=True):
            direct = self._mode == "effort"
            servos["driveMode"][index] = int(gymapi.DOF_MODE_EFFORT if direct else gymapi.DOF_MODE_POS)
            servos["stiffness"][index] = 0.0 if direct else joint.servo.position_gain
            # Viscous friction acts like more damping of a servo that asks for zero velocity; for efforts `_drive` subtracts it.
            servos["damping"][index] = 0.0 if direct else joint.servo.velocity_gain + self._damping[row]
            servos["effort"][index], servos["armature"][index] = joint.effort, joint.servo.armature
        self._gym.set_actor_dof_properties(environment, actor, servos)

    def _drive(self) -> None:
        if self._mode == "effort":
            velocity = self._state[:, self._joints, 1]
            effort = torch.clamp(self._command, -self._effort, self._effort)
            self._targets[:, self._joints] = effort - self._tensor(self._damping)[:, None] * velocity
            self._gym.set_dof_actuation_force_tensor(self._sim, self._shown(self._targets))
            return
        if self._mode == "velocity":  # the set-point of the position servo moves, as in the other engines
            self._setpoint = torch.clamp(self._setpoint + self._command * self._timestep, self._low, self._high)
        self._targets[:, self._joints] = self._command if self._mode == "position" else self._setpoint
        self._gym.set_dof_position_target_tensor(self._sim, self._shown(self._targets))

    def _set_parameters(self, ids: Array, values: Mapping[str, Array]) -> None:
        for name in values:
            if name not in _EXPRESSED:
                raise cannot_express("isaacgym", name, f"it expresses {', '.join(_EXPRESSED)}")
        gravity = values.get("gravity", np.full(len(ids), self.parameters["gravity"].nominal))
        if (gravity != self._gravity).any():
            if len(ids) < self.batch or (gravity != gravity[0]).any():
                raise cannot_express("isaacgym", "gravity", "it is one for all rows, and changes only when all rows are reset")
            self._gravity = float(gravity[0])
            self._gym.set_sim_params(self._sim, self._simulation())
        for place, row in enumerate(ids.tolist()):
            payload, damping = (float(values[name][place]) if name in values else 0.0 for name in ("payload", "joint_damping"))
            if payload != self._payload[row]:
                self._payload[row] = payload
                environment, actor = self._environments[row]
                bodies = self._gym.get_actor_rigid_body_properties(environment, actor)
                bodies[self._tool].mass = self._weight + payload
                self._gym.set_actor_rigid_body_properties(environment, actor, bodies, False)
            if damping != self._damping[row]:
                self._damping[row] = damping
                self._set_servo(row)

    def _exact(self) -> Measurement:
        state = self._state[:, self._joints].cpu().numpy().astype(np.float64)
        effort = self._force[:, self._joints].cpu().numpy().astype(np.float64)
        return Measurement(self._steps * self.period, self.robot.joint_names, state[:, :, 0], state[:, :, 1], effort)

    def _hold_still(self) -> None:
        stopped = torch.as_tensor(self._stopped, device=self._device)
        self._command[stopped] = self._tensor(self._rest.values(self._exact()))[stopped]

    def _tensor(self, values: object) -> Any:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self._device)

    def _shown(self, tensor: Any) -> Any:
        return gymtorch.unwrap_tensor(tensor)
