"""Tables that undo what may have happened to commands, messages and clocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.table import Table

__all__ = ["clocked", "held", "lost", "smoothed"]

_SHORT = 7  # samples, over which positions are smoothed that nothing else tells
_SLOW = 2.0  # s, over which white noise is evened out


def held(table: Table, every: int, phase: int) -> Table:
    """Commands of which only every kth takes effect."""
    fresh = np.abs(np.diff(table.command_time, prepend=table.command_time[0] - 1e3)) > 100.0  # the rest before each recording
    number = np.arange(len(table.command)) - np.maximum.accumulate(np.where(fresh, np.arange(len(table.command)), 0)) - 1
    good = (number < 0) | (number % every == phase)
    last = np.maximum.accumulate(np.where(good, np.arange(len(good)), 0))
    return replace(table, command=table.command[last])


def lost(table: Table) -> Table:
    """Commands that the motion shows not to have arrived: the one before explains it far better."""
    if table.mode not in ("position", "velocity"):
        return table
    done = table.velocity if table.mode == "velocity" else table.position
    command = table.command.copy()
    index = np.searchsorted(table.command_time, table.time - 1e-6, side="right") - 1
    scale = np.maximum(done.std(axis=0), 1e-6)
    inner = table.inner
    for sample in np.flatnonzero(inner):
        place = int(index[sample])
        if place < 1:
            continue
        told, before, here = command[place], command[place - 1], done[sample]
        if np.sum(((here - before) / scale) ** 2) < 0.25 * np.sum(((here - told) / scale) ** 2):
            command[place] = before
    return replace(table, command=command)


def clocked(table: Table, factor: float) -> Table:
    """Time as a clock that runs so many times as fast would not have told it."""
    first = np.maximum.accumulate(np.where(table.inner, 0, np.arange(len(table.time))))
    begin = table.time[first]
    return replace(table, time=begin + (table.time - begin) / factor)


def smoothed(table: Table, side: str) -> Table:
    """Positions or velocities without white noise: what changes fast is taken from the other of both, what changes slowly from itself.

    Where velocities were made of positions, positions are smoothed, and velocities made of them again.

    Args:
        table: samples.
        side: "position" or "velocity".
    """
    from scipy.integrate import cumulative_trapezoid
    from scipy.signal import savgol_filter

    position, velocity = table.position.copy(), table.velocity.copy()
    for rows in np.split(np.arange(len(table.time)), np.flatnonzero(~table.inner)[1:]):
        if len(rows) < _SHORT:
            continue
        time = table.time[rows]

        def smooth(values: Array, width: int, degree: int) -> Array:
            return np.asarray(savgol_filter(values, min(width, (len(values) - 1) // 2 * 2 + 1), degree, axis=0))

        slow = round(_SLOW / table.period / 2) * 2 + 1
        if not table.measured_velocity:
            position[rows] = smooth(position[rows], _SHORT, 2)
            velocity[rows] = np.gradient(position[rows], time, axis=0)
        elif side == "position":
            way = cumulative_trapezoid(velocity[rows], time, axis=0, initial=0)
            position[rows] = way + smooth(position[rows] - way, slow, 1)
        else:
            rate = np.gradient(position[rows], time, axis=0)
            velocity[rows] = rate + smooth(velocity[rows] - rate, slow, 1)
    last = np.maximum.accumulate(np.where(table.repeated, 0, np.arange(len(table.time))))  # what was repeated stays so
    position, velocity = position[last], velocity[last]
    conditions = {**table.conditions, "position": position[~table.inner]}
    return replace(table, position=position, velocity=velocity, conditions=conditions)
