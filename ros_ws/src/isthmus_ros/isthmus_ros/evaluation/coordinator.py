"""Evaluates a policy file across ROS 2 topics: resets the robot, publishes inputs, starts and stops the policy, and scores from topics.

The robot is a simulator behind the robot's own topics, started here together with policy and guard, or nodes that already run.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_ros.evaluation.course import Course, RosEpisode
from isthmus_ros.evaluation.graph import Condition, robot_nodes, running
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.task import Task

__all__ = ["RosEpisode", "RosError", "RosEvaluation", "evaluate_over_ros"]

_SILENCE = 2.0  # s without a word of a monitor, which speaks ten times a second
_REST = 20.0  # s for standstill


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
    enough: Callable[[RosEpisode], bool] = lambda episode: False,
    interrupted: Callable[[], bool] = lambda: False,
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
        interrupted: asked again and again; then the motion is ended, and its episode does not count.

    Raises:
        RosError: a node refused, failed or ended; the message is its own complaint.
        ValueError: an unknown clock, or there is nothing to monitor.
    """
    if clock not in ("stepped", "wall"):
        raise ValueError(f"clock must be stepped or wall, got {clock!r}")
    if monitor and task.specification is None:
        raise ValueError(f"task {task.name!r} has no specification, so there is nothing to monitor")
    with contextlib.ExitStack() as stack:
        nodes: dict[str, dict[str, Any]] = {}
        if not attach:
            path = str(Path(policy_path).resolve())
            nodes = robot_nodes(task, Path(path), clock=clock, plant=plant, parameters=parameters)
            nodes["policy_node"] = {
                "policy": path,
                "clock": clock,
                "max_steps": task.episode_steps,
                "replan": replan or 0,
                "record": str(record.resolve()) if record else "",
            }
            if monitor:
                own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="specification-"))) / "specification.json"
                own.write_bytes(strict.canonical_json(task.specification))
                nodes["monitor_node"] = {"policy": path, "specification": str(own)}
        graph = stack.enter_context(running(task, nodes, clock=clock, attach=attach, domain_id=domain_id))
        link, clock = graph.link, graph.clock
        if monitor:
            graph.watch(Condition(lambda: _unwatched(link)))
        graph.watch(interruption := _Interruption(interrupted))
        own_parameters = None if attach else parameters
        course = Course(link, task, graph.robot, wall=clock == "wall", monitored=monitor, prefix=graph.prefix, parameters=own_parameters)
        episodes: list[RosEpisode] = []
        try:
            for name in ("guard_node", "policy_node"):
                graph.bring_up(name)
            for seed in seeds:
                episodes.append(course.run(seed))
                if enough(episodes[-1]):
                    break
        except BaseException as error:
            interruption.heard = True
            _bring_to_rest(link)
            if not isinstance(error, _InterruptedError):
                raise
        steps = course.steps
        with contextlib.suppress(RosError):  # diagnostics come once a second
            link.until(lambda: int(link.cadence.get("steps", "0")) >= steps, 2.5, "no cadence")
        cadence = json.loads(link.cadence.get("cadence", "{}"))
        return RosEvaluation(tuple(episodes), cadence, clock, steps / course.seconds if course.seconds else 0.0)


class _InterruptedError(Exception):
    """Somebody wants no more episodes."""


@dataclass(slots=True)
class _Interruption:
    """Ends the wait that goes on, and no other."""

    asked: Callable[[], bool]
    heard: bool = False

    def check(self) -> None:
        if not self.heard and self.asked():
            self.heard = True
            raise _InterruptedError


def _bring_to_rest(link: Link) -> None:
    """End a motion that goes on: nodes that were not started here would not end it."""
    with contextlib.suppress(RosError):
        if link.status.get("policy", "idle") != "idle":
            link.trigger("policy/stop")
            link.until(lambda: link.status["policy"] == "idle", _REST, "no standstill")


def _unwatched(link: Link) -> str:
    return f"nobody watches any more: nothing was heard on monitor/status for {_SILENCE:g} s" if link.unwatched > _SILENCE else ""
