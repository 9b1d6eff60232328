"""How recordings begin, and how their messages follow each other."""

from __future__ import annotations

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.table import Table

__all__ = ["condition_errors", "message_errors"]

Errors = dict[str, tuple[Array, Array, float]]
_LEAST = {"position": 5e-3, "input": 5e-3, "pose": 5e-3}  # rad or m
_FEWEST = 5  # recordings, below which a distribution of beginnings is not known
_REPEATED, _JITTER = 0.03, 0.05  # share of messages that bring nothing new; of a period


def condition_errors(first: Table, second: Table) -> Errors:
    """Beginnings: of equal seeds they are equal, else they are of one distribution. Squared errors `[E]`, halves `[E]`, and what is usual."""
    found: Errors = {}
    for name, theirs in second.conditions.items():
        mine = first.conditions.get(name)
        if mine is None or mine.shape[1:] != theirs.shape[1:]:
            continue
        least = _LEAST[name.partition(" ")[0]] ** 2
        rows = [np.flatnonzero((first.seeds == seed) & (seed >= 0)) for seed in second.seeds]
        paired = np.array([len(row) > 0 for row in rows])
        fold = np.arange(len(theirs)) % 2
        elements = second.joints if name == "position" else tuple(f"{name} {index}" for index in range(theirs.shape[1]))
        if paired.any():
            expected = np.stack([mine[row[0]] if len(row) else np.full(mine.shape[1], np.nan) for row in rows])
            spread = np.full(mine.shape[1], least)
        elif len(mine) >= _FEWEST:
            expected, spread = np.broadcast_to(np.nanmean(mine, axis=0), theirs.shape), np.maximum(4 * np.nanvar(mine, axis=0), least)
        else:
            continue
        for index, element in enumerate(elements):
            column = f"start {element}" if name == "position" else element
            found[column] = ((theirs[:, index] - expected[:, index]) ** 2, fold, float(spread[index]))
    return found


def message_errors(first: Table, second: Table) -> Errors:
    """Messages that bring nothing new, and times between them. Squared errors per message, halves, and what is usual."""
    found: Errors = {}
    usual = {name: repeated.mean() if repeated.size else 0.0 for name, (repeated, _) in _repeats(first).items()}
    for name, (repeated, fold) in _repeats(second).items():
        found[name] = (repeated, fold, max(3 * float(usual.get(name, 0.0)), _REPEATED))
    mine, _ = _intervals(first)
    theirs, fold = _intervals(second)
    if mine.size and theirs.size:
        found["interval messages"] = ((theirs - 1) ** 2, fold, max(4 * float(np.mean((mine - 1) ** 2)), _JITTER**2))
    return found


def _repeats(table: Table) -> dict[str, tuple[Array, Array]]:
    """Whether each message repeats the one before while the robot moves, and its half."""
    if table.fresh:
        return {name: (np.zeros(2), np.array([0, 1])) for name in ("repeats measurements", "repeats commands")}
    step = table.every
    moving = np.abs(table.velocity).max(axis=1) > 1e-4
    state = np.concatenate([table.position, table.velocity], axis=1)[::step]
    same = np.concatenate([[False], (np.diff(state, axis=0) == 0).all(axis=1)]) & moving[::step]
    found = {"repeats measurements": (same.astype(float), table.fold[::step])}
    if len(table.command):
        index = np.clip(np.searchsorted(table.command_time, table.time, side="right") - 1, 0, None)
        command = table.command[index][::step]
        held = np.concatenate([[False], (np.diff(command, axis=0) == 0).all(axis=1)]) & moving[::step]
        found["repeats commands"] = (held.astype(float), table.fold[::step])
    return found


def _intervals(table: Table) -> tuple[Array, Array]:
    """Times between samples in periods, and their halves."""
    inner = table.inner
    steps = np.diff(table.time, prepend=table.time[0])[inner] / (table.period * table.every)
    if table.fresh:
        steps = steps / np.maximum(np.round(steps), 1)
    return steps, table.fold[inner]
