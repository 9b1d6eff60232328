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
from isthmus.trajectory import Reference
from isthmus_ros.common import wire

__all__ = ["TRANSPORTS", "Transport", "keeps_moving", "make_transport", "transport_of"]

TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "forward_position": ("position",),
    "forward_velocity": ("velocity",),
    "forward_effort": ("effort",),
    "cmd_vel": ("twist",),
    "trajectory": ("position", "velocity"),
}
"""Transport → command modes that it carries."""


class Transport(Protocol):
    """Publishes commands to one controller.

    Attributes:
        publisher: of the commands.
    """

    publisher: Any

    def begin(self) -> None:
        """Forget what was sent: the next command begins where the robot is."""

    def send(self, command: Command, *, position: Callable[[], Array], now: float, braking: bool, time: Any) -> None:
        """Publish one command.

        Args:
            command: `[1, J]`.
            position: gives what is measured, `[1, J]`, in the order of the command.
            now: s on the steady clock; in stepped time that of the state.
            braking: whether the guard brakes by itself, for a hold or a stop.
            time: of the decision.
        """

    def place(self, joints: tuple[str, ...], now: float) -> Array | None:
        """Where the robot is told to be at `now`, which may be a time-out ago, `[1, J]`; None where commands are single and no motions."""

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


def make_transport(
    node: Any, name: str, topic: str, robot: Robot, limits: Limits, period: float, prefix: str = "", *, realtime: bool = True
) -> Transport:
    """The transport of that name, on an absolute topic; in stepped time nothing waits for a servo."""
    if name == "trajectory":
        return _Trajectory(node, topic, limits, period, prefix, realtime=realtime)
    if name == "cmd_vel":
        return _Twist(node, topic, robot)
    return _Forward(node, topic, robot)


class _Forward:
    """A forward controller of ros2_control: a Float64MultiArray in the controller's joint order. It keeps the last command for ever."""

    def __init__(self, node: Any, topic: str, robot: Robot) -> None:
        self._order = (robot.ros and robot.ros.command_joints) or robot.joint_names
        self._node = node
        self.publisher = node.create_publisher(Float64MultiArray, topic, wire.COMMAND)

    def begin(self) -> None:
        """Nothing is remembered."""

    def send(self, command: Command, *, position: Callable[[], Array], now: float, braking: bool, time: Any) -> None:
        """See `Transport.send`."""
        self.publisher.publish(Float64MultiArray(data=reorder(command.values, command.joints, self._order)[0].tolist()))

    def place(self, joints: tuple[str, ...], now: float) -> Array | None:
        """See `Transport.place`."""
        return None

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

    def send(self, command: Command, *, position: Callable[[], Array], now: float, braking: bool, time: Any) -> None:
        """See `Transport.send`."""
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = time, self._frame
        message.twist.linear.x, message.twist.angular.z = reorder(command.values, command.joints, ("vx", "wz"))[0].tolist()
        self.publisher.publish(message)

    def place(self, joints: tuple[str, ...], now: float) -> Array | None:
        """See `Transport.place`."""
        return None

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self.publisher)


class _Trajectory:
    """A joint trajectory controller: one period towards the command, and from there a braking tail that ends at rest; see `isthmus.trajectory`.

    If nothing more is sent, the arm stops on the tail. The motion begins where the robot was when the guard was armed, and is never measured again,
    so that a held arm does not sag.

    The first point is at time 0, where the motion is as the message leaves. The controller then begins there at once, and never asks where it was
    itself: with `interpolate_from_desired_state` that is the same place, without it a measured one, which lags in motion. Only the message that is
    sent when the guard is armed gives the controller the time to come from its own set-point, from which an arm at rest sags; until then no other is
    sent, as each would begin at a measured place again. Messages with stamp 0 begin when they arrive: a delay that changes by d s between two
    messages is a step of speed times d in what is interpolated.
    """

    def __init__(self, node: Any, topic: str, limits: Limits, period: float, prefix: str, *, realtime: bool) -> None:
        self._joints = limits.joints
        self._names = [prefix + joint for joint in limits.joints]
        self._reference = Reference(limits, period, waits=realtime)
        self._begins = True
        self._node = node
        self.publisher = node.create_publisher(JointTrajectory, topic, wire.COMMAND)

    def begin(self) -> None:
        """See `Transport.begin`."""
        self._begins = True

    def send(self, command: Command, *, position: Callable[[], Array], now: float, braking: bool, time: Any) -> None:
        """See `Transport.send`; nothing is sent before a position is known to begin at, nor while the arm still comes there."""
        if begins := self._begins:
            measured = reorder(position(), command.joints, self._joints)[0]
            if not np.isfinite(measured).all():
                return
            self._reference.begin(measured, now)
        values = reorder(command.values, command.joints, self._joints)[0]
        spline = self._reference.follow(command.mode, values, now, braking=braking)
        late = max(self._reference.began - now, 0.0)
        self._begins = False
        if late and not begins:
            return
        message = JointTrajectory(joint_names=self._names)
        fields = (spline.times + late, spline.positions, spline.velocities, spline.accelerations)
        for moment, place, velocity, acceleration in zip(*(np.asarray(field).tolist() for field in fields), strict=True):
            point = JointTrajectoryPoint(positions=place, velocities=velocity, accelerations=acceleration)
            point.time_from_start.sec, point.time_from_start.nanosec = divmod(round(moment * 1e9), 10**9)
            message.points.append(point)
        self.publisher.publish(message)

    def place(self, joints: tuple[str, ...], now: float) -> Array | None:
        """See `Transport.place`."""
        place = None if self._begins else self._reference.place(now)
        return None if place is None else reorder(place[None], self._joints, joints)

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self.publisher)
