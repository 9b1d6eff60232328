"""Evaluates a policy file over ROS 2, with a policy node and a simulated robot, as `isthmus eval --plant ros` needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus import strict
from isthmus_cli.evaluation import summarize
from isthmus_sim.task import Task

if TYPE_CHECKING:
    from isthmus_ros.evaluation.course import RosEpisode

__all__ = ["ROS", "evaluate_ros", "summarize_ros"]

ROS = "ros"


def evaluate_ros(
    task: Task,
    policy: Path,
    *,
    episodes: int,
    seed: int,
    clock: str,
    engine: str,
    attach: bool,
    monitor: bool,
    replan: int | None,
    parameters: Mapping[str, float],
    record: Path | None,
    progress: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Run whole episodes and sum them up.

    Args:
        task: gives starts, inputs and scores.
        policy: its file, which the policy node loads.
        episodes: how many.
        seed: of the first episode; the following ones count up.
        clock: "stepped" or "wall".
        engine: behind the simulated robot.
        attach: use the nodes that already run, instead of starting some.
        monitor: let a monitor node watch the specification, and compare it with the evaluation of the whole run.
        replan: actions of a chunk to execute before deciding again; None means all.
        parameters: physical parameters that differ from the task's own, SI.
        record: folder for one MCAP trace per episode, `ros-000.mcap` and so on.
        progress: called with episodes done and in total, and the return of the newest in words.

    Returns:
        as `isthmus_cli.evaluation.evaluate`; with a monitor, `specification` also says on how many episodes it agreed.

    Raises:
        ValueError: unknown engine, a number is out of range, or a node failed.
    """
    if engine not in task.plants:
        raise ValueError(f"unknown engine {engine!r}; {strict.suggest(engine, task.plants)}")
    if episodes < 1 or seed < 0:
        raise ValueError(f"episodes must be >= 1 and seed >= 0, got {episodes} and {seed}")
    from isthmus_ros.evaluation.coordinator import RosError, evaluate_over_ros

    done = 0

    def count(episode: Any) -> None:
        nonlocal done
        done += 1
        progress(done, episodes, f"return {episode.total_reward:.1f}")

    try:
        result = evaluate_over_ros(
            task,
            policy,
            range(seed, seed + episodes),
            clock=clock,
            plant=engine,
            parameters=parameters,
            replan=replan,
            record=record / ROS if record else None,
            monitor=monitor,
            attach=attach,
            progress=count,
        )
    except RosError as error:
        raise ValueError(str(error)) from None
    cadence = {**result.cadence, "clock": result.clock, "steps_per_second": result.steps_per_second}
    summary = summarize_ros(task, seed, result.episodes, cadence)
    if monitor:
        summary["specification"]["monitor_agrees"] = sum(episode.agrees for episode in result.episodes)
    return summary


def summarize_ros(task: Task, seed: int, episodes: Sequence[RosEpisode], cadence: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up episodes over ROS 2, as `isthmus_cli.evaluation.summarize`; nobody hears there which commands the guard cut."""
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
    )
