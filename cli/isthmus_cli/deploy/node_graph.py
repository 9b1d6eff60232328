"""The processes of a plan without a ROS distribution: started here, brought up over services, and brought down in the safe order."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from lifecycle_msgs.msg import Transition

from isthmus.timing import steady
from isthmus_bringup.plan import STOP_PATIENCE, Plan, Process
from isthmus_ros.common.signals import held_back
from isthmus_ros.evaluation.link import Link, Watched
from isthmus_ros.evaluation.processes import RosError

__all__ = ["COMMANDING", "NodeGraph", "PlannedProcess"]

COMMANDING = ("policy_node", "explore_node")
"""Nodes that offer `policy/start` and `policy/stop`; a plan has one at most."""
_PATIENCE = 20.0  # s for discovery and for the first joint states
_SETTLE = 10.0  # s for standstill
_MOVING = ("following", "holding", "braking")  # phases of a guard in which it refuses to disarm
_SILENCE = 1.0  # s without a joint state after which nobody knows whether the robot stands still


class PlannedProcess:
    """One process of a plan; a signal to the terminal's processes does not reach it.

    Attributes:
        plan: what was planned.
        name: of the node.
        command: as started.
    """

    def __init__(self, process: Process, folder: Path) -> None:
        """Start it; `folder` is for its parameter file."""
        self.plan, self.name = process, process.name
        file = folder / f"{process.name}.yaml"
        file.write_text(process.parameters_yaml(), encoding="utf-8")
        arguments = [*process.ros_arguments(file), "--log-file-name", process.name]  # else the file is named python_…, after the executable
        self.command = [sys.executable, "-m", process.package, process.executable, *arguments]
        with held_back():
            self._process = subprocess.Popen(self.command, env={**os.environ, **process.environment}, start_new_session=True)

    @property
    def exit_code(self) -> int | None:
        """Exit code, None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise if a required process has ended.

        Raises:
            RosError: it has.
        """
        if self.plan.required and self.exit_code is not None:
            raise RosError(f"{self.name} ended with exit code {self.exit_code}")

    def interrupt(self) -> None:
        """Send SIGINT, if the process still runs."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Send SIGINT, wait and return the exit code; a process that does not end is killed."""
        self.interrupt()
        try:
            return self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class NodeGraph:
    """All processes of a plan; leaving the context brings them down: the policy first, then its guard, then a simulated robot.

    Attributes:
        processes: in starting order.
        link: talks to the nodes.
        failures: what went wrong on the way down, one sentence each.
    """

    def __init__(self, plan: Plan, state_topic: str, watched: Sequence[Watched] = ()) -> None:
        """Join the environment's ROS domain and start the processes; if one of them cannot be started, none is left.

        Args:
            plan: what to start.
            state_topic: absolute name of the robot's joint states.
            watched: what else may end every wait, but not the way down.

        Raises:
            RosError: there is no way into the domain.
            OSError: a process cannot be started.
        """
        self.plan = plan
        self.processes: list[PlannedProcess] = []
        self._watched: list[Watched] = [*watched]
        self._state_topic = state_topic
        self.failures: list[str] = []
        self._active: list[str] = []
        try:
            self.link = Link(state_topic, None, self._watched, reliable=False, namespace=plan.namespace)
        except Exception as error:  # whatever rclpy and DDS raise
            raise RosError(f"cannot join the ROS domain: {error}") from error
        self._folder = tempfile.TemporaryDirectory(prefix="isthmus-")
        try:
            for process in plan.processes:
                self.processes.append(PlannedProcess(process, Path(self._folder.name)))
        except BaseException:
            self._end()
            raise
        self._watched += self.processes

    @property
    def shadow(self) -> bool:
        """Whether the policy commands nothing, so that there is no guard to be armed."""
        return any(process.plan.parameters.get("shadow") is True for process in self.processes)

    def __enter__(self) -> NodeGraph:
        """The graph, not yet brought up."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Come down in the safe order; whatever fails on the way, no process is left."""
        try:
            self.down()
        finally:
            self._end()

    @property
    def _unknown(self) -> str:
        """Why nobody knows whether the robot stands still; "" if its joint states come."""
        silent = steady() - self.link.heard
        since = f"for {silent:.1f} s" if silent < math.inf else "yet"
        return f"the robot's state is unknown: nothing on {self._state_topic} {since}" if silent > _SILENCE else ""

    @property
    def gone(self) -> list[str]:
        """Processes that have ended, and without which the others go on."""
        return [process.name for process in self.processes if not process.plan.required and process.exit_code is not None]

    def wait(self, seconds: float) -> None:
        """Take in messages for a while.

        Raises:
            RosError: a required process ended.
        """
        self.link.check()
        self.link.spin(seconds)
        self.link.forget()  # nothing is scored here

    def up(self) -> None:
        """Configure and activate one lifecycle node after the other.

        Raises:
            RosError: a node refused or ended.
        """
        for process in self.plan.processes:
            if not process.lifecycle:
                continue
            if not self.link.transition(process.full_name, Transition.TRANSITION_CONFIGURE):
                raise RosError(f"{process.name} refused to be configured; its log, above, says why")
            patience = time.monotonic() + _PATIENCE
            while not self.link.transition(process.full_name, Transition.TRANSITION_ACTIVATE):
                if time.monotonic() > patience:
                    raise RosError(f"{process.name} refused to be activated for {_PATIENCE:g} s; its log, above, says why")
                self.wait(0.5)
            self._active.append(process.name)

    def down(self) -> None:
        """Stop the policy, wait for standstill, disarm, deactivate and end, the processes in reverse order.

        Of a robot that says nothing nobody can wait for standstill: the nodes then end at once, each braking blindly as it does.
        """
        self._watched.clear()  # the death of one must not keep the others from being brought to rest
        running = {process.name for process in self.processes if process.exit_code is None}
        commanding = running.intersection(self._active, COMMANDING)
        if commanding:
            with contextlib.suppress(RosError):
                self.link.trigger("policy/stop")
            with contextlib.suppress(RosError):
                self.link.until(lambda: self.link.status.get("policy", "idle") == "idle" or bool(self._unknown), _SETTLE, "no standstill")
        if "guard_node" in running.intersection(self._active):
            with contextlib.suppress(RosError):
                self.link.until(lambda: self.link.status.get("phase") not in _MOVING or bool(self._unknown), _SETTLE, "no standstill")
            once = iter([""])  # it is asked in any case
            try:
                self.link.insist(lambda: self.link.arm(False), _SETTLE, unless=lambda: next(once, self._unknown))
            except RosError as error:
                self.failures.append(self._unknown or str(error))
        unknown = bool(self._unknown)
        for process in self.processes if unknown else ():
            process.interrupt()
        for process in reversed(self.processes):
            if process.name in self._active and process.exit_code is None and not unknown:
                with contextlib.suppress(RosError):
                    self.link.transition(process.plan.full_name, Transition.TRANSITION_DEACTIVATE)
            if (code := process.end()) != 0 and process.name in running:
                self.failures.append(f"{process.name} ended with exit code {code}")

    def _end(self) -> None:
        """End what still runs, and leave the domain."""
        for process in self.processes:
            process.interrupt()
        for process in reversed(self.processes):
            process.end()
        self.link.close()
        self._folder.cleanup()
