"""Evaluates a policy on a simulated plant: episodes, traces and film."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.cadence import Cadence
from isthmus.policy import Policy
from isthmus.robot import load_robot
from isthmus.runner import Tick
from isthmus_evidence.contracts import check_contract
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.motions import MotionRecorder
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.specification import Judge
from isthmus_evidence.summary import summarize
from isthmus_evidence.traces import EpisodeTraces
from isthmus_evidence.trajectories import TrajectoryRecorder
from isthmus_sim.episodes import EpisodeResult, episode_start, run_episodes
from isthmus_sim.randomization import Randomization, Sampler, randomized_plant
from isthmus_sim.task import Task

__all__ = ["evaluate_task"]

_ROWS = {"mujoco": 50, "pybullet": 10}  # episodes at once; MuJoCo's batch has a thread pool, PyBullet's rows are stepped one by one
_FEW = 10  # at once where the next ones may not be needed


def evaluate_task(
    task: Task,
    policy: Policy,
    plant: str = "mujoco",
    *,
    episodes: int = 50,
    seed: int = 0,
    replan: int | None = None,
    parameters: Mapping[str, float] | None = None,
    randomization: Randomization | None = None,
    record: Path | None = None,
    film: Film | None = None,
    until: SequentialTest | None = None,
    trajectories: TrajectoryRecorder | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run whole episodes and sum them up.

    Args:
        task: gives starts, inputs and scores.
        policy: its contract must be the task's.
        plant: name of the engine.
        episodes: how many.
        seed: of the first episode; the following ones count up.
        replan: actions of a chunk to execute before deciding again; None means all.
        parameters: physical parameters that differ from the task's own, SI.
        randomization: parameters that are drawn from each episode's seed; in the result they are among those of the episode.
        record: folder for one MCAP trace per episode of the result, `PLANT-SEED.mcap`; created if missing.
        film: gets the pictures of the first episode.
        until: ends the evaluation once it is decided; episodes beyond are not told of.
        trajectories: gets the motion of every episode.
        progress: called with control periods done and in total; may raise `EnoughError`, which leaves the episodes that are finished then.

    Returns:
        what `isthmus eval --json` writes; see `summarize`.

    Raises:
        ValueError: the contracts differ (with the diff), the task does not run on the plant, a parameter is unknown, out of range or both
            given and drawn.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be >= 1, got {episodes}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    check_contract(policy.contract, task)
    seeds = range(seed, seed + episodes)
    rows = min(_ROWS.get(plant, 1), _FEW if until else episodes)
    chunks = [seeds[first : first + rows] for first in range(0, episodes, rows)]
    results: list[EpisodeResult] = []
    judge = Judge(task.specification, task.contract, load_robot(task.contract.robot)) if task.specification else None
    recorder = MotionRecorder(task.contract)
    observers = [recorder.observe, *([judge.record] if judge else []), *([trajectories.observe] if trajectories else [])]
    cadence = Cadence(task.contract.control_period, realtime=False)
    for number, chunk in enumerate(chunks):
        simulator, sampler = randomized_plant(plant, task, len(chunk), randomization)
        with contextlib.ExitStack() as stack:
            stack.callback(simulator.close)
            chosen = _randomized(task, sampler, parameters or {}) if sampler else task
            watchers: list[Callable[[Tick], None]] = [recorder.record]
            drawn = episode_start(chosen, chunk).parameters if record else {}
            physical = [{name: float(values[row]) for name, values in drawn.items()} | dict(parameters or {}) for row in range(len(chunk))]
            traces = EpisodeTraces(record, task.contract, simulator.robot.base_frame, plant, chunk, physical) if record else None
            if traces:
                watchers.append(stack.enter_context(traces).record)
            if film and number == 0:
                watchers.append(film.camera(simulator, task))
            if progress:
                watchers.append(_count(progress, number, len(chunks), task.episode_steps))
            try:
                done, times = run_episodes(
                    chosen,
                    policy,
                    simulator,
                    chunk,
                    replan=replan,
                    parameters=parameters,
                    on_tick=lambda tick: _call(watchers, tick),  # noqa: B023
                    on_transition=lambda transition: _call(observers, transition),
                )
            except EnoughError:
                if traces:
                    traces.remove()
                if not results:
                    raise
                break
            recorder.conclude(done)
            if judge:
                judge.conclude(done)
            if trajectories:
                trajectories.conclude(done)
            if traces:
                traces.conclude(done)
        results += done
        cadence.work += times.work
        cadence.inference += times.inference
        cadence.steps += times.steps
        if until and (needed := until.stop([result.success for result in results])):
            if traces:
                traces.remove(len(done) - (len(results) - needed))
            results = results[:needed]
            if trajectories:
                trajectories.keep(needed)
            break
    return summarize(
        task.name,
        plant,
        seed,
        results,
        {**cadence.summary(), "rows": min(rows, episodes)},
        episode_steps=task.episode_steps,
        motions=recorder.motions[: len(results)],
        unit=task.contract.action.unit,
        specification=judge.specification.formula if judge else "",
        judgements=judge.judgements[: len(results)] if judge else (),
        until=until,
    )


def _randomized(task: Task, sampler: Sampler, parameters: Mapping[str, float]) -> Task:
    for name in sampler.names:
        if name in parameters:
            raise ValueError(f"parameter {name!r} is both given and randomised")
    return sampler.randomized(task)


def _call(watchers: Sequence[Callable[[Any], object]], seen: Any) -> None:
    for watch in watchers:
        watch(seen)


def _count(progress: Callable[[int, int], None], number: int, chunks: int, steps: int) -> Callable[[Tick], None]:
    return lambda tick: progress(number * steps + tick.index + 1, chunks * steps)
