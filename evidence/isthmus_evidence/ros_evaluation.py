"""Evaluates a policy file over ROS 2, with a policy node and a simulated robot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus import strict
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.summary import summarize
from isthmus_sim.task import Task

if TYPE_CHECKING:
    from isthmus_ros.evaluation.course import RosEpisode

__all__ = ["ROS", "Nodes", "evaluate_ros", "summarize_ros"]

ROS = "ros"


@dataclass(frozen=True, slots=True)
class Nodes:
    """How the nodes run.

    Attributes:
        clock: "stepped" (simulated time, reproducible) or "wall" (real time); with `attach` that of the nodes counts.
        engine: behind the simulated robot.
        attach: use the nodes that already run, instead of starting some.
        monitor: let a monitor node watch the specification, and compare it with the evaluation of the whole run.
    """

    clock: str = "stepped"
    engine: str = "pybullet"
    attach: bool = False
    monitor: bool = False


def evaluate_ros(
    task: Task,
    policy: Path,
    *,
    episodes: int,
    seed: int,
    nodes: Nodes,
    replan: int | None = None,
    parameters: Mapping[str, float] | None = None,
    record: Path | None = None,
    until: SequentialTest | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Run whole episodes and sum them up.

    Args:
        task: gives starts, inputs and scores.
        policy: its file, which the policy node loads.
        episodes: how many.
        seed: of the first episode; the following ones count up.
        nodes: how they run.
        replan: actions of a chunk to execute before deciding again; None means all.
        parameters: physical parameters that differ from the task's own, SI.
        record: folder for one MCAP trace per episode, `ros-000.mcap` and so on.
        until: ends the evaluation once it is decided.
        progress: called with episodes done and in total, and the return of the newest in words, and again and again without; may raise
            `EnoughError`, which ends the motion and leaves the episodes that are finished then.

    Returns:
        as `isthmus_evidence.task_evaluation.evaluate_task`; with a monitor, `specification` also says on how many episodes it agreed.

    Raises:
        ValueError: unknown engine, a number is out of range, or a node failed.
    """
    if nodes.engine not in task.plants:
        raise ValueError(f"unknown engine {nodes.engine!r}; {strict.suggest(nodes.engine, task.plants)}")
    if episodes < 1 or seed < 0:
        raise ValueError(f"episodes must be >= 1 and seed >= 0, got {episodes} and {seed}")
    from isthmus_ros.evaluation.coordinator import RosError, evaluate_over_ros

    successes: list[bool] = []

    def interrupted(news: str = "") -> bool:
        try:
            if progress:
                progress(len(successes), episodes, news)
        except EnoughError:
            return True
        return False

    def enough(episode: Any) -> bool:
        successes.append(episode.success)
        return interrupted(f"return {episode.total_reward:.1f}") or (until is not None and until.stop(successes) is not None)

    try:
        result = evaluate_over_ros(
            task,
            policy,
            range(seed, seed + episodes),
            clock=nodes.clock,
            plant=nodes.engine,
            parameters=parameters or {},
            replan=replan,
            record=record / ROS if record else None,
            monitor=nodes.monitor,
            attach=nodes.attach,
            enough=enough,
            interrupted=interrupted,
        )
    except RosError as error:
        raise ValueError(str(error)) from None
    if not result.episodes:
        raise EnoughError
    cadence = {**result.cadence, "clock": result.clock, "steps_per_second": result.steps_per_second}
    summary = summarize_ros(task, seed, result.episodes, cadence, until)
    if nodes.monitor:
        summary["specification"]["monitor_agrees"] = sum(episode.agrees for episode in result.episodes)
    return summary


def summarize_ros(
    task: Task, seed: int, episodes: Sequence[RosEpisode], cadence: Mapping[str, Any], until: SequentialTest | None = None
) -> dict[str, Any]:
    """Sum up episodes over ROS 2, as `isthmus_evidence.summary.summarize`; nobody hears there which commands the guard cut."""
    return summarize(
        task.name,
        ROS,
        seed,
        episodes,
        cadence,
        episode_steps=task.episode_steps,
        motions=[episode.motion for episode in episodes],
        unit=task.contract.action.unit,
        specification=task.specification.formula if task.specification else "",
        judgements=[episode.judgement for episode in episodes if episode.judgement],
        until=until,
    )
