"""What the joint motors of a robot in PyBullet make of a command.

Bullet's motors are velocity constraints, stiffer than a real servo, and there is no rotor inertia. The legs of a floating robot are driven by the
torques of their servos instead, because their compliance matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pybullet

from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.parameters import urdf_dynamics
from isthmus_sim.plants.base import sliding
from isthmus_sim.plants.pybullet_world import World
from isthmus_sim.plants.servo_stability import unstable_servos

__all__ = ["Drives", "inexpressible", "is_compliant"]


def is_compliant(robot: Robot, mode: str) -> bool:
    """Whether joints are driven by the torques of their servos."""
    return robot.base.kind == "floating" and mode == "position"


def inexpressible(name: str, robot: Robot, mode: str) -> str:
    """Why PyBullet has no such parameter, "" if it has."""
    target, _, quantity = name.rpartition(".")
    if name == "joint_damping" and robot.base.kind == "differential":
        return "the motors of its wheels are constraints"
    if target not in robot.joint_names:
        return ""
    if quantity == "armature":
        return "it has no rotor inertia"
    if quantity in ("stiction", "stribeck_velocity", "load_friction"):
        return "its dry friction is Coulomb's alone"
    if quantity == "gain":
        return "its joint motors are constraints without a stiffness"
    if quantity == "frictionloss" and mode != "effort" and robot.base.kind == "fixed":
        return "its joint motors leave no room for dry friction"
    return ""


class Drives:
    """The motors of all rows.

    Attributes:
        joints: Bullet's indices of the driven joints.
    """

    def __init__(self, robot: Robot, mode: str, world: World, timestep: float, batch: int) -> None:
        """Read what the motors can.

        Args:
            robot: profile.
            mode: command mode.
            world: has the robot loaded.
            timestep: of the physics, s.
            batch: number of rows.

        Raises:
            ValueError: motors that PyBullet cannot express, or servos that are unstable at this step.
        """
        self._robot, self._mode, self._world, self._timestep = robot, mode, world, timestep
        self.joints = [world.joints[name] for name in (robot.base.wheels if mode == "twist" else robot.joint_names)]
        self._compliant = is_compliant(robot, mode)
        if self._compliant and (unstable := unstable_servos(robot, timestep)):
            raise ValueError(f"plant 'pybullet' cannot hold {robot.name!r}: {unstable}; choose smaller ones")
        self._servos = mode in ("position", "velocity") and not self._compliant
        self._efforts = [robot.base.wheel_effort] * 2 if mode == "twist" else [joint.effort for joint in robot.joints]
        self._limits, self._ones = np.array(self._efforts), [1.0] * len(self._efforts)
        self._sliding = sliding(robot)
        self._stiffness = np.array([joint.servo.position_gain for joint in robot.joints])
        self._damping = np.array([joint.servo.velocity_gain for joint in robot.joints])
        self._gains = [self._ones] * batch
        self._losses = np.zeros((batch, len(self.joints)))
        self._fastest = np.tile([joint.servo.no_load_speed for joint in robot.joints], (batch, 1))
        self._motors = bool(np.isfinite(self._fastest).any())
        if self._motors and not (mode == "effort" or self._compliant):
            raise ValueError(
                "plant 'pybullet' cannot express a torque that depends on speed (servo.no_load_speed): its joint motors are constraints"
            )
        self._dynamics = urdf_dynamics(robot)

    def configure(self, client: int, row: int, values: Mapping[str, float]) -> None:
        """Friction and damping of the joints, and no motor that nobody asked for."""
        robot, c = self._world.robot, {"physicsClientId": client}
        for index, profile in enumerate(self._robot.joints):
            self._fastest[row, index] = values.get(f"{profile.name}.no_load_speed", profile.servo.no_load_speed)
        damping: dict[str, float] = {}
        for name, joint in self._world.joints.items():
            if name not in self._robot.joint_names and name not in self._robot.base.wheels:
                continue
            own, dry = self._dynamics[name]
            damping[name] = values.get(f"{name}.damping", own) + values.get("joint_damping", 0.0)
            friction = values.get(f"{name}.frictionloss", dry)
            pybullet.changeDynamics(robot, joint, jointDamping=0.0 if self._servos else damping[name], **c)
            # A velocity motor towards zero with a small largest torque is dry friction; with none the joint is free.
            pybullet.setJointMotorControl2(robot, joint, pybullet.VELOCITY_CONTROL, targetVelocity=0, force=friction, **c)
        if self._servos:
            # A servo with gains kp and kv on a joint with damping d follows its set-point with the time constant (kv + d) / kp; the motor is told so
            # per physics step. Bullet's own damping would be lost on a motor that is a constraint, or make a light joint unstable.
            servos = [(joint.servo.velocity_gain + damping[joint.name], joint.servo.position_gain) for joint in self._robot.joints]
            lags = [loss / stiffness if stiffness else 0.0 for loss, stiffness in servos]
            self._losses[row] = [damping[name] for name in self._robot.joint_names]
            self._gains[row] = [min(self._timestep / lag, 1.0) if lag else 1.0 for lag in lags]

    def drive(self, client: int, row: int, command: list[float]) -> None:
        """Tell the motors of one row what to do in the next physics step; in velocity mode by the moving set-point."""
        robot, joints = self._world.robot, self.joints
        c: dict[str, Any] = {"physicsClientId": client}
        if self._mode == "effort":
            forces = self._within_limits(row, np.array(command), self._velocity(client)).tolist()
            pybullet.setJointMotorControlArray(robot, joints, pybullet.TORQUE_CONTROL, forces=forces, **c)
        elif self._mode == "twist":
            pybullet.setJointMotorControlArray(
                robot, joints, pybullet.VELOCITY_CONTROL, targetVelocities=command, forces=self._efforts, **c
            )
        elif self._compliant:
            states = pybullet.getJointStates(robot, joints, **c)
            position, velocity = np.array([state[0] for state in states]), np.array([state[1] for state in states])
            torques = self._torques(row, np.array(command), position, velocity)
            pybullet.setJointMotorControlArray(robot, joints, pybullet.TORQUE_CONTROL, forces=torques.tolist(), **c)
        else:
            pybullet.setJointMotorControlArray(
                robot,
                joints,
                pybullet.POSITION_CONTROL,
                targetPositions=command,
                forces=self._strengths(client, command),
                positionGains=self._gains[row],
                velocityGains=self._ones,
                **c,
            )

    def efforts(self, command: Array, position: Array, velocity: Array, applied: Array) -> Array:
        """What the motors gave in the last physics step, `[B, joints]`; `applied` is what Bullet says, which knows constraints only.

        The motor of a servo also gives what the damping of its joint takes, which the constraint in its place never feels.
        """
        if self._mode == "effort":
            return self._within_limits(slice(None), command, velocity)
        return self._torques(slice(None), command, position, velocity) if self._compliant else applied + self._losses * velocity

    def _strengths(self, client: int, command: list[float]) -> list[float]:
        """What each motor may push with: a finger no harder than its servo's spring, or two that pinch something would not care where they are."""
        if not self._sliding:
            return self._efforts
        strengths = list(self._efforts)
        for index in self._sliding:
            position = pybullet.getJointState(self._world.robot, self.joints[index], physicsClientId=client)[0]
            strengths[index] = min(strengths[index], self._stiffness[index] * abs(command[index] - position))
        return strengths

    def _torques(self, row: int | slice, command: Array, position: Array, velocity: Array) -> Array:
        return self._within_limits(row, self._stiffness * (command - position) - self._damping * velocity, velocity)

    def _within_limits(self, row: int | slice, effort: Array, velocity: Array) -> Array:
        """What the motors give: at most their effort, and that of a DC motor falls with its speed."""
        if self._motors:
            slope = velocity / self._fastest[row]
            effort = np.clip(effort, self._limits * (-1 - slope), self._limits * (1 - slope))
        return np.asarray(np.clip(effort, -self._limits, self._limits))

    def _velocity(self, client: int) -> Array:
        if not self._motors:
            return np.zeros(len(self.joints))
        return np.array([state[1] for state in pybullet.getJointStates(self._world.robot, self.joints, physicsClientId=client)])
