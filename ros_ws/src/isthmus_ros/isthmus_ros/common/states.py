"""What a robot says on ROS 2 topics: the newest joint state, bound by joint name, and what is wrong with its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from isthmus.monitors import time_out
from isthmus.records import Array, Measurement
from isthmus.robot import Base, Robot, RosProfile
from isthmus_ros.common import wire
from isthmus_ros.common.swings import Swings

__all__ = ["STEADY_ABORT", "StateTopic", "measurement_of", "travelled"]

STEADY_ABORT = 5.0
"""Seconds on the steady clock after which whoever waits for the next joint state in stepped time gives up."""

_AHEAD = 0.05  # s that a stamp may be ahead of the node's clock
_STEP_TOLERANCE = 1e-6  # s


class StateTopic:
    """The half of a `Plant` that listens.

    With `realtime` the newest sample is read whenever it is asked for. Without it, time is stepped by whoever publishes the joint states: `advance`
    waits for the sample with the next stamp. ROS callbacks only keep the newest message, so any executor may run them.

    Attributes:
        robot: the profile.
        period: control period, s.
        batch: 1.
        realtime: whether time passes by itself.
        sequence: number of the last command; -1 before the first.
        state_topic: absolute name of the topic that the robot publishes.
        on_state: called after each sample, in the thread that received it.
        images: gives the newest picture of each camera, `[1, H, W, C]`.
    """

    def __init__(
        self,
        node: Any,
        robot: Robot,
        period: float,
        *,
        realtime: bool,
        namespace: str = "/",
        stamp_check: str = "absolute",
        prefix: str = "",
    ) -> None:
        """Create the subscription.

        Args:
            node: rclpy node that owns it.
            robot: the profile; needs a `ros` block.
            period: control period, s.
            realtime: False for stepped time.
            namespace: the robot's namespace, in which the profile's topics are resolved.
            stamp_check: "absolute" compares stamps with the node's clock; "relative" after the offset measured by `synchronise` is removed.
            prefix: of the joints' names on topics.

        Raises:
            ValueError: the robot has no ROS interface.
        """
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        self.robot = robot
        self.profile: RosProfile = robot.ros
        self.period = period
        self.batch = 1
        self.realtime = realtime
        self.sequence = -1
        self.state_topic = wire.joined(namespace, robot.ros.state_topic)
        self._node = node
        self._prefix = prefix
        self._named = _named(robot, prefix)
        self._swings = Swings(robot)
        self._odometry: Any = None
        self._changed = threading.Condition()
        self._newest: Any = None
        self._arrival = -np.inf
        self._relative = stamp_check == "relative"
        self._delay = self._offset = 0.0
        self._judged, self._verdict = -1, ""
        self._read: Any = None
        self._interrupted = False
        self.on_state: Callable[[], None] = lambda: None
        self.images: Callable[[], Mapping[str, Array]] = dict
        self._subscriptions = [node.create_subscription(JointState, self.state_topic, self._receive, wire.SENSORS)]
        if robot.ros.odometry_topic:
            topic = wire.joined(namespace, robot.ros.odometry_topic)
            self._subscriptions.append(node.create_subscription(Odometry, topic, self._receive_odometry, wire.SENSORS))

    @property
    def age(self) -> float:
        """Seconds on the steady clock since the newest sample arrived; infinite before the first."""
        return time.monotonic() - self._arrival

    @property
    def missing(self) -> tuple[str, ...]:
        """Joints of the robot that the newest sample does not name."""
        message = self._newest
        return () if message is None else tuple(joint for joint in self._named if joint not in message.name)

    @property
    def stamp(self) -> int:
        """Stamp of the newest sample, ns; -1 before the first."""
        return -1 if self._newest is None else wire.nanoseconds_of(self._newest.header.stamp)

    def synchronise(self) -> None:
        """Take the delay of the newest sample as the constant offset between the clocks, if stamps are checked relatively."""
        self._offset = self._delay if self._relative else 0.0
        self._judged, self._verdict = -1, ""

    def delay_problem(self) -> str:
        """Why the newest sample's stamp cannot be believed: older than the time-out or ahead of the node's clock when it arrived; "" if it can."""
        delay, allowed = self._delay - self._offset, time_out(self.period)
        if not self.realtime or -_AHEAD <= delay <= allowed:
            return ""
        if delay > allowed:
            return f"the joint state on {self.state_topic} was {delay:.3f} s old when it arrived, {allowed:.3f} s are allowed"
        return f"the joint state on {self.state_topic} is stamped {-delay:.3f} s ahead of this node's clock, {_AHEAD:.3f} s are allowed"

    def fault(self) -> str:
        """Who oscillates faster than the control rate shows, or `delay_problem`; stamps that do not advance are left to the guard's own monitors."""
        if problem := self._swings.problem:
            return problem
        stamp = self.stamp
        if stamp > self._judged:
            self._judged, self._verdict = stamp, self.delay_problem()
        elif stamp < self._judged:
            return ""
        return self._verdict

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """Nothing to do: a robot is where it is.

        Raises:
            ValueError: a state or a parameter is given.
        """
        for name in (*(state or ()), *(parameters or ())):
            raise ValueError(f"a robot on ROS topics cannot be put into {name!r}")

    def read(self) -> Measurement:
        """The newest sample; NaN for joints that it does not name, for an empty field, and everywhere before the first sample."""
        message = self._read = self._newest
        if message is None:
            nothing = np.full((1, len(self.robot.joint_names)), np.nan)
            return Measurement(np.zeros(1), self.robot.joint_names, nothing, nothing)
        return measurement_of(self.robot, self._prefix, message, self._odometry, self.images())

    def advance(self) -> None:
        """Wait for the sample with the next stamp in stepped time; nothing to do otherwise.

        Raises:
            TimeoutError: none came within 5 s on the steady clock, or the wait was interrupted.
            RuntimeError: it is not one control period later, as on a robot whose time passes by itself.
        """
        if self.realtime:
            return
        before = None if self._read is None else wire.nanoseconds_of(self._read.header.stamp)
        with self._changed:
            came = self._changed.wait_for(lambda: self._interrupted or self._advanced(before), STEADY_ABORT)
        if not came or self._interrupted:
            raise TimeoutError("waiting was interrupted" if self._interrupted else f"no next joint state within {STEADY_ABORT:g} s")
        passed = None if before is None or self.stamp == before else (self.stamp - before) / 1e9
        if passed is not None and abs(passed - self.period) > _STEP_TOLERANCE and not self._paced_by_others():
            raise RuntimeError(
                f"the next joint state is stamped {passed:.6f} s later, the control period is {self.period:.6f} s: this robot is not stepped"
            )

    def interrupt(self) -> None:
        """End a wait in `advance`, now and from now on."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Destroy the subscriptions."""
        self.interrupt()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _advanced(self, before: int | None) -> bool:
        return self.stamp != before

    def _paced_by_others(self) -> bool:
        """Whether time is stepped without waiting for whoever reads here."""
        return False

    def _time(self) -> Any:
        """Time of the decision on the sample read last: that of the sample itself in stepped time."""
        stepped = not self.realtime and self._read is not None
        return self._read.header.stamp if stepped else self._node.get_clock().now().to_msg()

    def _receive_odometry(self, message: Any) -> None:
        self._odometry = message

    def _receive(self, message: Any) -> None:
        now = self._node.get_clock().now().nanoseconds
        if self.realtime:
            self._swings.add(wire.seconds_of(message.header.stamp), wire.column(message, "velocity", self._named)[0].tolist())
        with self._changed:
            self._delay = (now - wire.nanoseconds_of(message.header.stamp)) / 1e9
            self._newest = message
            self._arrival = time.monotonic()
            self._changed.notify_all()
        self.on_state()


