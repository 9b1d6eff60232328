"""How a command reaches the robot: one class per kind of controller that listens to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from isthmus import strict
from isthmus.limits import Limits
from isthmus.records import Array, Command, reorder
from isthmus.robot import Robot, RosProfile
from isthmus_ros.common import wire

__all__ = ["TRANSPORTS", "Transport", "keeps_moving", "make_transport", "tail", "transport_of"]

TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "forward_position": ("position",),
    "forward_velocity": ("velocity",),
    "forward_effort": ("effort",),
    "cmd_vel": ("twist",),
    "trajectory": ("position", "velocity"),
}
"""Transport → command modes that it carries."""

_LATEST = 2.0  # periods of motion that a late command may make up for
_SAME = 1e-6  # s between stopping times that are one


class Transport(Protocol):
    """Publishes commands to one controller.

    Attributes:
        publisher: of the commands.
    """

    publisher: Any

    def begin(self) -> None:
        """Forget what was sent: the next command begins where the robot is."""

    def send(self, command: Command, position: Callable[[], Array], elapsed: float, time: Any) -> None:
        """Publish one command.

        Args:
            command: `[1, J]`.
            position: gives what is measured, `[1, J]`, in the order of the command.
            elapsed: seconds since the last command was sent.
            time: of the decision.
        """

    def close(self) -> None:
        """Destroy the publisher."""


def transport_of(name: str, profile: RosProfile, mode: str) -> tuple[str, str]:
    """A transport's name and its relative topic; "" is the profile's own, or the one of the mode.

    Raises:
        ValueError: unknown, it does not carry the mode, or the profile has no topic for it.
    """
    carrying = [known for known, modes in TRANSPORTS.items() if mode in modes]
    if not name:
        name = profile.transport if profile.transport in carrying else carrying[0]
    if name not in TRANSPORTS:
        raise ValueError(f"unknown transport {name!r}; {strict.suggest(name, TRANSPORTS)}")
    if name not in carrying:
        raise ValueError(f"transport {name} does not carry {mode} commands; these do: {', '.join(carrying)}")
    topic = profile.transports.get(name) or (profile.command_topics.get(mode) if name != "trajectory" else None)
    if not topic:
        raise ValueError(f"the robot's profile has no topic for transport {name}; put it into ros.transports")
    return name, topic


def keeps_moving(name: str) -> bool:
    """Whether the robot goes on for ever if nobody sends commands any more, as far as ros2_control decides; its base controllers have a time-out."""
    return name in ("forward_velocity", "forward_effort")


def make_transport(node: Any, name: str, topic: str, robot: Robot, limits: Limits, period: float, prefix: str = "") -> Transport:
    """The transport of that name, on an absolute topic."""
    if name == "trajectory":
        return _Trajectory(node, topic, limits, period, prefix)
    if name == "cmd_vel":
        return _Twist(node, topic, robot)
    return _Forward(node, topic, robot)


def tail(position: Array, rate: Array, braking: Array) -> list[tuple[float, Array, Array]]:
    """The way to rest of joints that brake at constant deceleration: (seconds, position, velocity) at every moment at which a joint has come to rest.

    Between these moments positions are quadratic in time, which the cubic of a trajectory controller follows exactly.

    Args:
        position: where braking begins, `[J]`.
        rate: velocity there, `[J]`.
        braking: deceleration > 0, `[J]`.
    """
    stop = np.abs(rate) / braking
    moments: list[float] = []
    for moment in sorted(stop[stop > 0].tolist()):
        if moments and moment - moments[-1] < _SAME:
            moments[-1] = moment
        else:
            moments.append(moment)
    way = []
    for moment in moments:
        time = np.minimum(moment, stop)
        slowing = np.sign(rate) * braking * time
        velocity = np.where(stop <= moment, 0.0, rate - slowing)
        way.append((moment, position + (rate - slowing / 2) * time, velocity))
    return way


class _Forward:
    """A forward controller of ros2_control: a Float64MultiArray in the controller's joint order. It keeps the last command for ever."""

    def __init__(self, node: Any, topic: str, robot: Robot) -> None:
        self._order = (robot.ros and robot.ros.command_joints) or robot.joint_names
        self._node = node
        self.publisher = node.create_publisher(Float64MultiArray, topic, wire.COMMAND)

    def begin(self) -> None:
        """Nothing is remembered."""

    def send(self, command: Command, position: Callable[[], Array], elapsed: float, time: Any) -> None:
        """See `Transport.send`."""
        self.publisher.publish(Float64MultiArray(data=reorder(command.values, command.joints, self._order)[0].tolist()))

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self.publisher)


class _Twist:
    """A differential drive: a TwistStamped in the frame of its base."""

    def __init__(self, node: Any, topic: str, robot: Robot) -> None:
        self._frame = robot.tool_frame
        self._node = node
        self.publisher = node.create_publisher(TwistStamped, topic, wire.COMMAND)

    def begin(self) -> None:
        """Nothing is remembered."""

    def send(self, command: Command, position: Callable[[], Array], elapsed: float, time: Any) -> None:
        """See `Transport.send`."""
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = time, self._frame
        message.twist.linear.x, message.twist.angular.z = reorder(command.values, command.joints, ("vx", "wz"))[0].tolist()
        self.publisher.publish(message)

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self.publisher)


class _Trajectory:
    """A joint trajectory controller: the next set-point, one period ahead, and from there a braking tail that ends at rest.

    If nothing more is sent, the arm stops on the tail. Velocities are summed up from where the robot was when the guard was armed, and never measured
    again, so that a held arm does not sag.
    """

    def __init__(self, node: Any, topic: str, limits: Limits, period: float, prefix: str) -> None:
        self._joints = limits.joints
        self._names = [prefix + joint for joint in limits.joints]
        self._braking, self._period = np.array(limits.stop_acceleration), period
        self._set_point: Array | None = None
        self._node = node
        self.publisher = node.create_publisher(JointTrajectory, topic, wire.COMMAND)

    def begin(self) -> None:
        """See `Transport.begin`."""
        self._set_point = None

    def send(self, command: Command, position: Callable[[], Array], elapsed: float, time: Any) -> None:
        """See `Transport.send`."""
        values = reorder(command.values, command.joints, self._joints)[0]
        before = self._set_point
        if before is None:
            before, elapsed = reorder(position(), command.joints, self._joints)[0], self._period
        if command.mode == "position":
            self._set_point, rate = values, (values - before) / self._period
        else:
            self._set_point, rate = before + values * min(elapsed, _LATEST * self._period), values
        rate = np.where(np.abs(rate) < _SAME * self._braking, 0.0, rate)  # else its tail would end in the nanosecond in which it begins
        message = JointTrajectory(joint_names=self._names)
        way = [(0.0, self._set_point, rate), *tail(self._set_point, rate, self._braking)]
        for moment, place, velocity in way:
            point = JointTrajectoryPoint(positions=place.tolist(), velocities=velocity.tolist())
            nanoseconds = round((self._period + moment) * 1e9)
            point.time_from_start.sec, point.time_from_start.nanosec = divmod(nanoseconds, 10**9)
            message.points.append(point)
        self.publisher.publish(message)

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self.publisher)
