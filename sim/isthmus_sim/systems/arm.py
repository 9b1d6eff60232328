"""A Panda arm that reaches around a sphere.

Task 6 of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131). The authors ask for "eventually always at the goal" with
windows that are cut at the end of the plan; that is "at the goal at the last sample", and is written so here. Only the tip is kept clear of the
sphere, and 4 rad/s is more than the real arm's joints can do: this is a benchmark, not a controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.arrays import library
from isthmus.records import Array
from isthmus_sim.systems.system import System, drawn

__all__ = ["ARM", "tip"]

DT = 0.1  # s
STEPS = 10
FASTEST = 4.0  # rad/s
REACH = 0.1  # m
SPHERE, RADIUS = (0.3, 0.3, 0.5), 0.2  # m

LOW = tuple(np.radians((-166, -101, -166, -176, -166, -1, -166)).tolist())
HIGH = tuple(np.radians((166, 101, 166, -4, 166, 215, 166)).tolist())
_LINKS = (  # modified Denavit-Hartenberg parameters: a in m, α in quarter turns, d in m
    (0.0, 0, 0.333),
    (0.0, -1, 0.0),
    (0.0, 1, 0.316),
    (0.0825, 1, 0.0),
    (-0.0825, -1, 0.384),
    (0.0, 1, 0.0),
    (0.088, 1, 0.0),
)
_FLANGE = 0.107  # m along the last axis

JOINTS = tuple(f"q{number}" for number in range(1, 8))
STATES = (*JOINTS, "goal_x", "goal_y", "goal_z")
"""Joint positions, rad; goal of the tip, m."""

SAFETY = " and ".join(
    [
        "always[0,10] (sphere_distance - 0.2 >= 0)",
        *(f"always[0,10] (({high:.6f} - {name}) * ({name} - {low:.6f}) >= 0)" for name, low, high in zip(JOINTS, LOW, HIGH, strict=True)),
    ]
)
SPECIFICATION = f"always[10,10] (0.1 - goal_distance >= 0) and {SAFETY}"


def step(state: Any, control: Any) -> Any:
    """One period: q' = q + u dt."""
    return library(state).concatenate([state[..., :7] + control * DT, state[..., 7:]], -1)


def tip(joints: Any) -> tuple[Any, Any, Any]:
    """Place of the flange, m, from joint positions `[..., 7]`."""
    operations = library(joints)
    x = y = joints[..., 0] * 0
    z = x + _FLANGE
    for index in range(6, -1, -1):
        a, quarter, d = _LINKS[index]
        cos, sin = operations.cos(joints[..., index]), operations.sin(joints[..., index])
        x, y, z = a + cos * x - sin * y, sin * x + cos * y, z + d
        if quarter:  # a quarter turn about x
            y, z = -quarter * z, quarter * y
    return x, y, z


def signals(trajectory: Any) -> Mapping[str, Any]:
    """Joint positions, and distances of the tip from the goal and from the centre of the sphere."""
    place = tip(trajectory[..., :7])
    goal = [trajectory[..., index] for index in (7, 8, 9)]
    found = {name: trajectory[..., index] for index, name in enumerate(JOINTS)}
    return {**found, "goal_distance": _apart(place, goal), "sphere_distance": _apart(place, SPHERE)}


def cost(trajectory: Any, controls: Any, satisfied: Any) -> Any:
    """The mean distance from the goal."""
    return signals(trajectory)["goal_distance"].mean()


def sample(count: int, draw: np.random.Generator) -> Array:
    """Joint positions within their limits and goals in front of the arm, both clear of the sphere."""
    return drawn(count, draw, _allowed)


def _allowed(count: int, draw: np.random.Generator) -> Array:
    joints = draw.uniform(LOW, HIGH, (count, 7))
    goal = draw.uniform((-0.5, -0.5, 0.2), (0.5, 0.5, 0.8), (count, 3))
    clear = (_apart(tip(joints), SPHERE) > RADIUS) & (np.linalg.norm(goal - SPHERE, axis=1) > RADIUS)
    return np.concatenate([joints, goal], 1)[clear]


def _apart(one: Any, other: Any) -> Any:
    squares = sum((a - b) * (a - b) for a, b in zip(one, other, strict=True))
    return library(squares).sqrt(squares + 1e-12)


ARM = System(
    name="arm",
    description="reach around a sphere with a Panda arm",
    states=STATES,
    controls=tuple(f"{name}_speed" for name in JOINTS),
    low=(-FASTEST,) * 7,
    high=(FASTEST,) * 7,
    dt=DT,
    horizon=STEPS,
    specification=SPECIFICATION,
    safety=SAFETY,
    step=step,
    sample=sample,
    signals=signals,
    encode=lambda state: state,
    fail_safe=(0.0,) * 7,
    choices=((-2.0, 2.0),) * 7,
    prefix=5,
    cost=cost,
)
