"""What is done to processes, and to what the robot says. Each act takes the course, brings its fault about in motion and tells what was seen."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from isthmus_cli.faults.course import Course
from isthmus_cli.faults.seen import NAN, Seen

__all__ = [
    "Act",
    "frozen",
    "guard_restarts",
    "interrupted",
    "killed",
    "killed_in_ramp",
    "left_alone",
    "resumes",
    "says",
    "says_at_start",
    "signalled",
    "starved",
]

Act = Callable[[Course], Seen]


def killed(*names: str) -> Act:
    """SIGKILL in motion."""

    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.kill(*names))

    return act


def killed_in_ramp(run: Course) -> Seen:
    """SIGKILL of the policy on its way to the start pose."""
    run.begin()
    run.link.until(lambda: run.link.status.get("policy") == "ramp" and run.witness.speed() > 0.1, 10, "no ramp")
    return run.after(lambda: run.kill("policy_node"))


def frozen(name: str, seconds: float, look: float = 1.4) -> Act:
    """SIGSTOP, and SIGCONT after a while."""

    def act(run: Course) -> Seen:
        run.cruise()
        began = time.monotonic()
        run.nodes[name].send(signal.SIGSTOP)
        run.link.spin(seconds)
        run.nodes[name].send(signal.SIGCONT)
        run.link.spin(look)
        return run.judge(began)

    return act


def signalled(name: str) -> Act:
    """SIGUSR1: the policy does what `faulty_policy` was told."""

    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.nodes[name].send(signal.SIGUSR1), 2.0)

    return act


def guard_restarts(run: Course) -> Seen:
    """The new one is unarmed and commands nothing; what the dead one has left in the graph refuses everything for up to 20 s."""
    run.cruise()
    run.kill("guard_node")
    died = time.monotonic()
    run.link.spin(1.0)
    run.reset()  # the policy has ended external control
    run.restart("guard_node")
    run.witness.clear()
    run.patiently(lambda: run.configure("guard_node"), 60.0)
    run.patiently(lambda: run.activate("guard_node"), 60.0)
    ready = time.monotonic() - died
    run.link.spin(1.0)
    commands = len(run.witness.received)
    run.patiently(run.link.arm, 40.0)
    note = f"its services answer {ready:.0f} s after the kill, it is armed after {time.monotonic() - died:.0f} s"
    return Seen("unarmed" if not commands else f"{commands} commands before arming", note=note)


def interrupted(*names: str) -> Act:
    """SIGINT twice; all of the processes must end with code 0, after the robot stands."""

    def act(run: Course) -> Seen:
        run.cruise()

        def twice() -> None:
            for name in names:
                run.forgo(name)
            for _ in range(2):
                for name in names:
                    run.nodes[name].interrupt()
                time.sleep(0.02)

        seen = run.after(twice, 3.0)
        end = time.monotonic() + 12
        while any(run.nodes[name].exit_code is None for name in names) and time.monotonic() < end:
            run.link.spin(0.1)
        codes = [run.nodes[name].exit_code for name in names]
        speed = run.witness.speed() if "sim_node" not in names else 0.0
        times, speeds = run.witness.commanded()
        last = float(np.abs(speeds[-1]).max()) if len(times) else NAN
        seen.note = f"exit codes {', '.join(map(str, codes))}; last command {last:.3f} rad/s"
        seen.outcome = "braked, exit 0" if set(codes) == {0} and speed < 0.02 and last < 1e-6 else "not at rest, or another exit code"
        return seen

    return act


def starved(run: Course) -> Seen:
    """Ten seconds in which twelve busy processes share the processors with the nodes; here the robot stands still, and afterwards moves."""
    run.cruise()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(12)]
    try:
        return run.after(lambda: None, 10.0)
    finally:
        for child in busy:
            child.kill()
            child.wait()


def left_alone(run: Course, *names: str) -> Seen:
    """What the robot does when nobody guards it any more."""
    run.cruise()
    seen = run.after(lambda: run.kill(*names), 2.5)
    ended = any(name == "stop_service" for _, name in run.witness.events)
    if not np.isfinite(seen.still):
        seen.outcome = "moves on"
    else:
        seen.outcome = "stop services" if ended and run.setting.transport == "forward_velocity" else "stands"
    seen.note = "the policy called the stop services" if ended else ""
    if run.setting.transport == "trajectory":
        seen.allowed = NAN  # no command brakes: the tail of the last one does
    return seen


def says(*faults: str, seconds: float = 1.4, driven: bool = False) -> Act:
    """A fault of the simulated robot, in motion; `driven` means that it moves the joints faster than anybody asks for."""

    def act(run: Course) -> Seen:
        run.cruise()
        seen = run.after(lambda: run.fault(*faults), seconds)
        seen.joints = NAN if driven else seen.joints
        return seen

    return act


def says_at_start(*faults: str, seconds: float = 0.4) -> Act:
    """The same so many seconds before arming."""

    def act(run: Course) -> Seen:
        run.home()
        run.fault(*faults)
        run.link.spin(seconds)

        def begin() -> None:
            run.link.arm()
            run.link.trigger("policy/start")

        seen = run.refusal(begin)
        run.fault()
        return seen

    return act


def resumes(run: Course) -> Seen:
    """A protective stop is over: nothing is commanded."""
    run.cruise()
    run.fault("protective_stop:=true")
    run.link.spin(1.2)
    run.witness.clear()
    run.fault()
    run.link.spin(1.0)
    return Seen("no command" if not run.witness.received else f"{len(run.witness.received)} commands", run.link.status.get("cause", ""))
