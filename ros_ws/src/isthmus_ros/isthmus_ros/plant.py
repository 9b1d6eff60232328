"""A robot behind ROS 2 topics as a `Plant`: joint states in, commands out, bound by joint name."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from isthmus.monitors import time_out
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot
from isthmus_ros import wire

__all__ = ["STEADY_ABORT", "RosPlant"]

STEADY_ABORT = 5.0
"""Seconds on the steady clock after which a stepped plant gives up waiting for the next joint state."""

_AHEAD = 0.05  # s that a stamp may be ahead of the node's clock
_STEP_TOLERANCE = 1e-6  # s


class RosPlant:
    """One robot on its profile's topics.

    With `realtime` the newest sample is read whenever it is asked for. Without it, time is stepped by whoever publishes the joint states: `advance`
    waits for the sample with the next stamp. ROS callbacks only keep the newest message, so any executor may run them.

    Attributes:
        robot: the profile.
        period: control period, s.
        batch: 1.
        realtime: whether time passes by itself.
        sequence: number of the last command; -1 before the first.
        command_topic: absolute name of the topic that the robot's controller listens to.
    """

    def __init__(
        self,
        node: Any,
        robot: Robot,
        mode: str,
        period: float,
        digest: str,
        *,
        realtime: bool,
        namespace: str = "/",
        stamp_check: str = "absolute",
    ) -> None:
        """Create the subscription and the publishers; nothing is published yet.

        Args:
            node: rclpy node that owns them.
            robot: the profile; needs a `ros` block.
            mode: command mode.
            period: control period, s.
            digest: of the contract, for the frame_id of what is executed.
            realtime: False for stepped time.
            namespace: the robot's namespace, in which the profile's topics are resolved.
            stamp_check: "absolute" compares stamps with the node's clock; "relative" after the offset measured by `synchronise` is removed.

        Raises:
            ValueError: the robot has no ROS interface.
        """
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        self.robot = robot
        self.period = period
        self.batch = 1
        self.realtime = realtime
        self.sequence = -1
        self.command_topic = wire.joined(namespace, robot.ros.command_topics[mode])
        self.state_topic = wire.joined(namespace, robot.ros.state_topic)
        self._mode = mode
        self._digest = digest
        self._node = node
        self._order = robot.ros.command_joints or robot.joint_names
        self._changed = threading.Condition()
        self._newest: Any = None
        self._arrival = -np.inf
        self._relative = stamp_check == "relative"
        self._delay = self._offset = 0.0
        self._judged, self._verdict = -1, ""
        self._read: Any = None
        self._last: Command | None = None
        self._interrupted = False
        self._commands = node.create_publisher(Float64MultiArray, self.command_topic, wire.COMMAND)
        self._executed = node.create_publisher(JointState, "guard/executed", wire.EXECUTED)
        self._states = node.create_subscription(JointState, self.state_topic, self._receive, wire.SENSORS)

    @property
    def age(self) -> float:
        """Seconds on the steady clock since the newest sample arrived; infinite before the first."""
        return time.monotonic() - self._arrival

    @property
    def missing(self) -> tuple[str, ...]:
        """Joints of the robot that the newest sample does not name."""
        message = self._newest
        return () if message is None else tuple(joint for joint in self.robot.joint_names if joint not in message.name)

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
        """As `delay_problem`, for the control loop: samples whose stamps do not advance are left to the guard's own monitors."""
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
        joints = self.robot.joint_names
        if message is None:
            nothing = np.full((1, len(joints)), np.nan)
            return Measurement(np.zeros(1), joints, nothing, nothing)
        return Measurement(
            stamp=np.array([wire.seconds_of(message.header.stamp)]),
            joints=joints,
            position=wire.column(message, "position", joints),
            velocity=wire.column(message, "velocity", joints),
            effort=wire.column(message, "effort", joints) if len(message.effort) else None,
        )

    def write(self, command: Command) -> None:
        """Send the command to the robot's controller, and to `guard/executed` with the decision's stamp and sequence number."""
        self.sequence += 1
        self._last = command
        self._commands.publish(Float64MultiArray(data=reorder(command.values, command.joints, self._order)[0].tolist()))
        executed = JointState(name=list(command.joints), **{command.mode: command.values[0].tolist()})
        stepped = not self.realtime and self._read is not None
        executed.header.stamp = self._read.header.stamp if stepped else self._node.get_clock().now().to_msg()
        executed.header.frame_id = wire.frame_id(self._digest, self.sequence)
        self._executed.publish(executed)

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
            came = self._changed.wait_for(lambda: self._interrupted or self.stamp != before, STEADY_ABORT)
        if not came or self._interrupted:
            raise TimeoutError("waiting was interrupted" if self._interrupted else f"no next joint state within {STEADY_ABORT:g} s")
        passed = None if before is None else (self.stamp - before) / 1e9
        if passed is not None and abs(passed - self.period) > _STEP_TOLERANCE:
            raise RuntimeError(
                f"the next joint state is stamped {passed:.6f} s later, the control period is {self.period:.6f} s: this robot is not stepped"
            )

    def stop(self, reason: str) -> None:
        """Send the resting command at once, without braking: zero, or the last position; the guard brakes, not the plant."""
        self._node.get_logger().warning(f"robot stopped: {reason}")
        if self._last is not None:
            values = self._last.values if self._mode == "position" else np.zeros_like(self._last.values)
            self.write(Command(self._mode, self._last.joints, values))

    def interrupt(self) -> None:
        """End a wait in `advance`, now and from now on."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Destroy publishers and subscription."""
        self.interrupt()
        self._node.destroy_subscription(self._states)
        self._node.destroy_publisher(self._commands)
        self._node.destroy_publisher(self._executed)

    def _receive(self, message: Any) -> None:
        now = self._node.get_clock().now().nanoseconds
        with self._changed:
            self._delay = (now - wire.nanoseconds_of(message.header.stamp)) / 1e9
            self._newest = message
            self._arrival = time.monotonic()
            self._changed.notify_all()
