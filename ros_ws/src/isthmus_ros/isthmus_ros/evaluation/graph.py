"""The nodes of a task's robot: started here as child processes, or ones that already run; and the way to them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition

from isthmus.robot import Robot, load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.joined import named_joints
from isthmus_ros.evaluation.link import Link, Watched
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_sim.task import Task

__all__ = ["Condition", "Graph", "robot_nodes", "running"]

_PATIENCE = 20.0  # s for discovery


@dataclass(slots=True)
class Graph:
    """Nodes that run.

    Attributes:
        link: to them.
        robot: the task's.
        clock: "stepped" or "wall".
        prefix: of the joints' and frames' names on the robot's topics.
    """

    link: Link
    robot: Robot
    clock: str
    prefix: str
    _environment: Mapping[str, str]
    _processes: list[NodeProcess]
    _watched: list[Watched]

    def start(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Start one more node; its death ends every wait."""
        self._processes.append(NodeProcess(name, parameters, self._environment))
        self._watched.append(self._processes[-1])

    def watch(self, watched: Watched) -> None:
        """Let it end every wait."""
        self._watched.append(watched)

    def bring_up(self, name: str) -> None:
        """Configure and activate a node; activation needs a joint state, so it is tried until one has come.

        Raises:
            RosError: it refuses; the message is its own complaint.
        """
        process = {process.name: process for process in self._processes}.get(name)

        def refused(what: str) -> RosError:
            return RosError(f"{name}: {process.complaint if process else f'cannot {what}; see its log'}")

        configured = self.link.transition(name, Transition.TRANSITION_CONFIGURE)
        if not configured and process is not None:
            raise refused("configure")
        patience = time.monotonic() + _PATIENCE
        while not self.link.transition(name, Transition.TRANSITION_ACTIVATE):
            if time.monotonic() > patience:
                raise refused("activate")
            self.link.spin(0.1)


def robot_nodes(
    task: Task, policy: Path, *, clock: str, plant: str, parameters: Mapping[str, float] | None = None
) -> dict[str, dict[str, Any]]:
    """Parameters of a simulated robot, which takes pictures if the policy sees any, and of its guard.

    Args:
        task: names the robot and draws the episodes.
        policy: its file, whose contract the guard reads.
        clock: "stepped" or "wall".
        plant: engine behind the robot's topics.
        parameters: physical parameters that differ from the task's own.
    """
    contract = task.contract
    sees = any(signal.source == "image" for signal in contract.observation)
    physical = [f"{name}:={value!r}" for name, value in (parameters or {}).items()] or [""]
    pictures = {"camera_rate": 1 / contract.control_period} if sees else {}
    return {
        "sim_node": {"task": task.name, "plant": plant, "clock": clock, "parameters": physical, **pictures},
        # sim_node has a time-out of its own, and takes the transport that holds commands of the contract's mode
        "guard_node": {
            "policy": str(policy.resolve()),
            "clock": clock,
            "transport": "cmd_vel" if contract.mode == "twist" else f"forward_{contract.mode}",
            "accept_no_deadman": True,
        },
    }


@contextlib.contextmanager
def running(
    task: Task, nodes: Mapping[str, Mapping[str, Any]], *, clock: str = "stepped", attach: bool = False, domain_id: int | None = None
) -> Iterator[Graph]:
    """Start nodes and join them.

    Args:
        task: names the robot.
        nodes: name → parameters of each that is started.
        clock: theirs; with `attach` that of the nodes that already run.
        attach: a `guard_node` and a robot already run.
        domain_id: ROS domain; None means a free one, or the environment's with `attach`.

    Raises:
        RosError: the robot has no ROS interface, or a node ended with an error.
    """
    robot = load_robot(task.contract.robot)
    if robot.ros is None:
        raise RosError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
    with contextlib.ExitStack() as stack:
        environment: Mapping[str, str] = {**os.environ}
        if not attach:
            domain_id = free_domain() if domain_id is None else domain_id
            environment = stack.enter_context(isolated(domain_id))
        processes = stack.enter_context(_processes(nodes, environment))
        watched: list[Watched] = [*processes]
        odometry_topic = wire.joined("/", robot.ros.odometry_topic) if robot.ros.odometry_topic else ""
        link = Link(wire.joined("/", robot.ros.state_topic), domain_id, watched, reliable=not attach, odometry_topic=odometry_topic)
        stack.callback(link.close)
        prefix = ""
        if attach:
            clock, prefix = link.text("guard_node", "clock"), link.text("guard_node", "joint_prefix")
            link.rely()
        graph = Graph(link, robot, clock, prefix, environment, processes, watched)
        doubled = link.doubled(named_joints(robot, prefix))
        stack.callback(doubled.close)
        graph.watch(Condition(lambda: "; ".join(doubled.look())))
        yield graph


@dataclass(frozen=True, slots=True)
class Condition:
    """Ends every wait once there is a problem."""

    problem: Callable[[], str]

    def check(self) -> None:
        """Raise a RosError that says the problem, if there is one."""
        if problem := self.problem():
            raise RosError(problem)


@contextlib.contextmanager
def _processes(nodes: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str]) -> Iterator[list[NodeProcess]]:
    started: list[NodeProcess] = []
    clean = False
    try:
        for name, parameters in nodes.items():
            started.append(NodeProcess(name, parameters, environment))
        yield started
        clean = True
    finally:
        for process in reversed(started):
            process.interrupt()
        codes = {process.name: process.end() for process in reversed(started)}
        complaints = {process.name: process.complaint for process in started}
        for process in started:
            process.clean_up()
        for name, code in codes.items():
            if clean and code != 0:
                raise RosError(f"{name} ended with exit code {code}: {complaints[name]}")
