"""The task `dodge` as a model to plan on: the arm as it follows in the engine, its tool by kinematics, and a ball that flies straight."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.arrays import is_torch, length, library
from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_sim.systems.response import Response
from isthmus_sim.systems.system import System, drawn
from isthmus_sim.task import Task
from isthmus_sim.tasks.dodge import gap

__all__ = ["PLAN", "SAFE_PLAN", "dodge_system"]

STEPS = 40
HELD = 4  # steps
KEEP_CLEAR = 0.02  # m, more than the task asks for: the model is not exact
PLAN = f"always[0,2] (gap >= {KEEP_CLEAR}) and always[1.5,2] (goal_distance <= 0.025)"
SAFE_PLAN = f"always[0,2] (gap >= {KEEP_CLEAR})"

_SCENES = 5000
_Q, _RATE, _TOOL, _GOAL, _BALL, _TIME, _BEFORE = (
    slice(*ends) for ends in ((0, 6), (6, 12), (12, 15), (15, 18), (18, 24), (24, 25), (25, 31))
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Dodging(System):
    response: Response = dataclasses.field(kw_only=True)
    tool: Callable[[Any], Any] = dataclasses.field(kw_only=True)

    def rollout(self, state: Any, controls: Any) -> Any:
        """See `System.rollout`: the joints step by step, and the tool where they have put it."""
        operations = library(state)
        executed, rate, travel = self.response.follow(state[:, _RATE], state[:, _BEFORE], controls)
        joints = state[:, None, _Q] + operations.cumsum(travel, 1)
        steps = controls.shape[1]
        known = operations.stack([state[:, 15:24]] * steps, 1)
        time = operations.stack([state[:, _TIME] + self.dt * (index + 1) for index in range(steps)], 1)
        after = operations.concatenate([joints, rate, self.tool(joints), known, time, executed], 2)
        return operations.concatenate([state[:, None], after], 1)


def dodge_system(task: Task, response: Response, specification: str, safety: str, signals: Callable[[Any], Mapping[str, Any]]) -> System:
    """The model.

    Args:
        task: `dodge`.
        response: of the arm, fitted to an engine.
        specification: `PLAN`, in control periods.
        safety: `SAFE_PLAN`, likewise.
        signals: trajectory of observations `[B, T, 31]` → the signals of the task's specification.
    """
    contract = task.contract
    robot = load_robot(contract.robot)
    kinematics = Kinematics(robot.urdf_path)
    still = (0.0,) * len(contract.action.elements)

    def tool(joints: Any) -> Any:
        return library(joints).stack(list(kinematics.origin(contract.action.elements, joints, robot.tool_frame)), -1)

    def step(state: Any, control: Any) -> Any:
        return system.rollout(state, control[:, None])[:, 1]

    system = _Dodging(
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
        sample=functools.partial(sample, functools.cache(lambda: _scenes(task, tool)), tool),
        signals=signals,
        encode=functools.partial(encode, robot.home),
        fail_safe=still,
        choices=tuple((-1.0, 0.0, 1.0) for _ in still),
        prefix=2,
        hold=HELD,
        candidates=1024,
        cost=cost,
        response=response,
        tool=tool,
    )
    return system


def encode(home: Array, state: Any) -> Any:
    """Joints from home, and goal and ball as seen from the tool."""
    operations = library(state)
    tool, ball = state[..., _TOOL], state[..., _BALL]
    away = ball[..., :3] + state[..., _TIME] * ball[..., 3:] - tool
    goal = state[..., _GOAL] - tool
    distances = [length(*(part[..., axis] for axis in range(3))) for part in (away, goal)]
    joints = state[..., _Q] - (state.new_tensor(home) if is_torch(state) else home)
    parts = [joints, state[..., _RATE], tool, goal, away, ball[..., 3:], state[..., _BEFORE], operations.stack(distances, -1)]
    return operations.concatenate(parts, -1)


def cost(trajectory: Any, controls: Any, satisfied: Any) -> Any:
    """Mean distance from the goal, m, and a little for speed."""
    return _goal_distance(trajectory).mean() + 0.01 * (controls**2).mean()


def sample(scenes: Callable[[], Array], tool: Callable[[Any], Any], count: int, draw: np.random.Generator) -> Array:
    """Where the arm may be on its way: a half at the start of an episode, the others around home, moving, at any time of the ball's flight.

    Args:
        scenes: gives observations at the start of episodes, `[S, 31]`; drawn when they are first needed.
        tool: joints `[..., 6]` → position of the tool `[..., 3]`.
        count: how many.
        draw: generator.
    """
    starts = scenes()

    def candidates(wanted: int, draw: np.random.Generator) -> Array:
        states = starts[draw.integers(0, len(starts), wanted)]
        placed = states.copy()
        placed[:, _Q] += draw.uniform(-0.6, 0.6, (wanted, 6))
        placed[:, _RATE] = placed[:, _BEFORE] = draw.uniform(-0.7, 0.7, (wanted, 6)) * draw.uniform(0, 1, (wanted, 1))
        placed[:, _TOOL], placed[:, _TIME] = tool(placed[:, _Q]), draw.uniform(0, 3, (wanted, 1))
        states = np.where(draw.random(wanted)[:, None] < 0.5, states, placed)
        free = gap(states[:, _TOOL], states[:, _BALL], states[:, _TIME.start]) > KEEP_CLEAR + 0.03
        return states[free]

    return drawn(count, draw, candidates)


def _scenes(task: Task, tool: Callable[[Any], Any]) -> Array:
    """What is observed at the start of episodes, `[S, 31]`."""
    start = task.start([np.random.default_rng(seed) for seed in range(10**6, 10**6 + _SCENES)])
    joints, still = start.state["position"], np.zeros((_SCENES, 6))
    return np.concatenate([joints, still, tool(joints), start.inputs["goal"], start.inputs["ball"], still[:, :1], still], 1)


def _goal_distance(states: Any) -> Any:
    return length(*(states[..., _TOOL.start + axis] - states[..., _GOAL.start + axis] for axis in range(3)))
