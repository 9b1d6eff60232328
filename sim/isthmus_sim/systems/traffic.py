"""Driving up to a junction behind a leader, with a stop sign or a traffic light.

Task 1 of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131); its half-open intervals are written as closed ones.
Conditions such as "there is a light" are weighted 20-fold: that changes no verdict, but with the margin of a flag, 0.5, the robustness of what they
ask for would be hidden behind their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.arrays import library
from isthmus.records import Array
from isthmus_sim.systems.system import System, named, soft_step

__all__ = ["TRAFFIC"]

DT = 0.1  # s
CYCLE, RED = 8.0, 4.0  # s, of the light, and of its red part
FASTEST, BRAKING = 10.0, 10.0  # m/s, m/s²
STEPS = 25

STATES = ("x", "speed", "light", "timer", "gap", "leader_speed", "taken")
"""Distance to the junction (negative before it), m; speed; 1 for a light, 0 for a stop sign; time waited or of the cycle, s; gap to the leader, m, -1
without one; its speed; whether another car has priority."""

SAFETY = (
    "(20 * light <= 10 -> (20 * taken >= 10 -> always[0,24] (x <= -0.5))) "
    "and (20 * light >= 10 -> always[0,24] (not (timer <= 4 and -x * (x + 1) >= 0))) "
    "and (20 * gap >= -10 -> always[0,24] (gap >= 1))"
)
SPECIFICATION = (
    "(20 * light <= 10 -> eventually[0,24] (timer >= 1) and (20 * taken >= 10 -> always[0,24] (x <= -0.5))) "
    "and (20 * light >= 10 -> always[0,24] (not (timer <= 4 and -x * (x + 1) >= 0))) "
    "and (20 * gap >= -10 -> always[0,24] (gap >= 1))"
)


def step(state: Any, control: Any) -> Any:
    """One period."""
    operations = library(state)
    x, speed, light, timer, gap, leader, taken = (state[..., index] for index in range(len(STATES)))
    waiting = (timer + DT * soft_step(x + 1, reach=5.0)) * soft_step(-x, reach=0.2)
    cycling = operations.remainder(timer + DT, CYCLE)
    return operations.stack(
        [
            x + speed * DT,
            operations.clip(speed + control[..., 0] * DT, -0.01, FASTEST),
            light,
            (1 - light) * waiting + light * cycling,
            operations.where(operations.greater_equal(gap, 0 * gap), gap + (leader - speed) * DT, gap),
            leader,
            taken,
        ],
        -1,
    )


def sample(count: int, draw: np.random.Generator) -> Array:
    """A quarter approaches a stop sign, a quarter stands at one, and half of them approach a light."""
    states = np.zeros((count, len(STATES)))
    kind = draw.permutation(np.arange(count) % 4)  # 0: stop sign, 1: at the stop sign, 2 and 3: light
    x = np.where(kind == 1, draw.uniform(-1, 0, count), draw.uniform(-10, -1, count))
    fastest = np.clip(np.sqrt(2 * BRAKING * np.maximum(-x - 1, 0)), 0, FASTEST)
    speed = np.where(kind == 1, draw.uniform(0, 1, count), draw.uniform(0, 1, count) * fastest)
    led = (kind != 1) & (draw.random(count) < 0.5)
    gap = draw.uniform(1, 10, count)
    slowest = np.sqrt(np.maximum(2 * BRAKING * (1 - gap) + speed**2, 0))
    leader = slowest + draw.uniform(0, 1, count) * (FASTEST - slowest)
    states[:, 0], states[:, 1], states[:, 2] = x, speed, kind >= 2
    states[:, 3] = np.select([kind == 1, kind >= 2], [draw.uniform(0, 1.1, count), draw.uniform(0, CYCLE, count)])
    states[:, 4], states[:, 5] = np.where(led, gap, -1.0), np.where(led, leader, 0.0)
    states[:, 6] = (kind == 0) & (draw.random(count) < 0.5)
    return states


def cost(trajectory: Any, controls: Any, satisfied: Any) -> Any:
    """Satisfied plans should also make progress: 0.1 (relu(5 − v) where driving is allowed + relu(−1 − x))."""
    x, speed, light, timer = (trajectory[:, 1:, index] for index in range(4))
    free = ((light < 0.5) | (timer > RED)).to(speed.dtype)
    slow, far = (5 - speed).clamp(min=0) * free, (-1 - x).clamp(min=0)
    return 0.1 * (satisfied[:, None] * (slow + far)).mean()


TRAFFIC = System(
    name="traffic",
    description="drive up to a junction with a stop sign or a light, behind a leader",
    states=STATES,
    controls=("acceleration",),
    low=(-BRAKING,),
    high=(BRAKING,),
    dt=DT,
    horizon=STEPS,
    specification=SPECIFICATION,
    safety=SAFETY,
    step=step,
    sample=sample,
    signals=named(STATES),
    encode=lambda state: state,
    fail_safe=(-BRAKING,),
    choices=(tuple(np.linspace(-10, 10, 8).tolist()),),
    prefix=4,
    first=1,
    cost=cost,
)
