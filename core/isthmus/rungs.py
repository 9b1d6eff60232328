"""What the guard decides and remembers: rungs, decisions, and the findings of one check."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.envelope import Trail
from isthmus.monitors import MonitorState
from isthmus.records import Array, Command

__all__ = ["CLAMP", "HOLD", "PASS", "RUNGS", "STOP", "Decision", "Findings", "GuardState", "demanding", "mask", "passing", "renew"]

PASS, CLAMP, HOLD, STOP = range(4)
RUNGS = ("pass", "clamp", "hold", "stop")

GOOD_COMMANDS = 5
HOLD_SECONDS = 0.5

_CLAMPED = "command beyond velocity, acceleration, effort or position limits"


@dataclass(frozen=True, slots=True)
class GuardState:
    """Everything the guard remembers, one row per robot. Treat the arrays as read-only.

    Attributes:
        armed: `[B]`, no command leaves an unarmed guard.
        rung: `[B]`, rung that persists: `HOLD` or `STOP`, else `PASS`.
        executed: `[B, J]`, last executed command in the unit of the mode.
        rate: `[B, J]`, commanded velocity of the last period, rad/s (position mode; equals `executed` otherwise).
        anchor: `[B, J]`, position that an effort-controlled robot is held at, rad.
        braking: `[B]`, the last command was the guard's own.
        started: `[B]`, a command was executed since arming.
        good: `[B]`, good commands in a row while holding.
        held: `[B]`, seconds spent holding.
        runaway: `[B]`, a joint moved against its command or faster than it can, which calls for more than a stop; until `arm` or `reset`.
        cause: why each row holds or stops, "" where it does not.
        monitors: what the monitors remember.
        trail: earlier commands, see `Situation.trail`.
    """

    armed: Array
    rung: Array
    executed: Array
    rate: Array
    anchor: Array
    braking: Array
    started: Array
    good: Array
    held: Array
    runaway: Array
    cause: tuple[str, ...]
    monitors: MonitorState
    trail: Trail = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard lets through.

    Attributes:
        command: the command to execute, finite and within limits in every armed row and NaN in the others; None if no row is armed.
        rung: `[B]` int: `PASS`, `CLAMP`, `HOLD` or `STOP`; an unarmed row holds.
        armed: `[B]`, rows that carry a command.
        kept: causes of the rows that hold or stop, "" elsewhere.
        halts: a motion, which is sent as a whole, has to brake at once: another one would leave the workspace box.
    """

    command: Command | None
    rung: Array
    armed: Array
    kept: tuple[str, ...]
    halts: bool = False

    @property
    def cause(self) -> tuple[str, ...]:
        """One sentence per row that is not passing, "" elsewhere; put into words when asked for, as most clamped commands are never explained."""
        rows = zip(self.rung.tolist(), self.armed.tolist(), self.kept, strict=True)
        return tuple(cause or ("" if rung == PASS else _CLAMPED if ready else "not armed") for rung, ready, cause in rows)


