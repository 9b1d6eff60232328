"""Evaluates a policy on a simulated plant: episodes, intervals, traces and film, as `isthmus eval`, training and the demo need them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from isthmus.cadence import Cadence
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.runner import Tick
from isthmus_cli.film import Film
from isthmus_cli.traces import EpisodeTraces
from isthmus_sim.episodes import EpisodeResult, run_episodes
from isthmus_sim.plants import make_plant, plant_names
from isthmus_sim.task import Task

__all__ = ["CONFIDENCE", "check_contract", "evaluate", "return_interval", "success_interval", "summarize"]

CONFIDENCE = 0.95
_ROWS = {"mujoco": 50, "pybullet": 10}  # episodes at once; MuJoCo's batch has a thread pool, PyBullet's rows are stepped one by one
_RESAMPLES = 9999


class ScoredEpisode(Protocol):
    """What is needed of an episode's result, a dataclass, wherever it ran; more attributes are passed on.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return.
        success: whether it counts as a success.
    """

    @property
    def seed(self) -> int: ...
    @property
    def total_reward(self) -> float: ...
    @property
    def success(self) -> bool: ...


def evaluate(
    task: Task,
    policy: Policy,
    plant: str = "mujoco",
    *,
    episodes: int = 50,
    seed: int = 0,
    replan: int | None = None,
    parameters: Mapping[str, float] | None = None,
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
        record: folder for one MCAP trace per episode, `PLANT-SEED.mcap`; created if missing.
        film: gets the pictures of the first episode.
        progress: called with control periods done and in total.

    Returns:
        what `isthmus eval --json` writes; see `summarize`.

    Raises:
        ValueError: the contracts differ (with the diff), the task does not run on the plant, a parameter is unknown or out of range,
            or the simulation diverged.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be >= 1, got {episodes}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    if plant in plant_names() and plant not in task.plants:
        raise ValueError(f"task {task.name!r} does not run on plant {plant!r}; it runs on {', '.join(task.plants)}")
    check_contract(policy.contract, task)
    seeds = range(seed, seed + episodes)
    rows = _ROWS.get(plant, 1)
    chunks = [seeds[first : first + rows] for first in range(0, episodes, rows)]
    results: list[EpisodeResult] = []
    cadence = Cadence(task.contract.control_period, realtime=False)
    for number, chunk in enumerate(chunks):
        simulator = make_plant(
            plant, load_robot(task.contract.robot), mode=task.contract.mode, period=task.contract.control_period, batch=len(chunk)
        )
        with contextlib.ExitStack() as stack:
            stack.callback(simulator.close)
            watchers: list[Callable[[Tick], None]] = []
            traces = EpisodeTraces(record, task.contract, simulator.robot.base_frame, plant, chunk, parameters or {}) if record else None
            if traces:
                watchers.append(stack.enter_context(traces).record)
            if film and number == 0:
                watchers.append(film.camera(simulator, task))
            if progress:
                watchers.append(_count(progress, number, len(chunks), task.episode_steps))
            done, times = run_episodes(
                task,
                policy,
                simulator,
                chunk,
                replan=replan,
                parameters=parameters,
                on_tick=lambda tick: _call(watchers, tick),  # noqa: B023
            )
            if traces:
                traces.conclude(done)
        results += done
        cadence.work += times.work
        cadence.inference += times.inference
        cadence.steps += times.steps
    return summarize(task.name, plant, seed, results, {**cadence.summary(), "rows": min(rows, episodes)})


def summarize(task: str, plant: str, seed: int, results: Sequence[ScoredEpisode], cadence: Mapping[str, Any]) -> dict[str, Any]:
    """Sum up episodes, wherever they ran.

    Args:
        task: name.
        plant: name.
        seed: of the first episode.
        results: one per episode.
        cadence: summary of the loop's times.

    Returns:
        plain data: `task`, `plant`, `seed`, `episodes`, `return` and `success` with 95 % intervals, `cadence`, `per_episode`.

    Raises:
        ValueError: there is no episode, or a return is not finite.
    """
    for result in results:
        if not np.isfinite(result.total_reward):
            raise ValueError(
                f"the return of the episode with seed {result.seed} is {result.total_reward}: the simulation of {plant} diverged"
            )
    returns = np.array([result.total_reward for result in results])
    successes = sum(result.success for result in results)
    low, high = return_interval(returns)
    rate_low, rate_high = success_interval(successes, len(results))
    return {
        "task": task,
        "plant": plant,
        "seed": seed,
        "episodes": len(results),
        "return": {"mean": float(returns.mean()), "low": low, "high": high},
        "success": {"rate": successes / len(results), "low": rate_low, "high": rate_high},
        "cadence": dict(cadence),
        "per_episode": [_plain(result) for result in results],
    }


def return_interval(returns: Array) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron 1979), with a fixed seed.

    Equal returns, and a single one, have no spread to resample: both ends are that return.

    Args:
        returns: `[n]`.

    Raises:
        ValueError: there is no return.
    """
    from scipy.stats import bootstrap

    if returns.size == 0:
        raise ValueError("an interval needs at least one episode, got 0")
    if np.ptp(returns) == 0:
        return float(returns[0]), float(returns[0])
    generator = np.random.default_rng(0)
    # The bias-corrected interval is undefined for nearly equal returns; percentiles never are.
    resampled = bootstrap((returns,), np.mean, n_resamples=_RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=generator)
    return float(resampled.confidence_interval.low), float(resampled.confidence_interval.high)


def success_interval(successes: int, episodes: int) -> tuple[float, float]:
    """95 % interval of a success rate (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(successes, episodes).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def check_contract(contract: Contract, task: Task) -> None:
    """Refuse a policy that was made for something else.

    Raises:
        ValueError: the digests differ; the message lists the differences.
    """
    if contract.digest() != task.contract.digest():
        lines = contract.diff(task.contract)
        if contract.robot != task.contract.robot:
            lines = lines[:2]  # for another robot everything differs
        raise ValueError(f"the policy (here) has another contract than task {task.name!r} (there): {'; '.join(lines)}")


def _plain(result: ScoredEpisode) -> dict[str, Any]:
    values = asdict(cast(Any, result))
    return {"seed": values.pop("seed"), "return": values.pop("total_reward"), **values}


def _call(watchers: Sequence[Callable[[Tick], None]], tick: Tick) -> None:
    for watch in watchers:
        watch(tick)


def _count(progress: Callable[[int, int], None], number: int, chunks: int, steps: int) -> Callable[[Tick], None]:
    return lambda tick: progress(number * steps + tick.index + 1, chunks * steps)
