"""PyBullet as a plant: one physics client per row, stepped one after another.

Its joint motors are velocity constraints, stiffer than a real servo, and it has no rotor inertia: a second opinion on the dynamics
rather than a copy of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pybullet

from isthmus.records import Array, Command, Measurement
from isthmus.robot import Robot
from isthmus_sim.parameters import PARAMETERS, parameter_rows
from isthmus_sim.plants.base import command_values, resting_values, rows_of, start_state, substeps

__all__ = ["PybulletPlant"]


class PybulletPlant:
    """A batch of simulated robots.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: number of rows.
        realtime: False.
    """

    realtime = False

    def __init__(self, robot: Robot, *, mode: str, period: float, batch: int = 1) -> None:
        """Start the physics clients and load the URDF.

        Args:
            robot: profile.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
        """
        self.robot, self.period, self.batch = robot, period, batch
        self._mode = mode
        self._substeps = substeps(period)
        self._timestep = period / self._substeps
        self._clients = [pybullet.connect(pybullet.DIRECT) for _ in range(batch)]
        self._body = 0
        for client in self._clients:
            self._load(client)
        indices, links = {}, {}
        for index in range(pybullet.getNumJoints(self._body, physicsClientId=self._clients[0])):
            information = pybullet.getJointInfo(self._body, index, physicsClientId=self._clients[0])
            indices[information[1].decode()] = index
            links[information[12].decode()] = index
        self._joints = [indices[name] for name in robot.joint_names]
        self._tool = links[robot.tool_frame]
        limits = robot.limits()
        self._low, self._high = np.array(limits.position_low), np.array(limits.position_high)
        self._efforts = [joint.effort for joint in robot.joints]
        # A servo with gains kp and kv follows its set-point with the time constant kv / kp; the motor is told so per physics step.
        lags = [joint.servo.velocity_gain / joint.servo.position_gain if joint.servo.position_gain else 0.0 for joint in robot.joints]
        self._gains = [min(self._timestep / lag, 1.0) if lag else 1.0 for lag in lags]
        self._command = np.zeros((batch, len(self._joints)))
        self._setpoint = np.zeros((batch, len(self._joints)))
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
        """See `Plant.reset`; this plant has no noise, so seeds change nothing."""
        ids = rows_of(rows, self.batch)
        position, velocity = start_state(self.robot, state, len(ids))
        values = parameter_rows(parameters, len(ids))
        for place, row in enumerate(ids):
            client = self._clients[row]
            # Bullet's solver remembers its last impulses; only a fresh world makes an episode independent of the one before.
            pybullet.resetSimulation(physicsClientId=client)
            self._load(client)
            self._set_parameters(client, {name: float(row_values[place]) for name, row_values in values.items()})
            for index, joint in enumerate(self._joints):
                pybullet.resetJointState(self._body, joint, position[place, index], velocity[place, index], physicsClientId=client)
                pybullet.setJointMotorControl2(self._body, joint, pybullet.VELOCITY_CONTROL, force=0, physicsClientId=client)
        self._setpoint[ids] = position
        self._command[ids] = position if self._mode == "position" else 0.0
        self._steps[ids] = 0
        self._stopped[ids] = False

    def read(self) -> Measurement:
        """Joint states of all rows; joint efforts are those that the motors applied in the last physics step."""
        shape = (self.batch, len(self._joints))
        position, velocity, effort = np.empty(shape), np.empty(shape), np.empty(shape)
        for row, client in enumerate(self._clients):
            for index, joint_state in enumerate(pybullet.getJointStates(self._body, self._joints, physicsClientId=client)):
                position[row, index], velocity[row, index], _, effort[row, index] = joint_state
        if self._mode == "effort":
            effort = self._command.copy()
        return Measurement(self._steps * self.period, self.robot.joint_names, position, velocity, effort)

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame."""
        measurement = self.read()
        poses = np.empty((self.batch, 7))
        for row, client in enumerate(self._clients):
            state = pybullet.getLinkState(self._body, self._tool, computeForwardKinematics=True, physicsClientId=client)
            poses[row] = (*state[4], *state[5])
        measurement.poses = {self.robot.tool_frame: poses}
        return measurement

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = command_values(command, self._mode, self.robot, self.batch)
        self._command[~self._stopped] = values[~self._stopped]

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._stopped.any():
            self._rest()
        for _ in range(self._substeps):
            if self._mode == "velocity":
                self._setpoint = np.clip(self._setpoint + self._command * self._timestep, self._low, self._high)
            for row, client in enumerate(self._clients):
                self._drive(row, client)
                pybullet.stepSimulation(physicsClientId=client)
        self._steps += 1

    def stop(self, reason: str) -> None:
        """Command rest, and ignore what is written until `reset`; an effort-controlled robot is damped."""
        self._stopped[:] = True
        self._rest()

    def close(self) -> None:
        """Disconnect the clients."""
        for client in self._clients:
            pybullet.disconnect(physicsClientId=client)
        self._clients = []

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
        client = self._clients[row]
        bodies = []
        for marker in markers:
            shape = pybullet.createVisualShape(pybullet.GEOM_SPHERE, radius=0.03, rgbaColor=[0.2, 0.8, 0.3, 1], physicsClientId=client)
            bodies.append(pybullet.createMultiBody(0, -1, shape, marker, physicsClientId=client))
        view = pybullet.computeViewMatrixFromYawPitchRoll(look_at, distance, -35.0, -20.0, 0, 2)
        projection = pybullet.computeProjectionMatrixFOV(45.0, width / height, 0.05, 10.0)
        pixels = pybullet.getCameraImage(width, height, view, projection, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client)[2]
        for body in bodies:
            pybullet.removeBody(body, physicsClientId=client)
        return np.reshape(np.asarray(pixels, dtype=np.uint8), (height, width, 4))[:, :, :3].copy()

    def _load(self, client: int) -> None:
        pybullet.setTimeStep(self._timestep, physicsClientId=client)
        pybullet.setGravity(0, 0, -PARAMETERS["gravity"].nominal, physicsClientId=client)
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        self._body = pybullet.loadURDF(str(self.robot.urdf_path), useFixedBase=True, flags=flags, physicsClientId=client)
        for link in range(-1, pybullet.getNumJoints(self._body, physicsClientId=client)):
            # Bullet damps every link by default; the other engines do not.
            pybullet.changeDynamics(self._body, link, linearDamping=0, angularDamping=0, jointDamping=0, physicsClientId=client)
            pybullet.setCollisionFilterGroupMask(self._body, link, 0, 0, physicsClientId=client)

    def _drive(self, row: int, client: int) -> None:
        if self._mode == "effort":
            pybullet.setJointMotorControlArray(
                self._body, self._joints, pybullet.TORQUE_CONTROL, forces=self._command[row].tolist(), physicsClientId=client
            )
            return
        target = self._command if self._mode == "position" else self._setpoint
        pybullet.setJointMotorControlArray(
            self._body,
            self._joints,
            pybullet.POSITION_CONTROL,
            targetPositions=target[row].tolist(),
            forces=self._efforts,
            positionGains=self._gains,
            velocityGains=[1.0] * len(self._joints),
            physicsClientId=client,
        )

    def _set_parameters(self, client: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if name == "gravity":
                pybullet.setGravity(0, 0, -value, physicsClientId=client)
            elif name == "payload":
                pybullet.changeDynamics(self._body, self._tool, mass=value, physicsClientId=client)
            elif name == "joint_damping":
                for joint in self._joints:
                    pybullet.changeDynamics(self._body, joint, jointDamping=value, physicsClientId=client)
            else:
                raise ValueError(f"plant 'pybullet' cannot express parameter {name!r}")

    def _rest(self) -> None:
        reading = self.read()
        resting = resting_values(self.robot, self._mode, reading.position, reading.velocity)
        self._command[self._stopped] = resting[self._stopped]