class Findings:
    """What one check has found: the rung that each row needs and why."""

    __slots__ = ("_causes", "_demand", "_good", "state")

    def __init__(self, state: GuardState) -> None:
        self.state = state
        self._demand = state.rung
        self._causes: dict[int, list[str]] = {}
        self._good: Array | None = None  # nothing was found yet

    def add(self, rows: Array, rung: int, causes: Sequence[str]) -> None:
        """Rows that need at least `rung`. The first cause of a hold or stop stays its cause until it is over or becomes worse."""
        if self._good is None:
            self._demand = self._demand.copy()
        self._good = ~rows if self._good is None else self._good & ~rows
        for row in np.flatnonzero(rows & self.state.armed & (self.state.rung < rung)).tolist():
            self._demand[row] = max(self._demand[row], rung)
            self._causes.setdefault(row, []).append(causes[row])

    def settle(self, looked: float, *, commanded: bool) -> tuple[Array, Array, Array]:
        """Let holds clear or expire: the final demand, the count of good commands and the seconds held, `[B]` each.

        Args:
            looked: seconds since the last look, which holds have lasted longer; how many looks there were does not matter.
            commanded: whether a command was judged, which may be a good one.
        """
        state = self.state
        if not np.count_nonzero(state.rung):
            return self._demand, state.good, state.held
        good = True if self._good is None else self._good
        holding = (state.rung == HOLD) & (self._demand == HOLD) & state.armed
        count = np.where(holding & good, state.good + commanded, 0)
        held = np.where(holding, state.held + looked, 0.0)
        released = holding & (count >= GOOD_COMMANDS)
        expired = holding & ~released & (held > HOLD_SECONDS - 1e-9)
        self._demand = np.where(released, PASS, np.where(expired, STOP, self._demand)).astype(np.int8)
        for row in np.flatnonzero(expired).tolist():
            self._causes[row] = [f"hold lasted {HOLD_SECONDS} s: {state.cause[row]}"]
        return self._demand, np.where(released, 0, count), np.where(released, 0.0, held)

    def explain(self, demand: Array) -> tuple[str, ...]:
        """One cause per row that holds or stops, "" elsewhere."""
        before = self.state.cause
        if demand is self.state.rung:
            return before
        return tuple(
            "" if rung < HOLD else "; ".join(dict.fromkeys(self._causes.get(row, [before[row]])))
            for row, rung in enumerate(demand.tolist())
        )


def demanding(state: GuardState, rung: int, cause: str, rows: Array | bool) -> GuardState:
    """The state with at least `rung` in the rows of a mask `[B]`, for a reason that no check has found."""
    rises = rows & (state.rung < rung)
    causes = tuple(cause if rises[row] else old for row, old in enumerate(state.cause))
    return dataclasses.replace(
        state, rung=np.where(rises, rung, state.rung).astype(np.int8), cause=causes, good=np.where(rows, 0, state.good)
    )


def passing(state: GuardState) -> GuardState:
    """The state without its hold; the set-point stays, and what is armed stays armed."""
    return dataclasses.replace(
        state,
        rung=np.zeros_like(state.rung),
        good=np.zeros_like(state.good),
        held=np.zeros_like(state.held),
        cause=("",) * len(state.cause),
    )


def renew(state: GuardState, fresh: GuardState, rows: Array) -> GuardState:
    """`state` with the rows of a mask `[B]` as the only row of `fresh`."""

    def pick(now: Any, new: Any, names: list[str]) -> dict[str, Array]:
        values = {}
        for name in names:
            values[name] = getattr(now, name).copy()
            values[name][rows] = getattr(new, name)
        return values

    cause = state.cause
    if any(cause):
        cause = tuple("" if begun else old for begun, old in zip(rows.tolist(), cause, strict=True))
    trail = tuple((lasted, np.where(rows[:, None], 0.0, rates)) for lasted, rates in state.trail)
    monitors = MonitorState(**pick(state.monitors, fresh.monitors, _MONITORED))
    return GuardState(cause=cause, monitors=monitors, trail=trail, **pick(state, fresh, _REMEMBERED))


def mask(rows: Array, state: GuardState) -> Array:
    """`rows` if it is a mask of the batch: indices and masks of one shape would be taken for each other in silence.

    Raises:
        ValueError: it is none.
    """
    rows = np.asarray(rows)
    if rows.dtype != bool or rows.shape != state.armed.shape:
        raise ValueError(f"rows must be a boolean mask of shape {list(state.armed.shape)}, got {rows.dtype} of shape {list(rows.shape)}")
    return rows


_MONITORED = [field.name for field in dataclasses.fields(MonitorState)]
_REMEMBERED = [field.name for field in dataclasses.fields(GuardState) if field.name not in ("cause", "monitors", "trail")]
