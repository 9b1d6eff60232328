"""Resolved-rate motion of a tool: joint velocities that carry the tip of a tool towards a target pose.

Damped least squares with the joints' own wishes in what is left of the null space (Siciliano, Sciavicco, Villani, Oriolo: "Robotics", eq. 3.54 and
3.59; orientation error of section 3.7.3). It avoids no obstacle and knows no acceleration limit; the guard behind it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.kinematics import Kinematics, quaternion
from isthmus.records import Array, reorder
from isthmus.robot import Robot, load_robot

__all__ = ["CartesianMotion"]

DAMPING = 0.03  # m and rad per unit of joint motion: singular values far below this are not used
POSTURE_GAIN = 0.5  # 1/s


class CartesianMotion:
    """Moves the tip of an arm's tool.

    Attributes:
        contract: observes the commanded joints (source `joint_position`). In velocity mode it should observe their velocities too, because a servo's
            set-point is ahead of the measured position; in position mode it must observe the previous action. With efforts, use `rates`.
        tip: of the tool, in the tool frame, `[3]`, m.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        tip: Sequence[float] = (0.0, 0.0, 0.0),
        gain: float = 5.0,
        speed: float = 0.3,
        turning: float = 1.5,
        robot: Robot | None = None,
    ) -> None:
        """Bind a contract.

        Args:
            contract: of the policy.
            tip: point that is moved, in the tool frame, m.
            gain: the error decays at this rate, 1/s.
            speed: largest speed of the tip, m/s.
            turning: largest angular speed of the tool, rad/s.
            robot: profile; None loads the one that the contract names.

        Raises:
            ValueError: the action is no joint command, or a signal is missing.
        """
        self._robot = robot or load_robot(contract.robot)
        sources = {signal.source: signal for signal in contract.observation if set(signal.elements) >= set(contract.action.elements)}
        needed = {"velocity": "joint_position", "position": "previous_action", "effort": "joint_position"}
        if contract.mode not in needed:
            raise ValueError(f"cartesian motion needs an arm with joints; the contract's action is {contract.mode}")
        if needed[contract.mode] not in sources:
            raise ValueError(
                f"cartesian motion in {contract.mode} mode observes {needed[contract.mode]}; the contract has {', '.join(sources)}"
            )
        self.contract = contract
        self.tip = np.array(tip, dtype=float)
        self._sources = sources
        self._gain, self._speed, self._turning = gain, speed, turning
        self._kinematics = Kinematics(self._robot.urdf_path)
        self._joints = contract.action.elements
        self._home = reorder(self._robot.home[None], self._robot.joint_names, self._joints)[0]
        fastest = reorder(np.array(contract.limits.velocity)[None], contract.limits.joints, self._joints)[0]
        if contract.mode == "velocity":
            fastest = np.minimum(np.array(contract.action.high), -np.array(contract.action.low))
        self._fastest = fastest
        # Each joint's own: one lag for all makes the light wrist seem far ahead of where it is, and fine motion ends in a limit cycle.
        servos = {joint.name: joint.servo for joint in self._robot.joints}
        lags = [servos[name].velocity_gain / servos[name].position_gain if servos[name].position_gain else np.nan for name in self._joints]
        self._lag = np.where(np.isnan(lags), self._robot.monitors.tracking_lag, lags)

    def act(self, observation: Mapping[str, Array], target: Array, **wishes: Any) -> Array:
        """The action of one control period, `[B, A]`, in the unit of the contract.

        Args:
            observation: of the policy.
            target: of the tip, `[B, 3]`, m.
            wishes: the other arguments of `rates`.

        Raises:
            ValueError: the contract commands efforts.
        """
        if self.contract.mode == "effort":
            raise ValueError("rates are no efforts; make efforts of them with a model of the arm")
        position = self.setpoint(observation)
        rates = self.rates(position, target, **wishes)
        return position + rates * self.contract.control_period if self.contract.mode == "position" else rates

    def setpoint(self, observation: Mapping[str, Array]) -> Array:
        """Where the servos are sent now, `[B, A]`, rad: the previous position command, or the measured motion, ahead by the servos' lag."""
        if self.contract.mode == "position":
            return self._newest(observation, "previous_action")
        position = self._newest(observation, "joint_position")
        if self.contract.mode == "effort" or "joint_velocity" not in self._sources:
            return position
        return np.asarray(position + self._lag * self._newest(observation, "joint_velocity"))

    def pose(self, position: Array) -> tuple[Array, Array]:
        """Position of the tip, `[B, 3]`, m, and rotation matrix of the tool, `[B, 3, 3]`, at joint positions `[B, A]`, rad."""
        tool = self._kinematics.poses(self._joints, position, [self._robot.tool_frame])[self._robot.tool_frame]
        return tool.position + (tool.rotation * self.tip).sum(axis=2), tool.rotation

    def rates(
        self,
        position: Array,
        target: Array,
        *,
        orientation: Array | None = None,
        direction: Array | None = None,
        velocity: Array | float = 0.0,
        speed: Array | float | None = None,
        posture: Array | None = None,
    ) -> Array:
        """Joint velocities, `[B, A]`, rad/s; where one would be too fast, all are slowed down in proportion.

        Args:
            position: of the joints, `[B, A]`, rad.
            target: of the tip, `[B, 3]`, m.
            orientation: wanted of the tool frame, quaternion x, y, z, w, `[B, 4]` or `[4]`; None leaves it free.
            direction: unit vector where the tool's z axis shall point, `[B, 3]` or `[3]`; turning about it stays free. Not with `orientation`.
            velocity: of the target, `[B, 3]`, m/s, added to the motion towards it.
            speed: largest speed towards the target, `[B]` or a number, m/s; None means that of the constructor.
            posture: joint positions to prefer where the task leaves a choice, `[B, A]` or `[A]`, rad; None means the home pose.
        """
        tip, rotation = self.pose(position)
        jacobian = self._kinematics.jacobian(self._joints, position, self._robot.tool_frame)
        arm = (rotation * self.tip).sum(axis=2)
        jacobian[:, :3] += np.cross(jacobian[:, 3:], arm[:, :, None], axis=1)
        linear = _shortened(self._gain * (target - tip), self._speed if speed is None else speed) + velocity
        turn = np.zeros_like(linear)
        if orientation is not None:
            turn = _rotation_between(quaternion(rotation), np.asarray(orientation, dtype=float))
        elif direction is not None:
            axis = rotation[:, :, 2]
            turn = _turn_between(axis, np.broadcast_to(np.asarray(direction, dtype=float), axis.shape))
            # Turning about the axis itself is nobody's concern: those rows of the Jacobian are projected away.
            jacobian[:, 3:] -= axis[:, :, None] * (axis[:, :, None] * jacobian[:, 3:]).sum(axis=1, keepdims=True)
        else:
            jacobian[:, 3:] = 0.0
        wanted = np.concatenate([linear, _shortened(self._gain * turn, self._turning)], axis=1)
        own = POSTURE_GAIN * ((self._home if posture is None else posture) - position)
        left = wanted - (jacobian * own[:, None]).sum(axis=2)
        square = (jacobian[:, :, None] * jacobian[:, None]).sum(axis=3) + DAMPING**2 * np.eye(6)
        forces = np.linalg.solve(square, left[:, :, None])
        rates = own + (jacobian * forces).sum(axis=1)
        return np.asarray(rates / np.maximum(1.0, (np.abs(rates) / self._fastest).max(axis=1, keepdims=True)))

    def _newest(self, observation: Mapping[str, Array], source: str) -> Array:
        signal = self._sources[source]
        return reorder(np.asarray(observation[signal.name], dtype=float)[:, -1], signal.elements, self._joints)


