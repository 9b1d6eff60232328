"""Rows of the fault table about time and about who must be heard: clocks that step or stop, a lost emergency stop, a dead robot."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import numpy as np
import rclpy
from fault_acts import kill, says
from fault_course import CRUISE, PERIOD, Course, Seen
from fault_rows import BOTH, VT, Row, arranged
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus_ros.common import wire

__all__ = ["TIME_ROWS"]

HEARTBEAT = 0.5  # s without `emergency_stop` after which the guard stops, if it is required


def robot_lost(number: int) -> Any:
    """The robot's process gets a signal: what is commanded is what `guard/executed` says, as nobody measures the robot any more."""

    def act(run: Course) -> Seen:
        executed: list[tuple[float, Any]] = []

        def note(message: Any) -> None:
            values = message.velocity if run.mode == "velocity" else message.position
            executed.append((time.monotonic(), np.array(values)))

        heard = run.link._node.create_subscription(JointState, "guard/executed", note, QoSProfile(depth=500))
        run.cruise()
        before, began = len(run.witness.statuses), time.monotonic()
        if number == signal.SIGKILL:
            kill(run, "sim_node")
        else:
            run.nodes["sim_node"].send(number)
        run.link.spin(1.4)
        seen = run.judge(began, before)
        seen.still = seen.allowed = float("nan")
        times = np.array([moment for moment, _ in executed])
        speeds = np.array([values for _, values in executed]).reshape(len(times), -1)
        if run.mode == "position" and len(times):
            speeds = np.diff(speeds, axis=0, prepend=speeds[:1]) / PERIOD
        fastest = np.abs(speeds).max(axis=1) if len(times) else np.zeros(0)
        slower = (times > began) & (fastest < 0.98 * CRUISE)
        seen.brake = float(times[np.argmax(slower)] - began) if slower.any() else float("nan")
        seen.note = f"last command {fastest[-1]:.3f} rad/s, measured on `guard/executed`" if len(times) else "no command"
        run.link._node.destroy_subscription(heard)
        return seen

    return act


class Heartbeat:
    """Publishes `emergency_stop` false ten times a second."""

    def __init__(self, domain: int) -> None:
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("heartbeat", context=context)
        self._publisher = self._node.create_publisher(Bool, "emergency_stop", wire.LATCHED)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """End the publisher."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            context = self._node.context
            self._node.destroy_node()
            rclpy.try_shutdown(context=context)

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self._publisher.publish(Bool(data=False))


def heartbeat_lost(run: Course) -> Seen:
    """The publisher of a required `emergency_stop` goes; brake and standstill count from the end of the time that it may be silent."""
    heart = Heartbeat(run.domain)
    try:
        run.link.spin(0.5)
        run.cruise()
        before, began = len(run.witness.statuses), time.monotonic()
        heart.close()
        run.link.spin(HEARTBEAT + 1.4)
        seen = run.judge(began, before)
        seen.note = f"from the loss on; {HEARTBEAT:g} s of silence are allowed"
        return seen
    finally:
        heart.close()


def never_heard(run: Course) -> Seen:
    """Arming without the required publisher."""
    run.link.spin(HEARTBEAT + 0.5)  # not `home`: a reset is refused as well
    return run.refusal(run.link.arm)


def clock_stops(run: Course) -> Seen:
    """`/clock` stops, and the policy is suspended: watchdogs count on the steady clock and fire all the same."""
    run.cruise()

    def fault() -> None:
        run.fault("clock_rate:=0", "stamp_rate:=0")
        run.nodes["policy_node"].send(signal.SIGSTOP)

    try:
        return run.after(fault)
    finally:
        run.nodes["policy_node"].send(signal.SIGCONT)
        run.fault()


def clock_steps(seconds: float) -> Any:
    """The clock of robot and nodes steps."""
    return says(f"clock_offset:={seconds:g}", f"stamp_offset:={seconds:g}", seconds=2.0)


SIM_TIME = arranged(*BOTH, use_sim_time=True)
REQUIRED = arranged(*BOTH, estop_required=("/heartbeat",))

TIME_ROWS = (
    Row("21", "the robot's process is killed", ("S",), robot_lost(signal.SIGKILL), BOTH, fresh=True),
    Row("21", "the robot's process is suspended", ("S",), robot_lost(signal.SIGSTOP), BOTH, fresh=True),
    Row("57", "publisher of `emergency_stop` lost, required", ("S",), heartbeat_lost, REQUIRED, fresh=True, timed=False),
    Row("57", "publisher of `emergency_stop` missing, required, at start", ("R",), never_heard, REQUIRED, fresh=True, timed=False),
    Row("65", "the clock of robot and nodes steps by +10 s", ("H",), clock_steps(10), SIM_TIME, fresh=True),
    Row("65", "the clock of robot and nodes steps by -10 s", ("H",), clock_steps(-10), SIM_TIME, fresh=True),
    Row(
        "65",
        "the robot's clock steps by +10 s, stamps checked relatively",
        ("N",),
        says("stamp_offset:=10"),
        arranged(VT, stamp_check="relative"),
        fresh=True,
        timed=False,
    ),
    Row("66", "/clock stops, and the policy is suspended", ("S", "H→S"), clock_stops, SIM_TIME, fresh=True),
    Row("67", "/clock runs backwards, stamps too", ("S", "H→S"), says("clock_rate:=-1", "stamp_rate:=-1"), SIM_TIME, fresh=True),
    Row("67", "/clock runs backwards, stamps do not", ("S", "H→S"), says("clock_rate:=-1"), SIM_TIME, fresh=True),
)
