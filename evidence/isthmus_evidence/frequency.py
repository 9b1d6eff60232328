"""Evaluates a policy at many decision frequencies, as `isthmus eval --fas` does; `frequency_score` explains the score.

A policy that plans ahead executes the first n actions of its chunk; one that plans fewer repeats its last action, so a reactive one does what is
known as action repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.chunks import act_on
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Array
from isthmus_evidence.contracts import check_contract
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.frequency_score import LENGTHS, ReturnRange, frequency_averaged_score
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.randomization import Randomization
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["FixedLength", "evaluate_frequencies", "frequency_seed"]

EPISODES = 10
"""Of each length, by default; the paper's number."""


class FixedLength:
    """A policy that decides once per n primitive actions, made from any other.

    Attributes:
        contract: that of the other policy, with horizon n.
    """

    def __init__(self, policy: Policy, length: int) -> None:
        """Wrap.

        Args:
            policy: what decides.
            length: n, >= 1.
        """
        self.contract = replace(policy.contract, horizon=length)
        self._policy = policy

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """See `Policy.reset`."""
        self._policy.reset(rows, seed)

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`."""
        return self._cut(self._policy.act(observation))

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """See `RowPolicy.act_rows`."""
        return self._cut(act_on(self._policy, observation, rows))

    def _cut(self, chunk: ActionChunk) -> ActionChunk:
        # Beyond the end of a plan, its last action.
        return ActionChunk(chunk.actions[:, np.minimum(np.arange(self.contract.horizon), chunk.actions.shape[1] - 1)], chunk.info)


def frequency_seed(artifact: Artifact) -> int:
    """Seed of the first episode: that of the training + 100, as in the paper; 100 where nothing was trained."""
    seed = artifact.training.get("seed")
    return 100 + (seed if isinstance(seed, int) else 0)


def evaluate_frequencies(
    task: Task | SuiteTask,
    policy: Policy,
    plant: str = "mujoco",
    *,
    bounds: ReturnRange | None,
    episodes: int = EPISODES,
    seed: int = 100,
    parameters: Mapping[str, float] | None = None,
    randomization: Randomization | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the same episodes at every action-sequence length.

    Args:
        task: what is asked, as the policy sees it.
        policy: its contract must be the task's.
        plant: name of the engine; an outside suite has its own.
        bounds: range of returns; None gives the curve and no score.
        episodes: of each length.
        seed: of the first episode; the following ones count up.
        parameters: physical parameters that differ from the task's own, SI.
        randomization: parameters that are drawn from each episode's seed.
        progress: called with units done and in total; may raise `EnoughError`, which leaves the lengths that are finished then.

    Returns:
        plain data: `task`, `plant`, `seed`, `episodes`, `score` (None without bounds, or of fewer lengths), `range` (with `low`, `high` and
        `source`, or None) and `curve`, one entry per length with `length`, `decision_period` in s, `return` and `success` with 95 % intervals.

    Raises:
        ValueError: as `isthmus_evidence.task_evaluation.evaluate_task`.
    """
    check_contract(policy.contract, task)
    curve: list[dict[str, Any]] = []
    enough: list[int] = []  # lengths in which who watches wanted no more
    for number, length in enumerate(LENGTHS):
        longer = FixedLength(policy, length)
        settings: dict[str, Any] = {"episodes": episodes, "seed": seed}
        if progress:
            settings["progress"] = _part(progress, number, enough)
        try:
            if isinstance(task, SuiteTask):
                summary = evaluate_suite(replace(task, contract=longer.contract), longer, **settings)
            else:
                chosen = replace(task, contract=longer.contract)
                summary = evaluate_task(chosen, longer, plant, parameters=parameters, randomization=randomization, **settings)
        except EnoughError:
            break
        if summary["episodes"] < episodes:
            break
        period = round(length * task.contract.control_period, 9)
        curve.append({"length": length, "decision_period": period, "return": summary["return"], "success": summary["success"]})
        if enough:
            break
    if not curve:
        raise EnoughError
    returns = np.array([point["return"]["mean"] for point in curve])
    return {
        "task": task.name,
        "plant": task.suite if isinstance(task, SuiteTask) else plant,
        "seed": seed,
        "episodes": episodes,
        "score": frequency_averaged_score(returns, bounds) if bounds and len(curve) == len(LENGTHS) else None,
        "range": {"low": bounds.low, "high": bounds.high, "source": bounds.source} if bounds else None,
        "curve": curve,
    }


def _part(progress: Callable[[int, int], None], number: int, enough: list[int]) -> Callable[[int, int], None]:
    """What tells the progress of one length as a part of all, and notes if that was enough."""

    def tell(done: int, total: int) -> None:
        try:
            progress(number * total + done, len(LENGTHS) * total)
        except EnoughError:
            enough.append(number)
            raise

    return tell
