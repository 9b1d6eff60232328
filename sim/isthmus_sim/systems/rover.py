"""A rover with a battery: to its goal, or to a charger first, around obstacles.

Task 5 of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131), with the last sample constrained too, and with exact
minima in the predicates of areas, which the authors keep smooth. Areas are measured as edge length times distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.arrays import library, maximum, minimum
from isthmus.records import Array
from isthmus_sim.systems.system import System, drawn, hard_step

__all__ = ["ROVER"]

DT = 0.2  # s
STEPS = 10
FASTEST = 10.0  # m/s
FULL, WAIT = 5.0, 0.6  # s that a full battery lasts, and that charging takes
REACH = 0.8  # m
SIDE = 10.0  # m, of the map
OBSTACLES = ((0.0, 3.0, 0.0, 3.0), (3.5, 6.5, 7.0, 10.0), (7.0, 10.0, 0.0, 3.0), (4.25, 5.75, 4.25, 5.75))  # x from … to, y from … to

STATES = ("x", "y", "goal_x", "goal_y", "charger_x", "charger_y", "battery", "hold")
"""Rover, goal and charger, m; what the battery lasts, s; how long the rover must still be charged, s."""

_NUMBERS = range(len(OBSTACLES))
SAFETY = " and ".join(
    [
        "always[0,10] (inside_map >= 0)",
        *(f"always[0,10] (not (inside{number} >= 0) and not (crossing{number} >= 0))" for number in _NUMBERS),
        "always[0,10] (battery >= 0)",
    ]
)
SPECIFICATION = (
    f"{SAFETY} and (battery >= 2 -> eventually[0,10] (goal_distance <= 0.8)) "
    "and (charger_distance <= 0.8 -> always[0,2] (moved <= 0.1 or hold <= 0)) "
    "and (battery <= 2 -> eventually[0,10] (charger_distance <= 0.8))"
)


def step(state: Any, control: Any) -> Any:
    """One period."""
    operations = library(state)
    x, y, battery, hold = (state[..., index] for index in (0, 1, 6, 7))
    speed, heading = control[..., 0], control[..., 1]
    near = hard_step(0.05 * (REACH - _distance(state, 4)), reach=0.1)
    return operations.stack(
        [
            x + FASTEST * speed * operations.cos(heading) * DT,
            y + FASTEST * speed * operations.sin(heading) * DT,
            *(state[..., index] for index in range(2, 6)),
            (battery - DT) * (1 - near) + FULL * near,
            hold - DT * near,
        ],
        -1,
    )


def signals(trajectory: Any) -> Mapping[str, Any]:
    """Components of the state, distances, and for each obstacle how far the rover is inside it or the next move crosses its border."""
    x, y = trajectory[..., 0], trajectory[..., 1]
    found = {
        "battery": trajectory[..., 6],
        "hold": trajectory[..., 7],
        "goal_distance": _distance(trajectory, 2),
        "charger_distance": _distance(trajectory, 4),
        "moved": _length(x - x[:, :1], y - y[:, :1]),
        "inside_map": _inside(x, y, (0.0, SIDE, 0.0, SIDE)),
    }
    for number, box in enumerate(OBSTACLES):
        found[f"inside{number}"] = _inside(x, y, box)
        found[f"crossing{number}"] = _crossing(x, y, box)
    return found


def cost(trajectory: Any, controls: Any, satisfied: Any) -> Any:
    """0.01 of the distance to the charger if the battery is low in the beginning, else to the goal."""
    low = trajectory[:, :1, 6] <= 2
    return 0.01 * library(trajectory).where(low, _distance(trajectory, 4), _distance(trajectory, 2)).mean()


def sample(count: int, draw: np.random.Generator) -> Array:
    """As far from the charger as the battery may last; a quarter of the rovers stand at it."""
    return drawn(count, draw, _allowed)


def _allowed(count: int, draw: np.random.Generator) -> Array:
    states = _candidates(count, draw)
    free = np.ones(len(states), dtype=bool)
    for index in (0, 2, 4):
        x, y = states[:, index], states[:, index + 1]
        free &= _inside(x, y, (0.0, SIDE, 0.0, SIDE)) >= 0
        for box in OBSTACLES:
            free &= _inside(x, y, box) < 0
    return states[free]


def _candidates(count: int, draw: np.random.Generator) -> Array:
    goal, charger = draw.uniform(0, SIDE, (count, 2)), draw.uniform(0, SIDE, (count, 2))
    battery = draw.integers(0, 26, count) * DT
    radius = np.clip(draw.uniform(0, 1, count) * FASTEST * battery, REACH, SIDE * np.sqrt(2))
    charging = draw.random(count) < 0.25
    radius = np.where(charging, draw.uniform(0, REACH, count), radius)
    angle = draw.uniform(-np.pi, np.pi, count)
    place = charger + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    battery = np.where(charging, FULL, battery)
    hold = np.where(charging, draw.integers(0, 4, count) * DT, WAIT)
    return np.concatenate([place, goal, charger, battery[:, None], hold[:, None]], 1)


def _length(x: Any, y: Any) -> Any:
    return library(x).sqrt(x * x + y * y + 1e-12)  # so that it can be differentiated at 0


def _distance(states: Any, index: int) -> Any:
    return _length(states[..., 0] - states[..., index], states[..., 1] - states[..., index + 1])


def _inside(x: Any, y: Any, box: tuple[float, float, float, float]) -> Any:
    """The smallest cross product of the box's edges with the place, plus 0.01: not negative inside."""
    left, right, bottom, top = box
    wide, high = right - left, top - bottom
    across = minimum((x - left) * high, (right - x) * high)
    return minimum(across, minimum((y - bottom) * wide, (top - y) * wide)) + 0.01


