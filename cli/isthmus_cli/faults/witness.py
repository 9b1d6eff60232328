"""A node of its own that records what the robot was told, what it did and what the guard said, and lends its publishers to the acts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.records import Array
from isthmus.spline import Spline
from isthmus_cli.faults.seen import NAN, reach_of_splines, sent, use_of_commands, use_of_joints, use_of_splines
from isthmus_cli.faults.subject import Setting, Subject
from isthmus_ros.common import wire
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.guard.transports import transport_of

__all__ = ["Witness", "command_kind"]

_EVERY = QoSProfile(depth=2000, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def command_kind(transport: str) -> Any:
    """Message type of a transport."""
    return {"trajectory": JointTrajectory, "cmd_vel": TwistStamped}.get(transport, Float64MultiArray)


class Witness:
    """Times are those of the computer's steady clock; what the robot says of itself is stamped by the simulated robot's process.

    Attributes:
        truth: moment and velocities `[J]` of the joints.
        received: moment and set-point `[J]` that a command has brought.
        executed: moment, stamp (s) and values `[J]` on `guard/executed`.
        events: moment and name: `fault`, `reset`, `stop_service`, `resume`.
        statuses: moment and values of `guard/status`.
        wire: moment and message on the robot's own command topic; empty where the setting asks that nobody else listens to it.
    """

    def __init__(self, domain: int, subject: Subject, setting: Setting, *, listening: bool = True) -> None:
        """Join the domain and record.

        Args:
            domain: of ROS.
            subject: the robot.
            setting: its mode and transport.
            listening: whether the robot's command topic is subscribed.
        """
        self._subject, self._setting = subject, setting
        self._velocities = False
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = node = rclpy.create_node("isthmus_witness", context=context)
        self.clear()
        node.create_subscription(JointState, "/sim_node/truth", self._see_truth, _EVERY)
        node.create_subscription(JointState, "/sim_node/received", self._see_received, _EVERY)
        node.create_subscription(JointState, "/guard/executed", self._see_executed, _EVERY)
        node.create_subscription(DiagnosticArray, "/sim_node/events", self._see_event, _LATCHED)
        node.create_subscription(DiagnosticArray, "/guard/status", self._see_status, _EVERY)
        if listening and subject.robot.ros is not None:
            transport, topic = transport_of(setting.transport, subject.robot.ros, setting.mode)
            node.create_subscription(command_kind(transport), f"/{topic}", self._see_command, _EVERY)
        self._executor = executor(context)
        self._executor.add_node(node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="witness")
        self._thread.start()

    def close(self) -> None:
        """Leave the domain."""
        self._ended.set()
        self._thread.join()
        leave(self._executor, self._node)

    def clear(self) -> None:
        """Forget everything."""
        self.truth: list[tuple[float, Array]] = []
        self.received: list[tuple[float, Array]] = []
        self.executed: list[tuple[float, float, Array]] = []
        self.events: list[tuple[float, str]] = []
        self.statuses: list[tuple[float, dict[str, str]]] = []
        self.wire: list[tuple[float, Any]] = []

    @contextlib.contextmanager
    def publisher(self, kind: Any, topic: str, quality: Any) -> Iterator[Any]:
        """A publisher for as long as an act needs it."""
        made = self._node.create_publisher(kind, topic, quality)
        try:
            yield made
        finally:
            self._node.destroy_publisher(made)

    @contextlib.contextmanager
    def hearing(self, topic: str, heard: Callable[[dict[str, str]], None]) -> Iterator[None]:
        """Hand the values of diagnostics on a topic to a function for a while."""
        subscription = self._node.create_subscription(DiagnosticArray, topic, lambda message: heard(_values(message)), 10)
        try:
            yield
        finally:
            self._node.destroy_subscription(subscription)

    def now(self) -> Any:
        """Stamp for a message."""
        return self._node.get_clock().now().to_msg()

    def commanded(self) -> tuple[Array, Array]:
        """Times `[T]` and commanded velocities `[T, J]` of what the robot received."""
        return _velocities(list(self.received), self._velocities, self._setting.period)

    def let_through(self) -> tuple[Array, Array]:
        """The same of what the guard says that it has let through."""
        return _velocities(
            [(moment, values) for moment, _, values in list(self.executed)], self._setting.mode != "position", self._setting.period
        )

    def motion(self) -> tuple[Array, Array]:
        """Times `[N]` and velocities `[N, J]` of the joints."""
        truth = list(self.truth)
        return np.array([moment for moment, _ in truth]), np.array([values for _, values in truth]).reshape(len(truth), -1 if truth else 0)

    def speed(self) -> float:
        """Of the fastest joint now, rad/s."""
        return float(np.abs(self.truth[-1][1]).max()) if self.truth else 0.0

    def use(self) -> tuple[float, float]:
        """Largest use of the limits of velocity and acceleration on the robot's own topic; NaN where it is not known."""
        commands, subject, setting = list(self.wire), self._subject, self._setting
        if setting.transport == "trajectory":
            joints = list(subject.robot.joint_names)
            return use_of_splines([(moment, _spline(message, joints)) for moment, message in commands], subject.limits)
        if setting.mode == "effort" or not commands or dict(setting.options).get("use_sim_time"):
            return NAN, NAN  # in simulated time it is the stamps that the row disturbs
        times, values = np.array([moment for moment, _ in commands]), np.array([_numbers(message) for _, message in commands])
        return use_of_commands(sent(times, values, list(self.executed)), values, setting.mode, setting.period, subject.limits)

    def beyond(self, low: Array, high: Array) -> float:
        """How far positions on the robot's own topic are beyond limits `[J]`, rad or m, at most; NaN where no positions are sent."""
        commands, setting = list(self.wire), self._setting
        if not commands or (setting.transport != "trajectory" and setting.mode != "position"):
            return NAN
        if setting.transport == "trajectory":
            joints = list(self._subject.robot.joint_names)
            lowest, highest = reach_of_splines([(moment, _spline(message, joints)) for moment, message in commands])
        else:
            values = np.array([_numbers(message) for _, message in commands])
            lowest, highest = values.min(axis=0), values.max(axis=0)
        return float(np.maximum(low - lowest, highest - high).max())

    def use_of_joints(self) -> float:
        """Largest use of a velocity limit by the joints."""
        _, velocities = self.motion()
        return use_of_joints(velocities, self._subject.limits) if self._subject.arm else NAN

    def _spin(self) -> None:
        while not self._ended.is_set() and threading.main_thread().is_alive():  # an interrupt may come before anybody can close
            self._executor.spin_once(timeout_sec=0.05)

    def _see_truth(self, message: Any) -> None:
        self.truth.append((wire.nanoseconds_of(message.header.stamp) / 1e9, np.array(message.velocity)))

    def _see_received(self, message: Any) -> None:
        self._velocities = len(message.velocity) > 0  # a velocity-controlled drive is told velocities, whatever the transport
        values = np.array(message.velocity or message.position or message.effort)
        self.received.append((wire.nanoseconds_of(message.header.stamp) / 1e9, values))

    def _see_executed(self, message: Any) -> None:
        columns = [list(message.name).index(joint) for joint in self._subject.robot.joint_names if joint in message.name]
        values = np.array(message.velocity or message.position or message.effort)[columns]
        self.executed.append((time.monotonic(), wire.nanoseconds_of(message.header.stamp) / 1e9, values))

    def _see_event(self, message: Any) -> None:
        self.events.append((wire.nanoseconds_of(message.header.stamp) / 1e9, message.status[0].name))

    def _see_status(self, message: Any) -> None:
        self.statuses.append((time.monotonic(), _values(message)))

    def _see_command(self, message: Any) -> None:
        self.wire.append((time.monotonic(), message))


def _values(message: Any) -> dict[str, str]:
    return {pair.key: pair.value for status in message.status for pair in status.values} | {"message": message.status[-1].message}


def _velocities(commands: list[tuple[float, Array]], given: bool, period: float) -> tuple[Array, Array]:
    times = np.array([moment for moment, _ in commands])
    values = np.array([values for _, values in commands]).reshape(len(times), -1 if len(times) else 0)
    return times, values if given or not len(times) else np.diff(values, axis=0, prepend=values[:1]) / period


def _spline(message: Any, joints: list[str]) -> Spline:
    columns = [list(message.joint_names).index(joint) for joint in joints]
    times = np.array([point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points])
    fields = {
        name: np.array([list(getattr(point, name)) for point in message.points]) for name in ("positions", "velocities", "accelerations")
    }
    found = {name: values[:, columns] if values.size else None for name, values in fields.items()}
    positions = found["positions"]
    if positions is None:
        raise ValueError("a trajectory of the guard has positions")
    return Spline(times, positions, found["velocities"], found["accelerations"])


def _numbers(message: Any) -> list[float]:
    twist = getattr(message, "twist", None)
    return list(message.data) if twist is None else [twist.linear.x, twist.angular.z]
