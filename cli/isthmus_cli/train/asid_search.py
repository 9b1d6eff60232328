"""Wires the search for a motion to what simulations say of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isthmus.kinds.excitation import ExcitationPolicy, MultiSine
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_policies.asid.motion import MotionSpace, excitation_contract, motion_space
from isthmus_policies.asid.search import SearchConfig, search
from isthmus_sim.identification.information import expected_sd, value
from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_preflight import UNSURE, Expected, SimulatedIdentification, with_length
from isthmus_sim.identification.information_run import Nearness, Run, play
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.task import Task

__all__ = ["Checked", "Exploration", "check_motions", "check_told", "find_motions"]

_PULL = 1e-3  # of the objective per metre between tool and object: where nothing is touched, nearer is better
_STRONGEST = 0.99  # of a joint's limit of effort: beyond, it no longer follows
_COMPARED = 16  # draws for which finalists are compared
_SEEDS = 10**6  # apart: rounds of the search, finalists and the last word have draws of their own


@dataclass(frozen=True, slots=True)
class Exploration:
    """What is searched for; see `TrainAsid`."""

    task: Task
    unknown: tuple[Unknown, ...]
    objective: str
    every: int | None
    duration: float
    harmonics: int
    seed: int

    @property
    def exploring(self) -> Task:
        """The task, with episodes as long as the motion."""
        return with_length(self.task, self.duration)


@dataclass(frozen=True, slots=True)
class Checked:
    """A motion and what it can be expected to tell.

    Attributes:
        motion: the best.
        promised: standard deviations by its information alone, shares of the ranges, `[p]`.
        expected: by simulated identification.
    """

    motion: MultiSine
    promised: Array
    expected: Expected


def find_motions(asked: Exploration, config: SearchConfig, progress: Callable[[int, int, str], None]) -> list[MultiSine]:
    """The best motions of the last rounds of a search."""
    scene = asked.task.scene
    moving = {body.name for body in scene.moving} if scene else set()
    tool = all(one.name.partition(".")[0] in moving for one in asked.unknown)
    robot = load_robot(asked.task.contract.robot)
    space = motion_space(asked.task.contract, robot, tool=tool, duration=asked.duration, harmonics=asked.harmonics)
    searched = _Searched(asked, config, space)
    try:
        found = search(searched.scores, space.spread, config, asked.seed, progress)
    finally:
        searched.env.close()
    return [space.motion(one.numbers) for one in found]


def check_motions(asked: Exploration, motions: list[MultiSine], draws: int, progress: Callable[[int, int], None]) -> Checked:
    """The motion after which simulated identification knows most, and what it knows then for `draws` draws that nothing was chosen by."""
    task, some = asked.exploring, min(draws, _COMPARED)
    simulated = SimulatedIdentification(task, asked.unknown, some)
    count, total = itertools.count(1), (len(motions) - (len(motions) == 1)) * simulated.passes(some) + simulated.passes(draws)

    def expected(motion: MultiSine, draws: int, apart: int) -> Expected:
        act = _player(task, motion)
        return simulated.run(act, draws, asked.seed + apart * _SEEDS, tell=lambda: progress(next(count), total))

    best = motions[0]
    if len(motions) > 1:
        best = min(motions, key=lambda motion: float((expected(motion, some, 1).sd ** 2).sum()))
    last = expected(best, draws, 2)
    simulated.close()
    env = _information(asked, some)
    told, _ = _played(env, _player(task, best), [asked.seed + 2 * _SEEDS + row for row in range(some)], None)
    env.close()
    return Checked(best, np.sqrt((expected_sd(told) ** 2).mean(0)), last)


def check_told(asked: Exploration, expected: Expected, *, force: bool) -> None:
    """Refuse a motion after which a parameter stays unknown.

    Raises:
        ValueError: the message names it.
    """
    left = [
        f"{one.name} within {100 * share:.0f} %" for one, share in zip(asked.unknown, expected.sd.tolist(), strict=True) if share > UNSURE
    ]
    if left and not force:
        raise ValueError(
            f"the best motion found leaves {', '.join(left)} of its range, and more than {100 * UNSURE:.0f} % is NOT IDENTIFIABLE: take it out of "
            "--unknown, search longer (--rounds, --population), or write the file anyway with --force"
        )


class _Searched:
    """The batch in which motions are scored: each with the same draws of parameters and starts."""

    def __init__(self, asked: Exploration, config: SearchConfig, space: MotionSpace) -> None:
        self._asked, self._config, self._space = asked, config, space
        self.env = _information(asked, config.population * config.samples)
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
        told, run = _played(self.env, act, seeds, self._near)
        useless = run.bad | (run.effort > _STRONGEST)
        reached = np.where(useless, self._nothing, value(self._asked.objective, told)) - _PULL * run.nearest
        return np.asarray(reached.reshape(len(points), samples).mean(1))


def _information(asked: Exploration, rows: int) -> InformationVectorEnv:
    return InformationVectorEnv(asked.exploring, asked.unknown, rows, objective=asked.objective, every=asked.every, autoreset=False)


def _played(
    env: InformationVectorEnv, act: Callable[[dict[str, Array], int], Array], seeds: list[int], near: Nearness | None
) -> tuple[Array, Run]:
    """Information of each row when it ended, `[B, p, p]`, and how it went."""
    told = np.zeros_like(env.information)

    def watch(_: int, alive: Array, info: dict[str, Array]) -> None:
        told[alive] = info["information"][alive]

    run = play(env, act, seeds, near, watch)
    return told, run


def _player(task: Task, motion: MultiSine) -> Callable[[dict[str, Array], int], Array]:
    """Commands of a motion, as its policy file gives them."""
    policy = ExcitationPolicy(excitation_contract(task.contract), motion)
    return lambda observation, _: policy.act(observation).actions[:, 0]