def _crossing(x: Any, y: Any, box: tuple[float, float, float, float]) -> Any:
    """How far inside both, the next move and an edge of the box, they cross; -1 where they do not."""
    left, right, bottom, top = box
    dx, dy = x[:, 1:] - x[:, :-1], y[:, 1:] - y[:, :-1]
    edges = [_meeting(x[:, :-1], dx, y[:, :-1], dy, at, bottom, top) for at in (left, right)]
    edges += [_meeting(y[:, :-1], dy, x[:, :-1], dx, at, left, right) for at in (bottom, top)]
    crossed = maximum(maximum(edges[0], edges[1]), maximum(edges[2], edges[3]))
    return library(x).concatenate([crossed, crossed[:, :1] * 0 - 1], 1)  # after the last sample there is no move


def _meeting(across: Any, d_across: Any, along: Any, d_along: Any, at: float, begin: float, end: float) -> Any:
    operations = library(across)
    moves = abs(d_across) > 1e-9
    share = (at - across) / operations.where(moves, d_across, operations.ones_like(d_across))
    place = (along + share * d_along - begin) / (end - begin)
    meet = moves & (share >= 0) & (share <= 1) & (place >= 0) & (place <= 1)
    return operations.where(meet, minimum(share * (1 - share), place * (1 - place)), operations.zeros_like(share) - 1)


ROVER = System(
    name="rover",
    description="drive to a goal, or to a charger first, around obstacles",
    states=STATES,
    controls=("speed", "heading"),
    low=(0.0, -np.pi),
    high=(1.0, np.pi),
    dt=DT,
    horizon=STEPS,
    specification=SPECIFICATION,
    safety=SAFETY,
    step=step,
    sample=sample,
    signals=signals,
    encode=lambda state: state,
    fail_safe=(0.0, 0.0),
    choices=((0.0, 0.5, 1.0), tuple(np.linspace(-np.pi, np.pi, 8, endpoint=False).tolist())),
    prefix=4,
    cost=cost,
)
