"""Evaluates a policy file across ROS 2 topics: resets the robot, publishes inputs, starts and stops the policy, and scores from topics.

The robot is a simulator behind the robot's own topics, started here together with policy and guard, or nodes that already run.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle_msgs.msg import Transition as LifecycleTransition

from isthmus import strict
from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.joined import named_joints
from isthmus_ros.evaluation.course import Course, RosEpisode
from isthmus_ros.evaluation.link import Link, Watched
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_sim.task import Task

__all__ = ["RosEpisode", "RosError", "RosEvaluation", "evaluate_over_ros"]

_PATIENCE = 20.0  # s for discovery
_SILENCE = 2.0  # s without a word of a monitor, which speaks ten times a second


@dataclass(frozen=True, slots=True)
class RosEvaluation:
    """What `evaluate_over_ros` found.

    Attributes:
        episodes: one per seed, those that the guard ended too.
        cadence: summary of the policy node's loop, as `Cadence.summary`.
        clock: "stepped" or "wall".
        steps_per_second: control periods per second of the running policy, all overhead between episodes left out.
    """

    episodes: tuple[RosEpisode, ...]
    cadence: Mapping[str, Any]
    clock: str
    steps_per_second: float


def evaluate_over_ros(
    task: Task,
    policy_path: Path,
    seeds: Sequence[int],
    *,
    clock: str = "stepped",
    plant: str = "pybullet",
    parameters: Mapping[str, float] | None = None,
    replan: int | None = None,
    record: Path | None = None,
    monitor: bool = False,
    attach: bool = False,
    domain_id: int | None = None,
    enough: Callable[[RosEpisode], bool] | None = None,
) -> RosEvaluation:
    """Run one episode per seed over real topics.

    Args:
        task: scores; gives starts and inputs.
        policy_path: the policy file.
        seeds: one per episode.
        clock: "stepped" or "wall".
        plant: engine behind the robot's topics.
        parameters: physical parameters that differ from the task's own.
        replan: actions of a chunk to execute before deciding again; None means all.
        record: path prefix of MCAP traces, `<prefix>-000.mcap` and so on, written by the policy node.
        monitor: a `monitor_node` watches, and each episode says what it found.
        attach: use nodes that already run, `sim_node` and an unconfigured or inactive `guard_node` and `policy_node`; then `plant`,
            `parameters`, `clock` and `record` are theirs.
        domain_id: ROS domain; None means a free one, or the environment's with `attach`.
        enough: called after each episode; whether that was the last one.

    Raises:
        RosError: a node refused, failed or ended; the message is its own complaint.
        ValueError: an unknown clock, or there is nothing to monitor.
    """
    if clock not in ("stepped", "wall"):
        raise ValueError(f"clock must be stepped or wall, got {clock!r}")
    if monitor and task.specification is None:
        raise ValueError(f"task {task.name!r} has no specification, so there is nothing to monitor")
    robot = load_robot(task.contract.robot)
    if robot.ros is None:
        raise RosError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
    state_topic = wire.joined("/", robot.ros.state_topic)
    with contextlib.ExitStack() as stack:
        processes: list[NodeProcess] = []
        prefix = ""
        if not attach:
            domain_id = free_domain() if domain_id is None else domain_id
            environment = stack.enter_context(isolated(domain_id))
            physical = [f"{name}:={value!r}" for name, value in (parameters or {}).items()] or [""]
            simulator = {"task": task.name, "plant": plant, "clock": clock, "parameters": physical}
            told = {"policy": str(Path(policy_path).resolve()), "clock": clock}
            nodes: dict[str, dict[str, Any]] = {
                "sim_node": simulator,
                "guard_node": {
                    **told,
                    "transport": _held(task.contract.mode),
                    "accept_no_deadman": True,
                },  # sim_node has a time-out of its own
                "policy_node": {
                    **told,
                    "max_steps": task.episode_steps,
                    "replan": replan or 0,
                    "record": str(record.resolve()) if record else "",
                },
            }
            if monitor:
                own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="specification-"))) / "specification.json"
                own.write_bytes(strict.canonical_json(task.specification))
                nodes["monitor_node"] = {"policy": told["policy"], "specification": str(own)}
            processes = stack.enter_context(_processes(nodes, environment))
        odometry_topic = wire.joined("/", robot.ros.odometry_topic) if robot.ros.odometry_topic else ""
        watched: list[Watched] = [*processes]
        link = Link(state_topic, domain_id, watched, reliable=not attach, odometry_topic=odometry_topic)
        stack.callback(link.close)
        if attach:
            clock, prefix = link.text("policy_node", "clock"), link.text("policy_node", "joint_prefix")
            link.rely()
        doubled = link.doubled(named_joints(robot, prefix))
        stack.callback(doubled.close)
        watched.append(_Condition(lambda: "; ".join(doubled.look())))
        if monitor:
            watched.append(_Condition(lambda: _unwatched(link)))
        for name in ("guard_node", "policy_node"):
            _bring_up(link, name, processes)
        course = Course(link, task, robot, wall=clock == "wall", monitored=monitor, prefix=prefix)
        episodes = []
        for seed in seeds:
            episodes.append(course.run(seed))
            if enough and enough(episodes[-1]):
                break
        steps = course.steps
        with contextlib.suppress(RosError):  # diagnostics come once a second
            link.until(lambda: int(link.cadence.get("steps", "0")) >= steps, 2.5, "no cadence")
        cadence = json.loads(link.cadence.get("cadence", "{}"))
        return RosEvaluation(tuple(episodes), cadence, clock, steps / course.seconds if course.seconds else 0.0)


@dataclass(frozen=True, slots=True)
class _Condition:
    """Ends every wait once there is a problem."""

    problem: Callable[[], str]

    def check(self) -> None:
        if problem := self.problem():
            raise RosError(problem)


def _unwatched(link: Link) -> str:
    return f"nobody watches any more: nothing was heard on monitor/status for {_SILENCE:g} s" if link.unwatched > _SILENCE else ""


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


def _held(mode: str) -> str:
    """The transport that `sim_node` takes unless it is told otherwise."""
    return "cmd_vel" if mode == "twist" else f"forward_{mode}"


def _bring_up(link: Link, name: str, processes: Sequence[NodeProcess]) -> None:
    """Configure and activate a node; activation needs a joint state, so it is tried until one has come."""
    process = {process.name: process for process in processes}.get(name)

    def refused(what: str) -> RosError:
        return RosError(f"{name}: {process.complaint if process else f'cannot {what}; see its log'}")

    configured = link.transition(name, LifecycleTransition.TRANSITION_CONFIGURE)
    if not configured and process is not None:
        raise refused("configure")
    patience = time.monotonic() + _PATIENCE
    while not link.transition(name, LifecycleTransition.TRANSITION_ACTIVATE):
        if time.monotonic() > patience:
            raise refused("activate")
        link.spin(0.1)