def measurement_of(robot: Robot, prefix: str, message: Any, odometry: Any, images: Mapping[str, Array] | None = None) -> Measurement:
    """What a joint state, and the odometry of a mobile robot, say.

    Args:
        robot: the profile.
        prefix: of the joints' names on topics.
        message: a JointState; what it does not name is NaN.
        odometry: an Odometry, or None.
        images: newest picture of each camera, `[1, H, W, C]`.
    """
    named = _named(robot, prefix)
    position, velocity = (wire.column(message, field, named) for field in ("position", "velocity"))
    effort = wire.column(message, "effort", named) if len(message.effort) else None
    if robot.base.wheels:
        position, velocity, effort = travelled(robot.base, position), travelled(robot.base, velocity), None
    return Measurement(
        stamp=np.array([wire.seconds_of(message.header.stamp)]),
        joints=robot.joint_names,
        position=position,
        velocity=velocity,
        effort=effort,
        poses={} if odometry is None else {odometry.child_frame_id: _pose(odometry.pose.pose)},
        twists={} if odometry is None else {odometry.child_frame_id: _twist(odometry.twist.twist)},
        images={} if images is None else images,
    )


def _named(robot: Robot, prefix: str) -> tuple[str, ...]:
    """Joints of the robot's topics: a differential drive's are its wheels."""
    return tuple(prefix + joint for joint in robot.base.wheels or robot.joint_names)


def travelled(base: Base, wheels: Array) -> Array:
    """Distance along x and angle about z, `[1, 2]`, of a differential drive from the angles of its left and right wheel, or speeds from speeds."""
    left, right = wheels[:, 0] * base.wheel_radius, wheels[:, 1] * base.wheel_radius
    return np.stack([(left + right) / 2, (right - left) / base.wheel_separation], axis=1)


def _pose(pose: Any) -> Array:
    p, q = pose.position, pose.orientation
    return np.array([[p.x, p.y, p.z, q.x, q.y, q.z, q.w]])


def _twist(twist: Any) -> Array:
    v, w = twist.linear, twist.angular
    return np.array([[v.x, v.y, v.z, w.x, w.y, w.z]])
