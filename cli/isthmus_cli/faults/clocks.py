"""Faults of time and of who must be heard: clocks that step or stop, a lost emergency stop, a dead robot."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
from std_msgs.msg import Bool

from isthmus_cli.faults.acts import Act, says
from isthmus_cli.faults.course import Course
from isthmus_cli.faults.seen import NAN, Seen
from isthmus_ros.common import wire

__all__ = ["clock_steps", "clock_stops", "heartbeat_lost", "never_heard", "robot_lost"]

HEARTBEAT = 0.5  # s without `emergency_stop` after which the guard stops, if it is required


def robot_lost(number: signal.Signals) -> Act:
    """The robot's process gets a signal: what is commanded is what `guard/executed` says, as nobody measures the robot any more."""

    def act(run: Course) -> Seen:
        run.cruise()
        began = time.monotonic()
        if number == signal.SIGKILL:
            run.kill("sim_node")
        else:
            run.nodes["sim_node"].send(number)
        run.link.spin(1.4)
        seen = run.judge(began)
        seen.still = seen.allowed = NAN
        times, speeds = run.witness.let_through()
        fastest = np.abs(speeds).max(axis=1) if len(times) else np.zeros(0)
        slower = np.flatnonzero((times > began) & (fastest < 0.98 * run.speed))
        seen.brake = float(times[slower[0]] - began) if slower.size else NAN
        seen.note = f"last command {fastest[-1]:.3f} rad/s, measured on `guard/executed`" if len(times) else "no command"
        return seen

    return act


@contextlib.contextmanager
def _heartbeat(run: Course) -> Iterator[threading.Event]:
    """Publishes `emergency_stop` false ten times a second, until the event is set."""
    ended = threading.Event()
    with run.witness.publisher(Bool, "/emergency_stop", wire.LATCHED) as publisher:

        def beat() -> None:
            while not ended.wait(0.1):
                publisher.publish(Bool(data=False))

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield ended
        finally:
            ended.set()
            thread.join()


def heartbeat_lost(run: Course) -> Seen:
    """The publisher of a required `emergency_stop` falls silent; brake and standstill count from the end of the time that it may be silent."""
    with _heartbeat(run) as ended:
        run.link.spin(0.5)
        run.cruise()
        began = time.monotonic()
        ended.set()
        run.link.spin(HEARTBEAT + 1.4)
        seen = run.judge(began)
        seen.note = f"from the loss on; {HEARTBEAT:g} s of silence are allowed"
        return seen


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


def clock_steps(seconds: float) -> Act:
    """The clock of robot and nodes steps."""
    return says(f"clock_offset:={seconds:g}", f"stamp_offset:={seconds:g}", seconds=2.0)
