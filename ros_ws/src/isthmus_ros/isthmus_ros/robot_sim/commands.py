"""What `sim_node` understands as a command: the messages of each transport, checked and put into the controller's joint order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.records import Array
from isthmus.robot import Robot, RosProfile
from isthmus_ros.guard.transports import transport_of
from isthmus_ros.robot_sim.controllers import Controller, HeldCommand, Points, TrajectoryFollower

__all__ = ["CommandTopics", "forward_values", "listening", "make_controller", "trajectory_points"]

DRIVES: Mapping[str, str] = {"forward_position": "position", "forward_velocity": "velocity", "forward_effort": "effort", "cmd_vel": "twist"}
"""Transport → command mode of the drives behind it; behind a trajectory it is the contract's."""

UNSTAMPED = "_unstamped"
"""ros2_control's diff_drive_controller takes Twist on a topic with this ending."""


def listening(transport: str, robot: Robot, mode: str) -> tuple[str, str, str]:
    """Transport, relative topic, and command mode of the drives behind it, which may be another than the contract's `mode`.

    Without a name it is the transport that holds commands of the mode.

    Raises:
        ValueError: unknown, the robot does not take its commands, or its profile has no topic for it.
    """
    transport = transport or next(name for name, held in DRIVES.items() if held == mode)
    drives = DRIVES.get(transport, mode)
    transport, topic = transport_of(transport, robot.ros or RosProfile({}), drives)
    if drives not in robot.command_modes:
        raise ValueError(
            f"robot {robot.name!r} takes no {drives} commands, as transport {transport} brings; it takes: {', '.join(robot.command_modes)}"
        )
    return transport, topic, drives


def make_controller(transport: str, robot: Robot, joints: tuple[str, ...], mode: str, time_out: float) -> Controller:
    """The controller of a transport whose drives take commands of the mode."""
    return TrajectoryFollower(len(joints), mode) if transport == "trajectory" else HeldCommand(robot, joints, mode, time_out)


class CommandTopics:
    """Subscriptions of one transport."""

    def __init__(
        self,
        topic: str,
        transport: str,
        joints: tuple[str, ...],
        controller: Controller,
        *,
        prefix: str = "",
        clock: Callable[[], float],
        deaf: Callable[[], bool],
        complain: Callable[[str], None],
        received: Callable[[], None],
    ) -> None:
        """Set up; `subscribe` begins.

        Args:
            topic: absolute name.
            transport: key of `TRANSPORTS`.
            joints: the controller's order, of the profile's names.
            controller: that is told.
            prefix: of the joint names in messages.
            clock: present time, s.
            deaf: whether commands are not taken.
            complain: called with what is wrong with a message that is not taken.
            received: called after a command has been taken.
        """
        self.topic = topic
        self._transport, self._joints, self._controller = transport, joints, controller
        self._prefix, self._clock, self._complain, self._received = prefix, clock, complain, received
        self._deaf = deaf
        self._subscriptions: list[Any] = []

    def subscribe(self, node: Any, quality: Any) -> None:
        """Subscribe with a quality of service, instead of whatever was before; None only leaves the topics."""
        for subscription in self._subscriptions:
            node.destroy_subscription(subscription)
        self._subscriptions = []
        if quality is None:
            return
        kinds: list[tuple[Any, str]] = [(Float64MultiArray, self.topic)]
        if self._transport == "trajectory":
            kinds = [(JointTrajectory, self.topic)]
        if self._transport == "cmd_vel":
            kinds = [(TwistStamped, self.topic), (Twist, self.topic + UNSTAMPED)]
        self._subscriptions = [node.create_subscription(kind, topic, self._receive, quality) for kind, topic in kinds]

    def _receive(self, message: Any) -> None:
        if self._deaf():
            return
        try:
            if isinstance(self._controller, TrajectoryFollower):
                self._controller.receive(trajectory_points(message, self._joints, self._prefix), self._clock())
            elif isinstance(self._controller, HeldCommand):
                self._controller.receive(forward_values(message, self._joints), self._clock())
        except ValueError as error:
            self._complain(f"command ignored: {error}")
        else:
            self._received()


def forward_values(message: Any, joints: tuple[str, ...]) -> Array:
    """Values `[J]` of a Float64MultiArray, or of a Twist, stamped or not.

    Raises:
        ValueError: another number of values, or one that is not finite.
    """
    twist = getattr(message, "twist", message)
    values = np.array([twist.linear.x, twist.angular.z] if hasattr(twist, "linear") else message.data, dtype=np.float64)
    if values.size != len(joints) or not np.isfinite(values).all():
        raise ValueError(f"it must be {len(joints)} finite numbers, got {values.tolist()}")
    return values


def trajectory_points(message: Any, joints: tuple[str, ...], prefix: str = "") -> Points:
    """Points of a JointTrajectory in the order of `joints`.

    Raises:
        ValueError: it does not name exactly these joints, has no points, times that do not increase, or values that are missing or not finite.
    """
    names = [str(name).removeprefix(prefix) for name in message.joint_names]
    if sorted(names) != sorted(joints):
        raise ValueError(f"a trajectory must name the joints {', '.join(joints)}, got {', '.join(names) or 'none'}")
    if not message.points:
        raise ValueError("the trajectory has no points")
    columns = [names.index(joint) for joint in joints]
    times = np.array([point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points])
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times of a trajectory must be >= 0 s and increase, got {times.tolist()}")
    fields = {}
    for field in ("positions", "velocities", "accelerations"):
        values = [list(getattr(point, field)) for point in message.points]
        if any(values):
            if any(len(row) != len(joints) for row in values) or not np.isfinite(values).all():
                raise ValueError(f"{field} of a trajectory must be {len(joints)} finite numbers per point, got {values}")
            fields[field] = np.array(values)[:, columns]
    if not fields.keys() & {"positions", "velocities"}:
        raise ValueError("the trajectory has neither positions nor velocities")
    if "velocities" not in fields and "accelerations" in fields:
        raise ValueError("the trajectory has accelerations but no velocities")
    return Points(times, **{field: fields.get(field) for field in ("positions", "velocities", "accelerations")})
