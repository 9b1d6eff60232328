"""Real processes that are made to fail in motion, and a witness of what followed: the machinery behind the fault table.

Robot, guard and policy are `sim_node`, `guard_node` and `policy_node`, each a process of its own, and everything between them is DDS. Times are
those of the simulated robot on the computer's steady clock (`~/truth`, `~/received`, `~/events` of `sim_node`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "ros"))
from ros_bench import Bench

__all__ = ["CRUISE", "PERIOD", "PUSH", "ROBOT", "Course", "Seen", "course"]

ROBOT = load_robot("ur5e")
PERIOD = 0.05  # s
CRUISE = 0.6  # rad/s
STANDSTILL = 0.02  # rad/s
PUSH = np.where(ROBOT.home > 0, -1.0, 1.0)  # away from the nearest position limits
_EVERY = QoSProfile(depth=2000, reliability=ReliabilityPolicy.RELIABLE)
_LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclasses.dataclass(slots=True)
class Seen:
    """What followed a fault.

    Attributes:
        outcome: letters of the fault table; "R" with `words` for a refusal.
        words: the guard's cause, or the refusal.
        brake: seconds from the fault to the first braking command at the robot; NaN if there was none.
        still: seconds from the fault to the robot's standstill; NaN if it went on moving.
        allowed: seconds that safety allows from the first braking command to standstill; NaN where nothing braked.
        excess: largest use of a limit of velocity or acceleration by commands, 1 is the limit; NaN where others than the guard commanded.
        note: what else was measured.
    """

    outcome: str
    words: str = ""
    brake: float = float("nan")
    still: float = float("nan")
    allowed: float = float("nan")
    excess: float = float("nan")
    note: str = ""


class Witness:
    """Collects what the robot was told and did, and what the guard said."""

    def __init__(self, link: Link) -> None:
        node = link._node
        self._velocities = False
        self.clear()
        node.create_subscription(JointState, "/sim_node/truth", self._see_truth, _EVERY)
        node.create_subscription(JointState, "/sim_node/received", self._see_received, _EVERY)
        node.create_subscription(JointState, "guard/executed", self._see_executed, _EVERY)
        node.create_subscription(DiagnosticArray, "/sim_node/events", self._see_event, _LATCHED)
        node.create_subscription(DiagnosticArray, "guard/status", self._see_status, _EVERY)

    def clear(self) -> None:
        """Forget everything."""
        self.truth: list[tuple[float, Array]] = []
        self.received: list[tuple[float, Array]] = []
        self.executed: list[Array] = []
        self.events: list[tuple[float, str]] = []
        self.statuses: list[tuple[float, dict[str, str]]] = []

    def commanded(self) -> tuple[Array, Array]:
        """Times `[T]` and commanded velocities `[T, J]` of what the robot received."""
        times = np.array([moment for moment, _ in self.received])
        values = np.array([values for _, values in self.received]).reshape(len(times), -1)
        if not self._velocities and len(times):
            values = np.diff(values, axis=0, prepend=values[:1]) / PERIOD
        return times, values

    def speed(self) -> float:
        """Of the fastest joint now, rad/s."""
        return float(np.abs(self.truth[-1][1]).max()) if self.truth else 0.0

    def _see_truth(self, message: Any) -> None:
        self.truth.append((wire.nanoseconds_of(message.header.stamp) / 1e9, np.array(message.velocity)))

    def _see_received(self, message: Any) -> None:
        self._velocities = len(message.velocity) > 0  # a velocity-controlled drive is told velocities, whatever the transport
        values = np.array(message.velocity if self._velocities else message.position)
        self.received.append((wire.nanoseconds_of(message.header.stamp) / 1e9, values))

    def _see_executed(self, message: Any) -> None:
        self.executed.append(np.array(message.velocity or message.position))

    def _see_event(self, message: Any) -> None:
        self.events.append((wire.nanoseconds_of(message.header.stamp) / 1e9, message.status[0].name))

    def _see_status(self, message: Any) -> None:
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        self.statuses.append((time.monotonic(), values))


class Course(Bench):
    """Processes, the link to them and the witness."""

    mode: str
    transport: str
    external: bool
    witness: Witness

    def bring_up(self) -> None:
        """Configure and activate guard and policy."""
        assert self.configure(), [self.nodes[name].complaint for name in self.careful]
        self.activate()

    def home(self) -> None:
        """Put the robot at home, at rest, and clear what an earlier fault has left; what is armed is disarmed."""
        self.fault()
        if self.policy is not None:
            with contextlib.suppress(RosError):
                self.link.trigger("policy/stop")
        self.link.spin(0.15)
        self.link.until(lambda: self.link.status.get("policy", "idle") == "idle", 10, "the policy does not end its motion")
        self.link.until(lambda: self.witness.speed() < STANDSTILL, 10, "the robot does not come to rest")
        if self.guard is not None:  # armed, it would drive the robot back to where it was
            self._patiently(lambda: self.link.arm(False))
        self.reset(-1)  # also gives external control back
        self.link.spin(0.3)
        self._patiently(lambda: self.link.trigger("guard/reset"))

    def begin(self) -> None:
        """Arm, start, and wait until the robot cruises."""
        self.home()
        if self.link.status.get("policy") is None or self.policy is None:
            raise AssertionError("no policy to start")
        if not self._policy_active():
            self._patiently(lambda: self._activate("policy_node"))
        self.arm()
        self.witness.clear()
        self._patiently(lambda: self.link.trigger("policy/start"))

    def cruise(self) -> None:
        """Begin, and wait until the robot moves at the full speed."""
        self.begin()
        self.link.until(lambda: self.witness.speed() > 0.95 * CRUISE, 10, f"the robot does not move: {self.link.status}")
        self.link.spin(3 * PERIOD)

    def after(self, fault: Callable[[], object], seconds: float = 1.4, *, foreign: bool = False) -> Seen:
        """Let a fault happen in motion, and look for a while."""
        before, began = len(self.witness.statuses), time.monotonic()
        fault()
        self.link.spin(seconds)
        return self.judge(began, before, foreign=foreign)

    def judge(self, began: float, before: int = 0, *, foreign: bool = False) -> Seen:
        """What followed the moment `began`; `before` statuses were seen until then."""
        witness = self.witness
        rungs = [values.get("rung", "") for moment, values in witness.statuses[before:] if moment >= began]
        causes = [values.get("cause", "") for _, values in witness.statuses[before:] if values.get("rung") in ("hold", "stop")]
        times, speeds = witness.commanded()
        brake = still = allowed = float("nan")
        fastest = np.abs(speeds).max(axis=1) if len(times) else np.zeros(0)
        earlier = fastest[times <= began]
        cruise = float(np.median(earlier[-3:])) if earlier.size else 0.0
        slower = (times > began) & (fastest < 0.98 * cruise)
        if slower.any():
            first = int(np.argmax(slower))
            brake = float(times[first] - began)
            stop = np.array(ROBOT.limits().stop_acceleration)
            allowed = float((np.abs(speeds[max(first - 1, 0)]) / stop).max()) + 2 * PERIOD
        moments = np.array([moment for moment, _ in witness.truth])
        moving = np.array([np.abs(values).max() >= STANDSTILL for _, values in witness.truth])
        if moments.size and not moving[-1]:
            last = moments[moving][-1] if moving.any() else began
            still = max(float(last - began), 0.0)
        excess = float("nan") if foreign else self._excess()
        events = [name for moment, name in witness.events if moment >= began]
        return Seen(_letters(rungs, events), causes[-1] if causes else "", brake, still, allowed, excess)

    def _excess(self) -> float:
        """Of what the guard let through; a robot that was late to listen may have missed some of it."""
        speeds = np.array(self.witness.executed)
        if len(speeds) < 3:
            return float("nan")
        if self.mode == "position":
            speeds = np.diff(speeds, axis=0) / PERIOD
        own = ROBOT.limits()
        step = np.maximum(own.acceleration, own.stop_acceleration) * PERIOD
        return float(max((np.abs(speeds) / own.velocity).max(), (np.abs(np.diff(speeds, axis=0)) / step).max()))

    def _activate(self, name: str) -> None:
        self.link.transition(name, Transition.TRANSITION_DEACTIVATE)
        if not self.link.transition(name, Transition.TRANSITION_ACTIVATE):
            raise RosError(self.nodes[name].complaint)

    def _policy_active(self) -> bool:
        """An external policy deactivates itself when its guard is lost; asked by a service that only an active node answers."""
        try:
            self.link.trigger("policy/stop")
        except RosError:
            return False
        return True

    def _patiently(self, action: Callable[[], object], seconds: float = 8.0) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                action()
            except RosError:
                if time.monotonic() > end:
                    raise
            else:
                return
            self.link.spin(0.1)

    def refusal(self, action: Callable[[], object]) -> Seen:  # type: ignore[override]
        """What a refusal says; outcome "N" if nothing is refused."""
        self.witness.clear()
        try:
            action()
        except (RosError, AssertionError) as error:
            words = str(error)
        else:
            return Seen("N", "not refused")
        self.link.spin(0.3)
        return Seen("R" if not self.witness.received else "R, but commands came", words)


def _letters(rungs: list[str], events: list[str]) -> str:
    if "stop" in rungs:
        stop = "X" if "stop_service" in events else "S"
        return f"H→{stop}" if "hold" in rungs[: rungs.index("stop")] else stop
    if "hold" in rungs:
        return "H" if rungs[-1] != "hold" else "H, not over"
    return "C" if "clamp" in rungs else "N"


@contextlib.contextmanager
def _disk(*, small: bool) -> Iterator[Path]:
    """A folder; a small one is a file system of 96 kB."""
    with tempfile.TemporaryDirectory() as folder:
        if not small:
            yield Path(folder)
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def course(
    policy: Path,
    mode: str,
    transport: str,
    *,
    inline: bool = False,
    alone: bool = False,
    simulator: tuple[tuple[str, Any], ...] = (),
    recorder: str = "",
    spoiled: str = "",
    **shared: Any,
) -> Iterator[Course]:
    """Robot, guard and policy as processes; ended with SIGINT.

    `spoiled` names a fault of `faulty_policy`; `recorder` adds a recorder: with a "roomy" disk or a "small" one, which only root can make.
    """
    with isolated(free_domain()) as environment, _disk(small=recorder == "small") as folder:
        told = {"policy": str(policy), "clock": "wall", "accept_no_deadman": True, **shared}
        started = []
        if not inline:
            started.append(NodeProcess("guard_node", {**told, "transport": transport}, environment))
        if not alone:
            parameters = {**told, "guard": "inline" if inline else "external"}
            faulty = {**environment, "POLICY_FAULT": spoiled, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
            started.append(
                NodeProcess("policy_node", parameters, faulty if spoiled else environment, module="faulty_policy" if spoiled else "")
            )
        # As a real controller: nothing ends a motion that nobody ends.
        robot = {"task": "reach", "plant": "mujoco", "clock": "wall", "transport": transport, "command_timeout": 0.0, **dict(simulator)}
        started.append(NodeProcess("sim_node", robot, environment))
        if recorder:
            started.append(NodeProcess("record_node", {"policy": str(policy), "folder": str(folder), "min_free": 0.0}, environment))
        watched = list(started)
        link = Link("/joint_states", int(environment["ROS_DOMAIN_ID"]), watched)
        found = Course(int(environment["ROS_DOMAIN_ID"]), link, {node.name: node for node in started}, None, watched)
        found.mode, found.transport, found.external = mode, transport, not inline
        found.witness = Witness(link)
        try:
            yield found
        finally:
            for node in started:
                node.send(signal.SIGCONT)
            for node in started:
                node.interrupt()
            for node in started:
                node.end()
                node.clean_up()
            link.close()
