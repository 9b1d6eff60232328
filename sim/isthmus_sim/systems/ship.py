"""A ship on a river: past obstacles, and back to its track before a budget of time is used up.

Tasks 3 and 4 of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131), with the last sample constrained too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.arrays import library
from isthmus.records import Array
from isthmus_sim.systems.system import System, drawn, named, soft_step

__all__ = ["SHIP_SAFE", "SHIP_TRACK"]

DT = 0.15  # s, of two Euler steps
STEPS = 20
HALF_WIDTH = 2.0  # m, of the river
OFF_TRACK = 0.3  # m

VESSEL = ("x", "y", "heading", "surge", "sway", "yaw_rate")
SAFE = (*VESSEL, "x0", "y0", "radius0", "x1", "y1", "radius1")
"""Place, m; heading, rad; speeds ahead and sideways, m/s; yaw rate, rad/s; two round obstacles, m."""
TRACK = (*VESSEL, "x0", "y0", "radius0", "budget")
"""One obstacle, and how long the ship may still be off its track, s."""

SAFE_SPECIFICATION = (
    "always[0,20] ((x - x0) * (x - x0) + (y - y0) * (y - y0) - radius0 * radius0 >= 0) "
    "and always[0,20] ((x - x1) * (x - x1) + (y - y1) * (y - y1) - radius1 * radius1 >= 0) "
    "and always[0,20] (2 - abs(y) >= 0)"
)
TRACK_SAFETY = "always[0,20] ((x - x0) * (x - x0) + (y - y0) * (y - y0) - radius0 * radius0 >= 0) and always[0,20] (4 - y * y >= 0)"
# To be on the track at t' and stay there: the inner window reaches beyond the trajectory and is cut at its end.
TRACK_SPECIFICATION = f"{TRACK_SAFETY} and ((budget >= 0) until[0,20] (always[0,20] (0.09 - y * y >= 0)))"


def step(state: Any, control: Any) -> Any:
    """One period, two Euler steps."""
    return _half(_half(state, control), control)


def _half(state: Any, control: Any) -> Any:
    operations, h = library(state), DT / 2
    x, y, heading, surge, sway, yaw_rate = (state[..., index] for index in range(len(VESSEL)))
    cos, sin = operations.cos(heading), operations.sin(heading)
    thrust, rudder = control[..., 0], control[..., 1]
    rest = [state[..., index] for index in range(len(VESSEL), state.shape[-1])]
    if len(rest) == len(TRACK) - len(VESSEL):
        rest[-1] = rest[-1] - h * soft_step(y * y - OFF_TRACK**2)
    return operations.stack(
        [
            x + (surge * cos - sway * sin) * h,
            y + (surge * sin + sway * cos) * h,
            operations.clip(heading + yaw_rate * h, -0.5, 0.5),
            operations.clip(surge + thrust * h, 3.0, 5.0),
            operations.clip(sway + 0.01 * rudder * h, -0.3, 0.3),
            operations.clip(yaw_rate + 0.5 * rudder * h, -0.5, 0.5),
            *rest,
        ],
        -1,
    )


def sample_safe(count: int, draw: np.random.Generator) -> Array:
    """Ships with some room before the first obstacle, which do not head for it or for the bank."""
    return drawn(count, draw, _safe_candidates)


def sample_track(count: int, draw: np.random.Generator) -> Array:
    """A quarter each: no obstacle, one far ahead, one near, one passed; with budgets to match."""
    return drawn(count, draw, _track_candidates)


def _vessels(count: int, draw: np.random.Generator) -> list[Array]:
    low, high = (0, -HALF_WIDTH, -0.5, 3, -0.3, -0.5), (0, HALF_WIDTH, 0.5, 5, 0.3, 0.5)
    return [draw.uniform(a, b, count) for a, b in zip(low, high, strict=True)]


def _safe_candidates(count: int, draw: np.random.Generator) -> Array:
    vessel = _vessels(count, draw)
    x0, ones = draw.uniform(0, 7.5, count), np.ones(count)
    y0, y1 = draw.uniform(-2, 2, count), draw.uniform(-2, 2, count)
    y, heading = vessel[1], vessel[2]
    along = np.linspace(0, 5, 100)[:, None]
    ahead_x, ahead_y = along * np.cos(heading), y + along * np.sin(heading)
    clear = (np.hypot(ahead_x - x0, ahead_y - y0) > 1).all(0)
    kept = (np.hypot(x0, y - y0) > 1 + 1.5) & clear & (np.abs(ahead_y[-1]) < HALF_WIDTH)
    return np.stack([*vessel, x0, y0, ones, x0 + 7.5, y1, ones], 1)[kept]


def _track_candidates(count: int, draw: np.random.Generator) -> Array:
    vessel = _vessels(count, draw)
    y, heading = vessel[1], vessel[2]
    radius, kind = draw.uniform(0.6, 1.2, count), draw.integers(0, 4, count)
    x0 = np.choose(kind, [np.full(count, -5.0), draw.uniform(5, 8, count), draw.uniform(0, 5, count), draw.uniform(-1, 0, count)])
    periods = np.choose(kind, [draw.integers(a, b + 1, count) for a, b in ((1, 9), (10, 25), (8, 14), (5, 11))])
    ahead = x0 > 0
    bad = (
        (np.hypot(x0, y) < radius)
        | ((y > 1.5) & (heading > 0))
        | ((y < -1.5) & (heading < 0))
        | (ahead & (x0 < radius + 0.5) & (np.abs(y) < radius))
        | (ahead & (x0 < radius + 1.5) & (np.abs(y) < 0.3))
        | ((periods < 5) & (np.abs(y) > 1.5))
    )
    return np.stack([*vessel, x0, np.zeros(count), radius, periods * DT], 1)[~bad]


def encode(state: Any) -> Any:
    """As seen from the ship: places along the river are relative to it."""
    operations, x = library(state), state[..., 0]
    columns = [state[..., index] for index in range(state.shape[-1])]
    columns[0] = x - x
    columns[6] = columns[6] - x
    if state.shape[-1] == len(SAFE):
        columns[9] = columns[9] - x
    return operations.stack(columns, -1)


SHIP_SAFE = System(
    name="ship-safe",
    description="steer a ship past two obstacles on a river",
    states=SAFE,
    controls=("thrust", "rudder"),
    low=(-0.5, -3.0),
    high=(0.5, 3.0),
    dt=DT,
    horizon=STEPS,
    specification=SAFE_SPECIFICATION,
    safety=SAFE_SPECIFICATION,
    step=step,
    sample=sample_safe,
    signals=named(SAFE),
    encode=encode,
    fail_safe=(-0.5, 0.0),
    choices=((-0.5, 0.0, 0.5), (-3.0, 0.0, 3.0)),
    prefix=4,
)
SHIP_TRACK = System(
    name="ship-track",
    description="steer a ship past an obstacle and back to its track in time",
    states=TRACK,
    controls=("thrust", "rudder"),
    low=(-0.5, -3.0),
    high=(0.5, 3.0),
    dt=DT,
    horizon=STEPS,
    specification=TRACK_SPECIFICATION,
    safety=TRACK_SAFETY,
    step=step,
    sample=sample_track,
    signals=named(TRACK),
    encode=encode,
    fail_safe=(-0.5, 0.0),
    choices=((-0.5, 0.5), (-3.0, 3.0)),
    prefix=7,
    end="truncate",
)
