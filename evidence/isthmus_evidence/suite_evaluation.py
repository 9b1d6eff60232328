"""Evaluates a policy in an outside suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus.cadence import Cadence
from isthmus.motion import Motion, motion_of
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_evidence.contracts import check_contract
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.summary import summarize
from isthmus_sim.suites import SuiteEpisode, SuiteTask, SuiteVectorEnv, run_suite_episodes

__all__ = ["FILM_SIZE", "evaluate_suite"]

_ROWS = 10  # episodes at once; the suites step them one by one, so more rows only use memory
FILM_SIZE = 400  # pixels


def evaluate_suite(
    task: SuiteTask,
    policy: Policy,
    *,
    episodes: int,
    seed: int,
    replan: int | None = None,
    film: Film | None = None,
    until: SequentialTest | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run whole episodes and sum them up.

    Args:
        task: of an outside suite.
        policy: its contract must be the task's.
        episodes: how many.
        seed: of the first episode; the following ones count up.
        replan: actions of a chunk to execute before deciding again; None means all.
        film: gets the pictures of the first episode.
        until: ends the evaluation once it is decided; episodes beyond are not told of.
        progress: called with episodes done and in total; may raise `EnoughError`, which leaves those.

    Returns:
        as `isthmus_evidence.summary.summarize`; `success` is None where the suite does not report it.

    Raises:
        ValueError: the contracts differ, with the diff, or `until` is asked of a suite that does not report success.
    """
    if episodes < 1 or seed < 0:
        raise ValueError(f"episodes must be >= 1 and seed >= 0, got {episodes} and {seed}")
    check_contract(policy.contract, task)
    results: list[SuiteEpisode] = []
    motions: list[Motion] = []
    cadence = Cadence(task.contract.control_period, realtime=False)
    if film is not None:
        film.period = task.contract.control_period

    def shoot(env: SuiteVectorEnv) -> None:
        if film is not None:
            film.add(env.picture)

    for first in range(0, episodes, _ROWS):
        seeds = range(seed + first, seed + min(first + _ROWS, episodes))
        filming = film is not None and first == 0
        executed: list[Array] = []
        done, times = run_suite_episodes(
            task,
            policy,
            seeds,
            replan=replan,
            picture_size=FILM_SIZE if filming else None,
            on_step=shoot if filming else None,
            on_action=executed.append,
        )
        results += done
        # As the suite clips them, [B, T, A].
        commands = np.clip(np.stack(executed, axis=1), task.contract.action.low, task.contract.action.high)
        motions += [motion_of(task.contract, own[: episode.steps]) for own, episode in zip(commands, done, strict=True)]
        cadence.work += times.work
        cadence.inference += times.inference
        cadence.steps += times.steps
        if until and (needed := until.stop(_successes(task, results))):
            results, motions = results[:needed], motions[:needed]
            break
        if progress:
            try:
                progress(len(results), episodes)
            except EnoughError:
                break
    return summarize(
        task.name,
        task.suite,
        seed,
        results,
        {**cadence.summary(), "rows": min(_ROWS, episodes)},
        episode_steps=task.episode_steps,
        motions=motions,
        unit=task.contract.action.unit,
        until=until,
    )


def _successes(task: SuiteTask, results: Sequence[SuiteEpisode]) -> list[bool]:
    found = [result.success for result in results if result.success is not None]
    if len(found) < len(results):
        raise ValueError(f"{task.name!r} does not report success, so there is no rate to decide about")
    return found
