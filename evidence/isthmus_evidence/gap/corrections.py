"""Tables that undo what may have happened to commands, messages and clocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isthmus_evidence.gap.table import Table

__all__ = ["clocked", "held", "lost", "smoothed"]


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


def smoothed(table: Table) -> Table:
    """Velocities behind a filter of seven samples (Savitzky and Golay)."""
    from scipy.signal import savgol_filter

    return replace(table, velocity=savgol_filter(table.velocity, 7, 2, axis=0))
