"""Evaluates a policy on a simulated plant: episodes, intervals, traces and film, as `isthmus eval`, training and the demo need them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from isthmus.cadence import Cadence
from isthmus.contract import Contract
from isthmus.motion import Motion, pooled
from isthmus.policy import Policy
from isthmus.robot import load_robot
from isthmus.runner import Tick
from isthmus_cli.film import Film
from isthmus_cli.motions import MotionRecorder
from isthmus_cli.specification import Judge, plain_judgement, satisfaction
from isthmus_cli.statistics import mean_interval, success_interval
from isthmus_cli.traces import EpisodeTraces
from isthmus_controllers.stl import Judgement
from isthmus_sim.episodes import EpisodeResult, episode_start, run_episodes
from isthmus_sim.randomization import Randomization, Sampler, randomized_plant
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["check_contract", "evaluate", "summarize"]

_ROWS = {"mujoco": 50, "pybullet": 10}  # episodes at once; MuJoCo's batch has a thread pool, PyBullet's rows are stepped one by one
_ENDS = {  # attributes of results, the first one that is set counts
    "diverged": "exploded",
    "invalid": "not finite",
    "stopped_by_guard": "stopped by the guard",
    "fallen": "fallen",
}


class ScoredEpisode(Protocol):
    """What is needed of an episode's result, a dataclass, wherever it ran; more attributes are passed on.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return.
        success: whether it counts as a success; None where nothing says so.
        steps: control periods until its end.
    """

    @property
    def seed(self) -> int: ...
    @property
    def total_reward(self) -> float: ...
    @property
    def success(self) -> bool | None: ...
    @property
    def steps(self) -> int: ...


def evaluate(
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
        record: folder for one MCAP trace per episode, `PLANT-SEED.mcap`; created if missing.
        film: gets the pictures of the first episode.
        progress: called with control periods done and in total.

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
    rows = _ROWS.get(plant, 1)
    chunks = [seeds[first : first + rows] for first in range(0, episodes, rows)]
    results: list[EpisodeResult] = []
    judge = Judge(task.specification, task.contract, load_robot(task.contract.robot)) if task.specification else None
    recorder = MotionRecorder(task.contract)
    observers = [recorder.observe, judge.record] if judge else [recorder.observe]
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
            recorder.conclude(done)
            if judge:
                judge.conclude(done)
            if traces:
                traces.conclude(done)
        results += done
        cadence.work += times.work
        cadence.inference += times.inference
        cadence.steps += times.steps
    return summarize(
        task.name,
        plant,
        seed,
        results,
        {**cadence.summary(), "rows": min(rows, episodes)},
        episode_steps=task.episode_steps,
        motions=recorder.motions,
        unit=task.contract.action.unit,
        specification=judge.specification.formula if judge else "",
        judgements=judge.judgements if judge else (),
    )


def summarize(
    task: str,
    plant: str,
    seed: int,
    results: Sequence[ScoredEpisode],
    cadence: Mapping[str, Any],
    *,
    episode_steps: int,
    motions: Sequence[Motion] = (),
    unit: str = "",
    specification: str = "",
    judgements: Sequence[Judgement] = (),
) -> dict[str, Any]:
    """Sum up episodes, wherever they ran.

    Args:
        task: name.
        plant: name.
        seed: of the first episode.
        results: one per episode.
        cadence: summary of the loop's times.
        episode_steps: control periods of an episode that nothing ends.
        motions: one per episode; none where nobody recorded them.
        unit: of the action.
        specification: formula that was judged by, "" for none.
        judgements: one per episode, likewise.

    Returns:
        plain data: `task`, `plant`, `seed`, `episodes`, `return` and `success` with 95 % intervals, `ends`, `motion`, `cadence`, `per_episode`.
        `success` is None if no episode says whether it was one; `ends` counts why episodes ended; `motion` is `isthmus.motion.pooled` and the
        `unit` of the commands, None without motions. With a specification there is `specification`, see
        `isthmus_cli.specification.satisfaction`.

    Raises:
        ValueError: there is no episode, or a return is not finite.
    """
    for result in results:
        if not np.isfinite(result.total_reward):
            raise ValueError(
                f"the return of the episode with seed {result.seed} is {result.total_reward}; whoever runs episodes must end such a row"
            )
    returns = np.array([result.total_reward for result in results])
    successes = [result.success for result in results if result.success is not None]
    low, high = mean_interval(returns)
    success = None
    if successes:
        rate_low, rate_high = success_interval(sum(successes), len(successes))
        success = {"rate": sum(successes) / len(successes), "low": rate_low, "high": rate_high}
    episodes = [_plain(result) for result in results]
    for name, told in (
        ("motion", [asdict(motion) for motion in motions]),
        ("specification", [plain_judgement(judged) for judged in judgements]),
    ):
        for episode, own in zip(episodes, told, strict=bool(told)):
            episode[name] = own
    return {
        "task": task,
        "plant": plant,
        "seed": seed,
        "episodes": len(results),
        "return": {"mean": float(returns.mean()), "low": low, "high": high},
        "success": success,
        "ends": dict(Counter(_end(episode, episode_steps) for episode in episodes)),
        "motion": {**pooled(motions), "unit": unit} if motions else None,
        **({"specification": satisfaction(specification, judgements)} if judgements else {}),
        "cadence": dict(cadence),
        "per_episode": episodes,
    }


def check_contract(contract: Contract, task: Task | SuiteTask) -> None:
    """Refuse a policy that was made for something else.

    Raises:
        ValueError: the digests differ; the message lists the differences.
    """
    if contract.digest() != task.contract.digest():
        lines = contract.diff(task.contract)
        if contract.robot != task.contract.robot:
            lines = lines[:2]  # for another robot everything differs
        raise ValueError(f"the policy (here) has another contract than task {task.name!r} (there): {'; '.join(lines)}")


def _randomized(task: Task, sampler: Sampler, parameters: Mapping[str, float]) -> Task:
    for name in sampler.names:
        if name in parameters:
            raise ValueError(f"parameter {name!r} is both given and randomised")
    return sampler.randomized(task)


def _plain(result: ScoredEpisode) -> dict[str, Any]:
    values = asdict(cast(Any, result))
    values.pop("judgement", None)  # told as `specification`
    return {"seed": values.pop("seed"), "return": values.pop("total_reward"), **values}


def _end(episode: Mapping[str, Any], longest: int) -> str:
    """Why an episode ended."""
    usual = "time limit" if episode["steps"] >= longest else "ended early"
    return next((end for name, end in _ENDS.items() if episode.get(name)), usual)


def _call(watchers: Sequence[Callable[[Any], object]], seen: Any) -> None:
    for watch in watchers:
        watch(seen)


def _count(progress: Callable[[int, int], None], number: int, chunks: int, steps: int) -> Callable[[Tick], None]:
    return lambda tick: progress(number * steps + tick.index + 1, chunks * steps)
