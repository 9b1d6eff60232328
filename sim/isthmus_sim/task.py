"""A task: what a robot is asked to do, independent of the engine and of the learner, vectorised over the batch.

A task is only needed where it is trained, evaluated or scored; it is never installed on a robot. What a policy may see is in the
task's contract; reward and success use the truth of the simulator (on a robot: the best estimate there is).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array, Measurement
from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_sim.parameters import Parameter, parameter_table
from isthmus_sim.scene import Scene, flat_ground

__all__ = ["EpisodeStart", "Outcome", "Scorer", "Task", "Term", "Transition", "shared"]


@dataclass(frozen=True, slots=True)
class EpisodeStart:
    """Where episodes begin.

    Attributes:
        state: `position` and `velocity` `[n, J]` for `Plant.reset`, and the poses of scene bodies `[n, 7]` (hinged: `[n, 1]`).
        inputs: external signals of the episode, `[n, elements]` per name.
        parameters: physical parameters `[n]` by name.
    """

    state: Mapping[str, Array]
    inputs: Mapping[str, Array]
    parameters: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transition:
    """One control period, as rewards and successes see it.

    Attributes:
        before: truth at its beginning.
        after: truth at its end.
        action: what the policy asked for, `[B, A]`, SI.
        inputs: external signals, `[B, elements]` per name.
        time: s from the start of the episode to the end of the period, `[B]`.
    """

    before: Measurement
    after: Measurement
    action: Array
    inputs: Mapping[str, Array]
    time: Array = field(default_factory=lambda: np.zeros(1))


def shared(value: Callable[[Transition], Array]) -> Callable[[Transition], Array]:
    """A value that several terms of a task use: computed once per transition."""
    last: list[Any] = [None, None]

    @functools.wraps(value)
    def once(transition: Transition) -> Array:
        if last[0] is not transition:
            last[:] = transition, value(transition)
        result: Array = last[1]
        return result

    return once


@dataclass(frozen=True, slots=True)
class Term:
    """One addend of the reward.

    Attributes:
        name: shown in tables and logs.
        weight: factor of the value.
        unit: unit of the value.
        value: transition → `[B]`.
    """

    name: str
    weight: float
    unit: str
    value: Callable[[Transition], Array]


@dataclass(frozen=True, slots=True)
class Task:
    """Robot, signals, start distribution, reward and success.

    Attributes:
        name: as typed on the command line.
        description: one line.
        contract: what its policies consume and produce.
        episode_steps: control periods until an episode is truncated.
        start: draws the beginnings of episodes, one generator per row.
        reward: terms; their weighted sum is the reward.
        reached: transition → `[B]` bool, the condition of success.
        success: the condition in words, with its unit.
        success_steps: an episode succeeds if `reached` holds in each of its last so many steps.
        mean_error: transition → `[B, K]`, errors in units of what is allowed; where given, an episode succeeds if their means over its last
            `success_steps` are all within ±1, whatever `reached` says. For gaits, whose velocity is only meant on average.
        plants: engines that it runs on.
        scene: what stands around the robot; None means flat ground under a mobile robot, and nothing else.
        fallen: transition → `[B]` bool, ends the episode as a failure; None if nothing does.
        identifiable: parameters of the plant that the task is about, with the ranges that identification searches and randomisation draws from.
        specification: the task as a formula of signal temporal logic, if it has one.
        look_at: point that the camera of videos looks at, m.
        camera_distance: from that point, m.
    """

    name: str
    description: str
    contract: Contract
    episode_steps: int
    start: Callable[[Sequence[np.random.Generator]], EpisodeStart]
    reward: tuple[Term, ...]
    reached: Callable[[Transition], Array]
    success: str
    success_steps: int
    mean_error: Callable[[Transition], Array] | None = None
    plants: tuple[str, ...] = ("mujoco", "pybullet")
    scene: Scene | None = None
    fallen: Callable[[Transition], Array] | None = None
    identifiable: tuple[Parameter, ...] = ()
    specification: Specification | None = None
    look_at: tuple[float, float, float] = (0.0, 0.0, 0.4)
    camera_distance: float = 2.0

    def __post_init__(self) -> None:
        limited = np.isfinite(self.contract.limits.acceleration).any()
        if limited and not any(signal.source == "previous_action" for signal in self.contract.observation):
            raise ValueError(f"task {self.name!r} limits acceleration, so previous_action must be observed, or it is not Markov")
        if not 1 <= self.success_steps <= self.episode_steps:
            raise ValueError(f"task {self.name!r}: success_steps must be in 1 … {self.episode_steps}, got {self.success_steps}")

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Every physical parameter of its robot in its scene, by name; an engine may not be able to express all of them."""
        robot = load_robot(self.contract.robot)
        return parameter_table(robot, flat_ground(robot) if self.scene is None else self.scene)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Score of one control period.

    Attributes:
        reward: `[B]`.
        terms: weighted reward terms, `[B]` per name.
        success: `[B]` bool: would the episode count as a success if it ended now?
    """

    reward: Array
    terms: Mapping[str, Array]
    success: Array


class Scorer:
    """Scores episodes of a task, in an environment or from recorded topics."""

    def __init__(self, task: Task, batch: int) -> None:
        self._task = task
        self._streak = np.zeros(batch, dtype=np.int64)
        self._errors: list[Array] = []  # of the last success_steps, [B, K] each

    def reset(self, rows: Array | None = None) -> None:
        """Begin episodes in the given rows; None means all."""
        self._streak[slice(None) if rows is None else rows] = 0

    def score(self, transition: Transition) -> Outcome:
        """Score one control period of all rows."""
        terms = {term.name: term.weight * term.value(transition) for term in self._task.reward}
        reward = functools.reduce(np.add, terms.values())
        if self._task.mean_error is None:
            self._streak = np.where(self._task.reached(transition), self._streak + 1, 0)
            return Outcome(reward, terms, self._streak >= self._task.success_steps)
        self._streak += 1
        self._errors = [*self._errors, self._task.mean_error(transition)][-self._task.success_steps :]
        within = (np.abs(np.mean(self._errors, axis=0)) <= 1).all(axis=1)
        return Outcome(reward, terms, (self._streak >= self._task.success_steps) & within)
