"""Solving a task in a simulator that is believed in more or less: what its script is told is searched, on draws of what is believed.

With the calibrated simulator this is the last step of ASID; on draws of the prior it is domain randomisation; at one point, the nominal model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus_controllers.scripted import scripted_policy, settings_of
from isthmus_evidence.asid.exploration import player
from isthmus_evidence.asid.learned import Belief
from isthmus_policies.asid.search import SearchConfig, search
from isthmus_sim.plants import task_plant
from isthmus_sim.task import EpisodeStart, Task
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["SolveConfig", "solve"]

_FINEST = 2e-3  # of half a setting's range: spread at which the search no longer narrows
_FINAL = 3  # times the draws, by which the last ones are compared


@dataclass(frozen=True, slots=True)
class SolveConfig:
    """How the task is solved.

    Attributes:
        tries: settings of the script that are simulated at once.
        worlds: draws of what is believed and of the start, for each.
        passes: rounds of that search.
    """

    tries: int = 16
    worlds: int = 6
    passes: int = 8

    def __post_init__(self) -> None:
        for name, least in (("tries", 4), ("worlds", 1), ("passes", 1)):
            strict.require(name, getattr(self, name), least=least)


def solve(
    task: Task, belief: Belief, config: SolveConfig, seed: int, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Any]:
    """Search what the task's script is told, by cross-entropy, in MuJoCo.

    Args:
        task: with a script.
        belief: what parameters are drawn from.
        config: of the search.
        seed: of the draws.
        progress: told of the rounds.

    Returns:
        `settings` by name, empty if the script can be told nothing; `expected`, success over the last draws, None likewise.

    Raises:
        ValueError: the task has no script.
    """
    names = list(settings_of(task.name))
    if not names:
        return {"settings": {}, "expected": None}
    ranges = np.array([settings_of(task.name)[name] for name in names])
    middle, half = ranges.mean(1), np.diff(ranges, axis=1)[:, 0] / 2

    def told(points: Array) -> Array:
        return np.asarray(middle + half * np.clip(points, -1.0, 1.0))

    def ranked(success: Array, reward: Array) -> Array:
        return success + (reward - reward.min()) / max(float(np.ptp(reward)), 1e-9) / (
            4 * config.worlds * _FINAL
        )  # less than one success more

    def evaluate(points: Array, number: int) -> Array:
        return ranked(*_played(task, belief, names, told(points), config.worlds, seed + 1000 * number))

    tried = SearchConfig(config.tries, config.worlds, config.passes, min(4, config.passes))
    found = search(evaluate, np.full(len(names), 0.5), tried, seed, progress, least=_FINEST)
    last = np.array([one.numbers for one in found])
    success, reward = _played(task, belief, names, told(last), _FINAL * config.worlds, seed + 1000 * (config.passes + 1))
    best = int(np.argmax(ranked(success, reward)))
    return {"settings": dict(zip(names, told(last)[best].tolist(), strict=True)), "expected": float(success[best])}


def _played(task: Task, belief: Belief, names: Sequence[str], settings: Array, samples: int, seed: int) -> tuple[Array, Array]:
    """Success and return of settings `[P, n]`, each with the same draws: mean over them, `[P]` each."""
    count = len(settings)
    seeds = [seed + sample for sample in range(samples)]
    drawn = belief.draw(samples, np.random.default_rng(seed))

    def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
        begun = task.start(generators)
        return replace(begun, parameters={**begun.parameters, **{name: np.tile(values, count) for name, values in drawn.items()}})

    env = TaskVectorEnv(replace(task, start=start), task_plant("mujoco", task, count * samples), autoreset=False)
    try:
        told = {name: np.repeat(settings[:, column], samples) for column, name in enumerate(names)}
        act = player(scripted_policy(task.name, task.contract, told))
        observation, _ = env.reset(seed=seeds * count)
        total, success, alive = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=bool), np.ones(env.num_envs, dtype=bool)
        for number in range(task.episode_steps):
            observation, reward, terminated, truncated, info = env.step(act(observation, number))
            total += reward * alive
            success = np.where(alive, info["success"], success)
            alive &= ~(terminated | truncated)
    finally:
        env.close()
    return success.reshape(count, samples).mean(1), total.reshape(count, samples).mean(1)
