"""A joint behind its servo as a second-order system, so that it can be said what another gain would change.

    v̇ = a e − b v,   e the way from where it is to where it should be

A position command says where that is, a velocity command how fast it moves. a and b are the gains over the inertia that the joint moves; both are
multiplied by the gain of the hypothesis.
"""

from __future__ import annotations

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.table import Table

__all__ = ["fit_servo", "servo_change"]

_MOST = 1500  # commands that are fitted to


def fit_servo(table: Table, joint: int) -> Array:
    """The gains a in 1/s² and b in 1/s of one joint, `[2]`, by least squares of its motion (Nelder and Mead)."""
    from scipy.optimize import minimize

    count = min(len(table.command_time), _MOST)
    end = table.command_time[count - 1]
    rows = np.flatnonzero(table.inner & (table.time <= end))
    measured = _output(table, joint, rows)

    def error(logarithms: Array) -> float:
        moved = _simulated(table, joint, np.exp(logarithms), count)
        return float(np.mean((np.interp(table.time[rows], table.command_time[:count], moved) - measured) ** 2))

    best = min(([np.log(rate**2), np.log(2 * rate)] for rate in (5.0, 15.0, 50.0)), key=lambda start: error(np.array(start)))
    found = minimize(error, best, method="Nelder-Mead", options={"maxfev": 60, "xatol": 0.02, "fatol": 1e-12})
    return np.exp(found.x)


def servo_change(table: Table, joint: int, rows: Array) -> Array:
    """What the gain of the hypothesis changes of the motion at some samples, `[n]`: velocity, or the way by which a position command is missed."""
    count = len(table.command_time)
    own = table.servo[joint]
    apart = _simulated(table, joint, own * table.gain[joint], count) - _simulated(table, joint, own, count)
    late = table.dead_time[joint] + table.delay[joint]
    return np.interp(table.time[rows] - late, table.command_time, apart)


def _output(table: Table, joint: int, rows: Array) -> Array:
    return np.asarray((table.velocity if table.mode == "velocity" else table.position)[rows, joint])


def _simulated(table: Table, joint: int, rates: Array, count: int) -> Array:
    """Velocity, or position of a position command, when each command begins, `[count]`; recordings begin at rest."""
    from scipy.linalg import expm

    stiff, damped = (float(rate) for rate in rates)
    moves = table.mode == "velocity"
    moved = expm(table.period * np.array([[0.0, -1.0, 1.0], [stiff, -damped, 0.0], [0.0, 0.0, 0.0]]))  # of e, v and the speed of the goal
    (a, b, f), (c, d, g), _ = moved.tolist()
    begun = np.diff(table.command_time, prepend=-np.inf) > 100.0 * table.period
    error, speed, before = 0.0, 0.0, 0.0
    out = np.empty(count)
    for index, (told, begins) in enumerate(zip(table.command[:count, joint].tolist(), begun[:count].tolist(), strict=True)):
        if begins:  # the gap behind the rest that stands before a recording
            error, speed, before = 0.0, 0.0, (0.0 if moves else out[index - 1] if index else told)
        out[index] = speed if moves else before - error
        error += 0.0 if moves else told - before
        before, pull = told, told if moves else 0.0
        error, speed = a * error + b * speed + f * pull, c * error + d * speed + g * pull
    return out
