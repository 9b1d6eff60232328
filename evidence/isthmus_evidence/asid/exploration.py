"""What is asked of an exploration, and what it can be expected to tell before anybody trusts it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_evidence.asid.bounds import Bounds, Watch
from isthmus_sim.identification.information import expected_sd
from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_preflight import UNSURE, Expected, SimulatedIdentification, with_length
from isthmus_sim.identification.information_run import Nearness, Run, play
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.task import Task

__all__ = ["Checked", "Exploration", "check_best", "check_told", "facts_of", "information_env", "played", "player"]

_COMPARED = 16  # draws for which finalists are compared
_USUAL = 0.95  # quantile of forces that is told beside the largest
SEEDS = 10**6  # apart: rounds of searches, finalists, the last word, and episodes of the task have draws of their own

Act = Callable[[dict[str, Array], int], Array]


@dataclass(frozen=True, slots=True)
class Exploration:
    """What is searched for.

    Attributes:
        task: with episodes as long as the exploration.
        unknown: the p parameters.
        objective: see `information.value`.
        every: control periods after which copies are put back to their rows; None means never.
        seed: of everything.
        bounds: what every run must keep to.
    """

    task: Task
    unknown: tuple[Unknown, ...]
    objective: str
    every: int | None
    seed: int
    bounds: Bounds = Bounds()  # noqa: RUF009 - frozen

    @classmethod
    def of(cls, task: Task, unknown: tuple[Unknown, ...], objective: str, every: int | None, seed: int, seconds: float) -> Exploration:
        """Of `seconds` of a task."""
        return cls(with_length(task, seconds), unknown, objective, every, seed)


@dataclass(frozen=True, slots=True)
class Checked:
    """The best of some explorations.

    Attributes:
        best: its number.
        promised: standard deviations by its information alone, shares of the ranges, `[p]`.
        expected: by simulated identification.
        kept: share of draws in which it keeps to its bounds.
        force: largest of all draws, N.
        usual_force: their 95 % quantile, N.
    """

    best: int
    promised: Array
    expected: Expected
    kept: float
    force: float
    usual_force: float


def information_env(asked: Exploration, rows: int, *, autoreset: bool = False) -> InformationVectorEnv:
    """The environment of an exploration."""
    return InformationVectorEnv(asked.task, asked.unknown, rows, objective=asked.objective, every=asked.every, autoreset=autoreset)


def player(policy: Policy) -> Act:
    """Commands of a policy as its file gives them, chunk after chunk."""
    horizon = policy.contract.horizon
    chunk = np.zeros((0, horizon, 0))

    def act(observation: dict[str, Array], number: int) -> Array:
        nonlocal chunk
        if number % horizon == 0:
            chunk = policy.act(observation).actions
        return np.asarray(chunk[:, number % horizon])

    return act


def played(
    env: InformationVectorEnv, act: Act, seeds: Sequence[int], near: Nearness | None = None, bounds: Watch | None = None
) -> tuple[Array, Run]:
    """Information of each row when it ended, `[B, p, p]`, and how it went."""
    told = np.zeros_like(env.information)

    def watch(_: int, alive: Array, info: Mapping[str, Array]) -> None:
        told[alive] = info["information"][alive]
        if bounds:
            bounds(env.plant.truth(), alive)

    run = play(env, act, seeds, near, watch)
    return told, run


def check_best(asked: Exploration, policies: Sequence[Policy], draws: int, progress: Callable[[int, int], None]) -> Checked:
    """The exploration after which simulated identification knows most, of those that keep to their bounds most often, and what it knows then.

    Args:
        asked: what is searched for.
        policies: that explore; compared on draws of their own, with the margin of the search.
        draws: that nothing was chosen by.
        progress: told of the passes.
    """
    some = min(draws, _COMPARED)
    simulated = SimulatedIdentification(asked.task, asked.unknown, some, every=asked.every)
    env = information_env(asked, some)
    contest = len(policies) > 1
    count, total = itertools.count(1), contest * len(policies) * simulated.passes(some) + simulated.passes(draws)

    def expected(policy: Policy, draws: int, apart: int) -> Expected:
        return simulated.run(player(policy), draws, asked.seed + apart * SEEDS, tell=lambda: progress(next(count), total))

    def watched(policy: Policy, bounds: Bounds, first: int) -> tuple[Array, Watch]:
        watch = Watch(asked.task, asked.unknown, bounds, some)
        return played(env, player(policy), [first + row for row in range(some)], bounds=watch)[0], watch

    def rank(policy: Policy) -> tuple[float, float]:
        _, watch = watched(policy, asked.bounds.searched, asked.seed + SEEDS)
        return -float(watch.kept().mean()), float((expected(policy, some, 1).sd ** 2).sum())

    best = min(range(len(policies)), key=lambda number: rank(policies[number])) if contest else 0
    last = expected(policies[best], draws, 2)
    simulated.close()
    parts = [watched(policies[best], asked.bounds, asked.seed + 2 * SEEDS + first) for first in range(0, draws, some)]
    env.close()
    told = np.concatenate([part for part, _ in parts])[:draws]
    kept, force = (np.concatenate(values)[:draws] for values in ([watch.kept() for _, watch in parts], [watch.force for _, watch in parts]))
    promised = np.sqrt((expected_sd(told) ** 2).mean(0))
    return Checked(best, promised, last, float(kept.mean()), float(force.max()), float(np.quantile(force, _USUAL)))


def check_told(asked: Exploration, found: Checked) -> None:
    """Refuse an exploration after which a parameter stays unknown, or that leaves its bounds.

    Raises:
        ValueError: the message names it.
    """
    shares = zip(asked.unknown, found.expected.sd.tolist(), strict=True)
    if left := [f"{one.name} within {100 * share:.0f} %" for one, share in shares if share > UNSURE]:
        raise ValueError(
            f"the best exploration found leaves {', '.join(left)} of its range, and more than {100 * UNSURE:.0f} % is NOT IDENTIFIABLE: take it "
            "out of --unknown, search longer, or write the file anyway with --force"
        )
    if found.kept < 1:
        bounds = [f"specification {asked.bounds.formula!r}"] * bool(asked.bounds.formula)
        bounds += [f"force of at most {asked.bounds.force:g} N (the largest was {found.force:.3g} N)"] * np.isfinite(asked.bounds.force)
        raise ValueError(
            f"the best exploration found leaves its bounds in {100 * (1 - found.kept):.0f} % of the draws: {', '.join(bounds)}; search longer, "
            "or write the file anyway with --force"
        )


def facts_of(asked: Exploration, found: Checked, draws: int, *, forced: bool) -> dict[str, Any]:
    """What the manifest says: standard deviations in the parameters' units, and as shares of their ranges."""
    names = [one.name for one in asked.unknown]
    width = [one.high - one.low for one in asked.unknown]
    expected, run = found.expected, found.expected.run
    return {
        "unknown": {one.name: [one.low, one.high] for one in asked.unknown},
        "unit": {name: asked.task.parameters[name].unit for name in names},
        "expected_sd": dict(zip(names, (expected.sd * width).tolist(), strict=True)),
        "expected_share_of_range": dict(zip(names, expected.sd.tolist(), strict=True)),
        "expected_verdict": dict(zip(names, expected.verdicts, strict=True)),
        "promised_by_information": dict(zip(names, (found.promised * width).tolist(), strict=True)),
        "draws": draws,
        "ended_early": int(run.bad.sum()),
        "specification": asked.bounds.formula,
        "force_bound_N": asked.bounds.force if np.isfinite(asked.bounds.force) else None,
        "searched_force_N": asked.bounds.searched.force if np.isfinite(asked.bounds.force) else None,
        "peak_force_N": found.force,
        "peak_force_95_percent_N": found.usual_force,
        "kept_its_bounds": found.kept,
        "duration_s": asked.task.episode_steps * asked.task.contract.control_period,
        "peak_speed_share_of_limit": float(run.speed.max()),
        "peak_effort_share_of_limit": float(run.effort.max()),
        "objective": asked.objective,
        "every": asked.every,
        "forced": forced,
    }
