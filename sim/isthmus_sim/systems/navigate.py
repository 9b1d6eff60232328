"""The task `navigate` as a model to plan on: the base as it follows in the engine, and what its policies observe as the state.

Plans are 10 s long, which is enough for the whole way, so that they are judged by what the task asks for: to touch nothing, and to arrive.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.arrays import is_torch, length, library
from isthmus.records import Array, Measurement
from isthmus_sim.systems.response import Response
from isthmus_sim.systems.system import System
from isthmus_sim.task import Task, Transition
from isthmus_sim.tasks.navigate import CRATE, OBSTACLES, PILLAR, PILLARS, gap

__all__ = ["PLAN", "SAFE_PLAN", "navigate_system"]

STEPS = 100
HELD = 5  # steps
KEEP_CLEAR = 0.05  # m, more than the task asks for: the model is not exact
PLAN = f"always[0,10] (gap >= {KEEP_CLEAR}) and eventually[0,10] (goal_distance <= 0.12)"
SAFE_PLAN = f"always[0,10] (gap >= {KEEP_CLEAR})"

_SCENES = 20_000
_X, _Y, _QZ, _QW, _TWIST, _GOAL, _OBSTACLES, _BEFORE = 0, 1, 2, 3, slice(4, 6), slice(6, 8), slice(8, 18), slice(18, 20)
_RADII = np.array([PILLAR if name in PILLARS else CRATE for name in OBSTACLES])


@dataclasses.dataclass(frozen=True, slots=True)
class _Navigation(System):
    response: Response = dataclasses.field(kw_only=True)

    def rollout(self, state: Any, controls: Any) -> Any:
        """See `System.rollout`: the axes step by step, and the pose from sums over all of them."""
        operations = library(state)
        executed, twist, travel = self.response.follow(state[:, _TWIST], state[:, _BEFORE], controls)
        turned = operations.cumsum(travel[..., 1], 1)
        middle = turned - travel[..., 1] / 2
        cosine, sine = state[:, _QW] ** 2 - state[:, _QZ] ** 2, 2 * state[:, _QZ] * state[:, _QW]
        cosine, sine = cosine[:, None], sine[:, None]
        ahead, aside = operations.cos(middle), operations.sin(middle)
        x = state[:, _X, None] + operations.cumsum(travel[..., 0] * (cosine * ahead - sine * aside), 1)
        y = state[:, _Y, None] + operations.cumsum(travel[..., 0] * (sine * ahead + cosine * aside), 1)
        ahead, aside = operations.cos(turned / 2), operations.sin(turned / 2)
        qz = state[:, _QZ, None] * ahead + state[:, _QW, None] * aside
        qw = state[:, _QW, None] * ahead - state[:, _QZ, None] * aside
        known = operations.stack([state[:, 6:18]] * controls.shape[1], 1)
        after = operations.concatenate([operations.stack([x, y, qz, qw], 2), twist, known, executed], 2)
        return operations.concatenate([state[:, None], after], 1)


def navigate_system(task: Task, response: Response, specification: str, safety: str, signals: Callable[[Any], Mapping[str, Any]]) -> System:
    """The model.

    Args:
        task: `navigate`.
        response: of the base, fitted to an engine.
        specification: `PLAN`, in control periods.
        safety: `SAFE_PLAN`, likewise.
        signals: trajectory of observations `[B, T, 20]` → the signals of the task's specification.
    """
    contract = task.contract

    def step(state: Any, control: Any) -> Any:
        return system.rollout(state, control[:, None])[:, 1]

    system = _Navigation(
        name=task.name,
        description=f"{task.description}, as it follows in an engine",
        states=tuple(f"{signal.name}.{element}" for signal in contract.observation for element in signal.elements),
        controls=contract.action.elements,
        low=contract.action.low,
        high=contract.action.high,
        dt=contract.control_period,
        horizon=STEPS,
        specification=specification,
        safety=safety,
        step=step,
        sample=functools.partial(sample, task, functools.cache(lambda: _scenes(task))),
        signals=signals,
        encode=encode,
        fail_safe=(0.0, 0.0),
        choices=((-0.1, 0.2, 0.4), (-1.2, -0.4, 0.0, 0.4, 1.2)),
        prefix=4,
        hold=HELD,
        candidates=512,
        cost=cost,
        response=response,
    )
    return system


def encode(state: Any) -> Any:
    """Goal and obstacles as seen from the base, the obstacles from near to far, with their half widths."""
    operations = library(state)
    cosine, sine = state[..., _QW] ** 2 - state[..., _QZ] ** 2, 2 * state[..., _QZ] * state[..., _QW]
    goal_x, goal_y = state[..., _GOAL.start] - state[..., _X], state[..., _GOAL.start + 1] - state[..., _Y]
    x = state[..., _OBSTACLES][..., 0::2] - state[..., _X, None]
    y = state[..., _OBSTACLES][..., 1::2] - state[..., _Y, None]
    distance = length(x, y)
    order = operations.argsort(distance, -1)
    x, y, distance, radius = (_taken(values, order) for values in (x, y, distance, x * 0 + _like(_RADII, x)))
    ahead, aside = cosine[..., None] * x + sine[..., None] * y, cosine[..., None] * y - sine[..., None] * x
    bearing = 1 / (distance + 0.1)
    own = [
        cosine * goal_x + sine * goal_y,
        cosine * goal_y - sine * goal_x,
        length(goal_x, goal_y),
        # The sides of crates lie along the axes of the world.
        cosine * cosine - sine * sine,
        2 * cosine * sine,
        *(state[..., index] for index in (*range(4, 6), *range(18, 20))),
    ]
    return operations.concatenate([operations.stack(own, -1), ahead, aside, distance, ahead * bearing, aside * bearing, radius], -1)


def cost(trajectory: Any, controls: Any, satisfied: Any) -> Any:
    """Mean distance from the goal, m, and a little for turning."""
    away = length(*(trajectory[..., _GOAL.start + axis] - trajectory[..., axis] for axis in range(2)))
    return away.mean() + 0.05 * (controls[..., 1] ** 2).mean()


def sample(task: Task, scenes: Callable[[], Array], count: int, draw: np.random.Generator) -> Array:
    """Where the base may be on its way: a third at the start of an episode, the others anywhere near the way to the goal, with any speed.

    Args:
        task: `navigate`.
        scenes: gives observations at the start of episodes, `[S, 20]`; drawn when they are first needed.
        count: how many.
        draw: generator.
    """
    found: list[Array] = []
    starts = scenes()
    while sum(map(len, found)) < count:
        states = starts[draw.integers(0, len(starts), count)]
        placed = _placed(states, draw)
        free = _gap(placed) > KEEP_CLEAR + 0.02 + placed[:, 4] ** 2 / (2 * task.contract.limits.stop_acceleration[0])
        found.append(np.where(draw.random(len(states))[:, None] < 1 / 3, states, placed)[free])
    return np.concatenate(found)[:count]


def _placed(states: Array, draw: np.random.Generator) -> Array:
    count = len(states)
    goal = states[:, _GOAL]
    along, across = draw.uniform(-0.2, 1.1, (count, 1)), draw.uniform(-1.2, 1.2, (count, 1))
    normal = np.stack([-goal[:, 1], goal[:, 0]], 1) / np.hypot(goal[:, 0], goal[:, 1])[:, None]
    half = draw.uniform(-np.pi, np.pi, count) / 2
    twist = np.stack([np.maximum(draw.uniform(-0.3, 0.4, count), 0), draw.uniform(-1.5, 1.5, count)], 1)
    placed = states.copy()
    placed[:, :2] = along * goal + across * normal
    placed[:, _QZ], placed[:, _QW] = np.sin(half), np.cos(half)
    placed[:, _TWIST], placed[:, _BEFORE] = twist, twist
    return placed


def _gap(states: Array) -> Array:
    nothing = np.zeros((len(states), 2))
    now = Measurement(np.zeros(len(states)), ("vx", "wz"), nothing, nothing, poses={"base_link": states[:, :2]})
    return gap(Transition(now, now, nothing, {"obstacles": states[:, _OBSTACLES]}))


def _scenes(task: Task) -> Array:
    """What is observed at the start of episodes, `[S, 20]`."""
    start = task.start([np.random.default_rng(seed) for seed in range(10**6, 10**6 + _SCENES)])
    base, still = start.state["base"], np.zeros((_SCENES, 2))
    return np.concatenate([base[:, :2], base[:, 5:], still, start.inputs["goal"], start.inputs["obstacles"], still], 1)


def _taken(values: Any, order: Any) -> Any:
    return values.gather(-1, order) if is_torch(values) else np.take_along_axis(values, order, -1)


def _like(values: Array, example: Any) -> Any:
    return example.new_tensor(values) if is_torch(example) else values
