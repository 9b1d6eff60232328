"""Wires the search for an open-loop motion to what simulations say of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus.kinds.excitation import ExcitationPolicy, MultiSine
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_cli.train.asid_check import Exploration, information_env, played
from isthmus_policies.asid.motion import MotionSpace, excitation_contract, motion_space
from isthmus_policies.asid.search import SearchConfig, search
from isthmus_sim.identification.information import value
from isthmus_sim.identification.information_run import Nearness

__all__ = ["find_motions"]

_PULL = 1e-3  # of the objective per metre between tool and object: where nothing is touched, nearer is better
_STRONGEST = 0.99  # of a joint's limit of effort: beyond, it no longer follows


def find_motions(asked: Exploration, config: SearchConfig, harmonics: int, progress: Callable[[int, int, str], None]) -> list[MultiSine]:
    """The best motions of the last rounds of a search.

    Raises:
        ValueError: the task's commands are efforts.
    """
    scene, contract = asked.task.scene, asked.task.contract
    moving = {body.name for body in scene.moving} if scene else set()
    tool = all(one.name.partition(".")[0] in moving for one in asked.unknown)
    seconds = asked.task.episode_steps * contract.control_period
    space = motion_space(contract, load_robot(contract.robot), tool=tool, duration=seconds, harmonics=harmonics)
    searched = _Searched(asked, config, space)
    try:
        found = search(searched.scores, space.spread, config, asked.seed, progress)
    finally:
        searched.env.close()
    return [space.motion(one.numbers) for one in found]


class _Searched:
    """The batch in which motions are scored: each with the same draws of parameters and starts."""

    def __init__(self, asked: Exploration, config: SearchConfig, space: MotionSpace) -> None:
        self._asked, self._config, self._space = asked, config, space
        self.env = information_env(asked, config.population * config.samples)
        self._near = Nearness(asked.task, asked.unknown)
        self._nothing = float(value(asked.objective, np.zeros((len(asked.unknown),) * 2)))

    def scores(self, points: Array, number: int) -> Array:
        """The objective at the end of motions `[P, n]`, mean over the draws of round `number`, `[P]`.

        A draw in which the guard stops the motion, something falls, or a drive gives all it has, counts as one that tells nothing.
        """
        samples, contract = self._config.samples, excitation_contract(self._asked.task.contract)
        policies = [ExcitationPolicy(contract, self._space.motion(point)) for point in points]

        def act(observation: dict[str, Array], _: int) -> Array:
            clock = observation["time"].reshape(len(points), samples, 1, 1)
            return np.concatenate([policy.act({"time": time}).actions[:, 0] for policy, time in zip(policies, clock, strict=True)])

        seeds = [self._asked.seed + number * samples + sample for sample in range(samples)] * len(points)
        told, run = played(self.env, act, seeds, self._near)
        useless = run.bad | (run.effort > _STRONGEST)
        reached = np.where(useless, self._nothing, value(self._asked.objective, told)) - _PULL * run.nearest
        return np.asarray(reached.reshape(len(points), samples).mean(1))