def _shortened(vector: Array, longest: Array | float) -> Array:
    """Vectors `[B, 3]`, those that are longer than `longest` (`[B]` or a number) cut to that length."""
    length = np.sqrt((vector**2).sum(axis=1))
    return np.asarray(vector * np.minimum(1.0, longest / np.maximum(length, 1e-12))[:, None])


def _turn_between(axis: Array, wanted: Array) -> Array:
    """Rotation vector that turns one unit vector into another the shortest way, `[B, 3]`, rad; 0 for opposite ones, which have none."""
    normal = np.cross(axis, wanted)
    sine = np.sqrt((normal**2).sum(axis=1))
    angle = np.arctan2(sine, (axis * wanted).sum(axis=1))
    return np.asarray(normal * (angle / np.maximum(sine, 1e-12))[:, None])


def _rotation_between(now: Array, wanted: Array) -> Array:
    """Rotation vector in the base frame that turns one orientation into another the shortest way, `[B, 3]`, rad."""
    vector, scalar, goal, goal_scalar = now[:, :3], now[:, 3:], wanted[..., :3], wanted[..., 3:]
    error = scalar * goal - goal_scalar * vector - np.cross(goal, vector)
    cosine = (scalar * goal_scalar)[:, 0] + (vector * goal).sum(axis=1)
    error, cosine = error * np.where(cosine < 0, -1.0, 1.0)[:, None], np.abs(cosine)
    sine = np.sqrt((error**2).sum(axis=1))
    return np.asarray(error * (2 * np.arctan2(sine, cosine) / np.maximum(sine, 1e-12))[:, None])
