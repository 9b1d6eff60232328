"""A ball that falls through gaps of walls, and collects coins beside them.

Task 2 of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131), with the last sample constrained too. Not every
second wall can be passed from every start. Conditions are weighted, as in `traffic`, so that they do not hide what they ask for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.arrays import library
from isthmus.records import Array
from isthmus_sim.systems.system import System, drawn, named

__all__ = ["MAZE"]

DT = 0.2  # s
WIDTH = 5.0  # m
FASTEST, STRONGEST = 5.0, 40.0  # m/s, m/s²
STEPS = 25

STATES = ("x", "speed", "y", "left0", "length0", "coin0", "left1", "length1", "coin1")
"""Place across, m; speed across; height below the first wall (y rises by 1 m/s); where the two walls begin and how long they are; x of a coin beside
each, or -1."""


SAFETY = (
    "always[0,25] (-1000 * (y + 0.5) * y >= 0 -> (left0 + length0 - x) * (left0 - x) >= 0) "
    "and always[0,25] (-1000 * (y - 2) * (y - 2.5) >= 0 -> (left1 + length1 - x) * (left1 - x) >= 0)"
)
SPECIFICATION = (
    f"{SAFETY} "
    "and (20 * coin0 > 0 -> eventually[0,25] ((x - coin0) * (x - coin0) + (y + 0.25) * (y + 0.25) <= 0.16)) "
    "and (20 * coin1 > 0 -> eventually[0,25] ((x - coin1) * (x - coin1) + (y - 2.25) * (y - 2.25) <= 0.16))"
)


def step(state: Any, control: Any) -> Any:
    """One period."""
    operations = library(state)
    x, speed, y = (state[..., index] for index in range(3))
    moved = [
        operations.clip(x + speed * DT, 0.1, WIDTH - 0.1),
        operations.clip(speed + control[..., 0] * DT, -FASTEST, FASTEST),
        y + DT,
    ]
    return operations.stack([*moved, *(state[..., index] for index in range(3, len(STATES)))], -1)


def sample(count: int, draw: np.random.Generator) -> Array:
    """Balls from which the first wall can be passed, and its coin be reached."""
    return drawn(count, draw, _allowed)


def _allowed(count: int, draw: np.random.Generator) -> Array:
    states = _candidates(count, draw)
    after = step(states, np.zeros((len(states), 1)))
    return states[~(_inside(states) | _inside(after))]


def _inside(states: Array) -> Array:
    """Whether a ball is inside the first wall."""
    x, y, left, length = states[:, 0], states[:, 2], states[:, 3], states[:, 4]
    return np.asarray((y >= -0.5) & (y <= 0) & (x > left) & (x < left + length))


def _candidates(count: int, draw: np.random.Generator) -> Array:
    states = np.zeros((count, len(STATES)))
    speed, y = draw.uniform(-FASTEST, FASTEST, count), draw.uniform(-2.5, 0, count)
    for wall in (0, 1):
        length = draw.uniform(2, 4, count)
        left = WIDTH / 2 + draw.uniform(-1, 1, count) * (WIDTH - length) / 2 - length / 2
        left = np.where(left < 0.1, 0.0, left)  # a gap of less than 0.1 m is none
        left = np.where(WIDTH - left - length < 0.1, WIDTH - length, left)
        right = left + length
        side, share = draw.integers(0, 3, count), draw.uniform(0.3, 0.7, count)
        begin, end = np.where(side == 0, 0.0, right), np.where(side == 0, left, WIDTH)
        coin = begin + share * (end - begin)
        kept = (side < 2) & (coin - begin >= 0.4) & (end - coin >= 0.4)
        states[:, 3 + 3 * wall : 6 + 3 * wall] = np.stack([left, length, np.where(kept, coin, -1.0)], 1)
    left, length, coin = states[:, 3], states[:, 4], states[:, 5]
    right = left + length
    remaining = np.floor((-y - 0.5) / DT) - 1
    lowest, highest = -speed * DT - FASTEST * remaining * DT, -speed * DT + FASTEST * remaining * DT
    passes_left = draw.random(count) < 0.5
    passes_left = np.where(left <= 0, False, np.where(right >= WIDTH, True, passes_left))
    begin = np.where(coin > 0, coin - 0.4, np.where(passes_left, 0.0, right)) + lowest
    end = np.where(coin > 0, coin + 0.4, np.where(passes_left, left, WIDTH)) + highest
    begin, end = np.clip(begin, 0, WIDTH), np.clip(end, 0, WIDTH)
    share = draw.uniform(0, 1, count)
    states[:, 0], states[:, 1], states[:, 2] = share * begin + (1 - share) * end, speed, y
    return states


MAZE = System(
    name="maze",
    description="fall through the gaps of two walls, and collect coins",
    states=STATES,
    controls=("acceleration",),
    low=(-STRONGEST,),
    high=(STRONGEST,),
    dt=DT,
    horizon=STEPS,
    specification=SPECIFICATION,
    safety=SAFETY,
    step=step,
    sample=sample,
    signals=named(STATES),
    encode=lambda state: state,
    fail_safe=(0.0,),
    choices=(tuple(np.linspace(-STRONGEST, STRONGEST, 8).tolist()),),
    prefix=4,
)
