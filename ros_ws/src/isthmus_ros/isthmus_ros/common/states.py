"""What a robot says on ROS 2 topics: the newest value of each joint, bound by name, and what is wrong with its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from isthmus.kinematics import Kinematics
from isthmus.monitors import time_out
from isthmus.records import Array, Measurement
from isthmus.robot import Robot, RosProfile
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.doubled import doubled_joints
from isthmus_ros.common.joined import JoinedStates
from isthmus_ros.common.odometry import OdometryInput
from isthmus_ros.common.stamps import stamp_problem
from isthmus_ros.common.swings import Swings

__all__ = ["STEADY_ABORT", "StateTopic"]

STEADY_ABORT = 7.0
"""Seconds on the steady clock after which whoever waits for the next joint state in stepped time gives up; the guard does after 5, and knows why."""

_STEP_TOLERANCE = 1e-6  # s


class StateTopic:
    """The half of a `Plant` that listens.

    With `realtime` the newest samples are read whenever they are asked for, each joint's its own: an arm and its gripper may publish on one topic.
    Without it, time is stepped by whoever publishes the joint states, all of them in one message: `advance` waits for the one with the next stamp.
    ROS callbacks only keep what is newest, so any executor may run them, and no content of a message makes them raise.

    Attributes:
        robot: the profile.
        kinematics: of its URDF, read once.
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
            ValueError: the robot has no ROS interface, or no URDF that can be read.
        """
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        self.robot = robot
        self.kinematics = Kinematics(robot.urdf_path)
        self.profile: RosProfile = robot.ros
        self.period = period
        self.batch = 1
        self.realtime = realtime
        self.sequence = -1
        self._node = node
        self._prefix = prefix
        self._states = JoinedStates(robot, prefix)
        self._allowed = time_out(period)
        self._swings = Swings(robot)
        self._changed = threading.Condition()
        self._relative = stamp_check == "relative"
        self._judged, self._verdict = -1, ""
        self._read: int | None = None
        self._interrupted = False
        self.on_state: Callable[[], None] = lambda: None
        self.images: Callable[[], Mapping[str, Array]] = dict
        topic = wire.joined(namespace, robot.ros.state_topic)
        self.state_topic = str(node.resolve_topic_name(topic))  # as it is remapped: the graph knows no other
        self._subscriptions = [node.create_subscription(JointState, topic, self._receive, wire.SENSORS)]
        self._odometry: OdometryInput | None = None
        if robot.ros.odometry_topic:
            self._odometry = OdometryInput(wire.joined(namespace, robot.ros.odometry_topic), self._allowed)
            self._subscriptions.append(node.create_subscription(Odometry, self._odometry.topic, self._receive_odometry, wire.SENSORS))
        self._doubled = doubled_joints(node, self.state_topic, self._states.joints)

    @property
    def age(self) -> float:
        """Seconds on the steady clock since the joint of the robot that has been silent longest was heard; infinite before all have been."""
        oldest = self._states.oldest  # first: another thread may receive meanwhile
        return steady() - oldest

    @property
    def received(self) -> bool:
        """Whether any joint of the robot has been received."""
        return self._states.newest > -np.inf

    @property
    def missing(self) -> tuple[str, ...]:
        """Joints of the robot that nobody names, while somebody names others; in stepped time, those that the newest sample does not name."""
        with self._changed:
            return self._states.missing(self._allowed)

    @property
    def stamp(self) -> int:
        """Oldest of the stamps of the newest samples, ns; -1 before the first."""
        return self._states.stamp

    @property
    def delay(self) -> float:
        """How old the newest samples were when they arrived, s: the oldest of them; 0 in stepped time, and for stamps that are ahead.

        A constant offset of the clocks is taken off if stamps are checked relatively.
        """
        return max(0.0, self._states.delays[0]) if self.realtime else 0.0

    def synchronise(self) -> None:
        """Take the delays of the newest samples as the constant offsets between the clocks, if stamps are checked relatively."""
        with self._changed:
            self._states.synchronise(relative=self._relative)
        if self._odometry is not None:
            self._odometry.synchronise(relative=self._relative)
        self._judged, self._verdict = -1, ""

    def delay_problem(self) -> str:
        """Why the newest stamps cannot be believed: older than the time-out or ahead of the node's clock when they arrived; "" if they can."""
        if not self.realtime:
            return ""
        oldest, newest = self._states.delays
        return stamp_problem(f"the joint state on {self.state_topic}", oldest, newest, self._allowed)

    def odometry_problem(self) -> str:
        """Why the odometry of a mobile robot cannot be believed; "" if it can, or if there is none in the profile."""
        return "" if self._odometry is None else self._odometry.problem(stepped=not self.realtime)

    def doubled(self) -> list[str]:
        """One sentence if two publishers name the same joint of the robot; see `DoubledJoints.look`."""
        return self._doubled.look()

    def alarm(self) -> str:
        """Who oscillates faster than the control rate shows; "" if nobody does."""
        return self._swings.problem

    def fault(self) -> str:
        """The problem of the odometry or of a delay.

        Each stamp that is newer than the one before is judged; those that do not advance are left to the guard's own monitors.
        """
        if problem := self.odometry_problem():
            return problem
        before, self._judged = self._judged, self.stamp
        if self._judged != before:
            self._verdict = self.delay_problem() if self._judged > before else ""
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
        """The newest samples; NaN for joints that are missing, for an empty field, and everywhere before the first sample."""
        odometry = None if self._odometry is None else self._odometry.message
        with self._changed:
            self._read = self._states.stamp if self.received else None
            return self._states.measurement(self._allowed, odometry, self.images())

    def advance(self) -> None:
        """Wait for the sample with the next stamp in stepped time; nothing to do otherwise.

        Raises:
            TimeoutError: none came within 7 s on the steady clock, or the wait was interrupted.
            RuntimeError: it is not one control period later, as on a robot whose time passes by itself.
        """
        if self.realtime:
            return
        before = self._read
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
        self._doubled.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _advanced(self, before: int | None) -> bool:
        return self.stamp != before

    def _paced_by_others(self) -> bool:
        """Whether time is stepped without waiting for whoever reads here."""
        return False

    def _time(self) -> Any:
        """Time of the decision on the sample read last: that of the sample itself in stepped time."""
        if self.realtime or self._read is None:
            return self._node.get_clock().now().to_msg()
        return wire.time_of(self._read)

    def _receive_odometry(self, message: Any) -> None:
        if self._odometry is not None:
            self._odometry.receive(message, self._node.get_clock().now().nanoseconds)

    def _receive(self, message: Any) -> None:
        now, arrival = self._node.get_clock().now().nanoseconds, steady()
        with self._changed:
            part = self._states.add(message, arrival, now, alone=not self.realtime)
            if part is None:
                return
            self._changed.notify_all()
        if self.realtime:
            self._swings.add(arrival, part.velocities(len(self._states.joints)))
        self.on_state()
