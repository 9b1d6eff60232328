"""Wires the search for an exploration to what simulations say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds.excitation import ExcitationPolicy, excitation_artifact
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Array
from isthmus.robot import load_robot
from isthmus_evidence.asid.bounds import Watch
from isthmus_evidence.asid.exploration import Exploration, information_env, played, player
from isthmus_evidence.asid.strikes import strike_space
from isthmus_policies.asid.motion import MotionSpace, excitation_contract, motion_space
from isthmus_policies.asid.search import SearchConfig, search
from isthmus_sim.identification.information import value
from isthmus_sim.identification.information_preflight import with_length
from isthmus_sim.identification.information_run import Nearness

__all__ = ["MOTIONS", "find_explorations", "random_exploration", "search_space"]

MOTIONS = ("auto", "strike", "sines")
_PULL = 1e-3  # of the objective per metre between tool and object: where nothing is touched, nearer is better
_STRONGEST = 0.99  # of a joint's limit of effort: beyond, it no longer follows


class Space(Protocol):
    """Explorations that are described by few numbers."""

    @property
    def spread(self) -> Array: ...

    def policy(self, points: Array, each: int) -> Policy: ...

    def artifact(self, point: Array) -> Artifact: ...


def search_space(asked: Exploration, motion: str, seconds: float, harmonics: int = 3, strikes: int = 1) -> Space:
    """What is searched: strikes of the body that is unknown, or sines of the tool or the joints; auto means strikes where there can be any.

    Raises:
        ValueError: strikes of something that cannot be struck, or the task's commands are efforts.
    """
    task, contract = asked.task, asked.task.contract
    if motion != "sines" and (space := strike_space(task, asked.unknown, seconds, strikes)):
        return space
    if motion == "strike":
        names = ", ".join(one.name for one in asked.unknown)
        raise ValueError(f"a strike tells of one body that moves freely and whose place task {task.name!r} observes; unknown is {names}")
    moving = {body.name for body in task.scene.moving} if task.scene else set()
    tool = all(one.name.partition(".")[0] in moving for one in asked.unknown)
    return _Sines(contract, motion_space(contract, load_robot(contract.robot), tool=tool, duration=seconds, harmonics=harmonics))


def find_explorations(
    asked: Exploration, space: Space, config: SearchConfig, seconds: float, progress: Callable[[int, int, str], None] | None = None
) -> list[Artifact]:
    """The best explorations of the last rounds of a search.

    Args:
        asked: what is searched for.
        space: from `search_space`.
        config: of the search.
        seconds: of one strike, which is all that is simulated of several, unless a specification speaks of the whole.
        progress: told of the rounds.
    """
    searched = _Searched(asked if asked.bounds.formula else replace(asked, task=with_length(asked.task, seconds)), config, space)
    try:
        found = search(searched.scores, space.spread, config, asked.seed, progress)
    finally:
        searched.env.close()
    return [space.artifact(one.numbers) for one in found]


def random_exploration(space: Space, seed: int) -> Artifact:
    """One that nobody has chosen: drawn from where searches begin."""
    return space.artifact(space.spread * np.random.default_rng(seed).standard_normal(len(space.spread)))


class _Searched:
    """The batch in which explorations are scored: each with the same draws of parameters and starts."""

    def __init__(self, asked: Exploration, config: SearchConfig, space: Space) -> None:
        self._asked, self._config, self._space = asked, config, space
        self.env = information_env(asked, config.population * config.samples)
        self._near = Nearness(asked.task, asked.unknown)
        self._nothing = float(value(asked.objective, np.zeros((len(asked.unknown),) * 2)))

    def scores(self, points: Array, number: int) -> Array:
        """The objective at the end of explorations `[P, n]`, mean over the draws of round `number`, `[P]`.

        A draw in which the guard stops the robot, something falls, a drive gives all it has, or bounds are left, counts as one that tells nothing.
        Of a bound of force there is a margin, see `bounds.SAFETY`.
        """
        samples = self._config.samples
        seeds = [self._asked.seed + number * samples + sample for sample in range(samples)] * len(points)
        watched = Watch(self._asked.task, self._asked.unknown, self._asked.bounds.searched, self.env.num_envs)
        told, run = played(self.env, player(self._space.policy(points, samples)), seeds, self._near, watched)
        useless = run.bad | (run.effort > _STRONGEST) | ~watched.kept()
        reached = np.where(useless, self._nothing, value(self._asked.objective, told)) - _PULL * (
            run.nearest + np.minimum(watched.excess(), 1e3)
        )
        return np.asarray(reached.reshape(len(points), samples).mean(1))


@dataclass(frozen=True, slots=True)
class _Sines:
    contract: Contract
    motions: MotionSpace

    @property
    def spread(self) -> Array:
        return self.motions.spread

    def policy(self, points: Array, each: int) -> Policy:
        contract = excitation_contract(self.contract)
        return _Together([ExcitationPolicy(contract, self.motions.motion(point)) for point in points], each)

    def artifact(self, point: Array) -> Artifact:
        return excitation_artifact(excitation_contract(self.contract), self.motions.motion(point))


class _Together:
    """Several policies that see the time alone, each in `each` rows."""

    def __init__(self, policies: list[ExcitationPolicy], each: int) -> None:
        self.contract = policies[0].contract
        self._policies, self._each = policies, each

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`."""
        clock = observation["time"].reshape(len(self._policies), self._each, 1, 1)
        return ActionChunk(np.concatenate([policy.act({"time": time}).actions for policy, time in zip(self._policies, clock, strict=True)]))
