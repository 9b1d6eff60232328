"""How badly one set of recordings fits what the other says: an error per relation and joint, in multiples of what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.conditions import condition_errors, message_errors
from isthmus_evidence.gap.response import Fit, Loads, Relation, calm_limit, fit, predicted, relations
from isthmus_evidence.gap.servo import fit_servo
from isthmus_evidence.gap.table import Table

__all__ = ["Channel", "Known", "Reference", "loss"]

_SHARE = {"motion": 0.04, "servo": 0.1, "load": 0.06, "slope": 0.12}  # of a signal's size, below which an error does not matter
_PROMPT = 0.7  # how much better a dead time must be than none
_QUANTILE = 0.9  # of the recordings of the first set
_MOST = 300  # samples that errors are taken of, drawn at random, as every second one would hide what happens in every second period


@dataclass(frozen=True, slots=True)
class Channel:
    """Squared errors of one relation.

    Attributes:
        folds: mean squared error in each half, `[2]`; NaN where a half says nothing.
        floor: what is usual.
    """

    folds: Array
    floor: float

    @property
    def excess(self) -> Array:
        """Multiples of what is usual, in each half."""
        return self.folds / self.floor

    def of(self, fold: int) -> float:
        """Excess in one half, or in the other where this one says nothing."""
        one, other = self.excess[fold], self.excess[1 - fold]
        return float(one if np.isfinite(one) else other if np.isfinite(other) else 0.0)

    @property
    def mean(self) -> float:
        """Excess of both halves."""
        return (self.of(0) + self.of(1)) / 2


_NONE = Channel(np.array([0.0, 0.0]), 1.0)


@dataclass(frozen=True, slots=True)
class Known:
    """A table and its errors, so that a hypothesis need only look at what it changes.

    Attributes:
        table: as recorded, or with the causes that were found.
        rows: samples that errors are taken of, `[n]`.
        channels: by relation and joint.
    """

    table: Table
    rows: Array
    channels: Mapping[str, Channel]


@dataclass(slots=True)
class Reference:
    """What is known of the first set.

    Attributes:
        table: its samples.
        loads: of its robot.
        fits: by relation and joint.
        floors: mean squared error there, on the half that was not fitted, by relation and joint, but for what the fit adds to it.
        servos: joints behind their servos, where that was needed.
    """

    table: Table
    loads: Loads
    fits: dict[tuple[str, int], Fit] = field(default_factory=dict)
    floors: dict[tuple[str, int], float] = field(default_factory=dict)
    servos: dict[int, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = np.flatnonzero(self.table.inner)
        if len(rows):
            steps = np.maximum(self.table.time[rows] - self.table.time[rows - 1], 1e-9)[:, None]
            calm = calm_limit((self.table.velocity[rows] - self.table.velocity[rows - 1]) / steps)
            self.table = replace(self.table, dead_time=self._dead_time(rows), calm=calm)
        table = self.table
        number = table.recording[rows]
        for relation in relations(table, self.loads, rows):
            errors = self._tested(relation, table, rows)
            key = (relation.name, relation.joint)
            self.fits[key] = fit(relation, np.ones(len(rows), dtype=bool), table.period)
            shown = [relation.used & (number == one) for one in np.unique(number)]
            usual = [float(errors[rows_of].mean()) for rows_of in shown if rows_of.any()]
            floor = max(1.5 * float(np.quantile(usual, _QUANTILE)) if usual else 0.0, _least(relation))
            self.floors[key] = floor / (1 + self.fits[key].uncertainty(relation))

    def _tested(self, relation: Relation, table: Table, rows: Array) -> Array:
        """Squared errors, each half by what was fitted to the other, `[n]`."""
        errors, fold = np.empty(len(rows)), table.fold[rows]
        for half in (0, 1):
            fitted = fit(relation, fold != half if (fold != half).any() else fold == half, table.period).weights
            errors[fold == half] = (relation.target - predicted(relation, fitted, table, rows))[fold == half] ** 2
        return errors

    def _dead_time(self, rows: Array) -> Array:
        """Delay with which the commands of each joint are followed best, s, `[J]`; 0 where none is clearly better."""
        table, count = self.table, len(self.table.joints)
        wanted = {("motion", joint) for joint in range(count)}
        delays = np.array([0.0, 0.5, 1.0, 2.0, 3.0]) * table.period
        errors = np.full((len(delays), count), np.inf)
        for number, delay in enumerate(delays):
            late = replace(table, dead_time=np.full(count, delay))
            for relation in relations(late, self.loads, rows, wanted) if table.mode in ("position", "velocity") else ():
                errors[number, relation.joint] = self._tested(relation, late, rows).mean() * (1.0 if number else _PROMPT)
        return np.asarray(delays[errors.argmin(axis=0)])

    def known(self, table: Table) -> Known:
        """Errors of the recorded second set."""
        table = replace(table, dead_time=self.table.dead_time, calm=self.table.calm)
        rows = np.flatnonzero(table.inner)
        if len(rows) > _MOST:
            rows = np.sort(np.random.default_rng(0).choice(rows, _MOST, replace=False))
        channels = {}
        for relation in relations(table, self.loads, rows):
            own = (relation.name, relation.joint)
            floor = max(self.floors[own] * (1 + self.fits[own].uncertainty(relation)), _least(relation))
            channels[f"{relation.name} {table.joints[relation.joint]}"] = self._channel(relation, table, rows, floor)
        servo = table.servo.copy()
        for joint, name in enumerate(table.joints):
            if max(channels.get(f"{relation} {name}", _NONE).mean for relation in ("motion", "servo")) <= 1:
                continue
            if joint not in self.servos:
                self.servos[joint] = fit_servo(self.table, joint)
            servo[joint] = self.servos[joint]
        table = replace(table, servo=servo)
        for key, (errors, fold, floor) in {**condition_errors(self.table, table), **message_errors(self.table, table)}.items():
            channels[key] = _halved(errors, fold, floor)
        return Known(table, rows, channels)

    def changed(self, known: Known, table: Table) -> dict[str, Channel]:
        """Errors of a table that a hypothesis has made of a known one; floors stay what they are."""
        old = known.table
        moved = _differs(old.position, table.position) | _differs(old.velocity, table.velocity)
        if table.skipping != old.skipping:
            moved = np.ones(len(table.joints), dtype=bool)
        told = moved | _differs(old.effort, table.effort) | _differs(old.command, table.command) | (table.time is not old.time)
        for name in ("delay", "lag", "gain", "limit", "play", "frozen"):
            told |= getattr(old, name) != getattr(table, name)
        loaded = np.zeros(len(table.joints), dtype=bool) if table.load is old.load else np.ones(len(table.joints), dtype=bool)
        heavy = loaded | told if table.mode == "effort" else loaded | _differs(old.effort, table.effort)
        heavy |= moved.any() or table.time is not old.time
        heavy |= old.frozen != table.frozen
        wanted = {(name, joint) for name in ("servo", "slope") for joint in np.flatnonzero(told).tolist()}
        wanted |= {("motion", joint) for joint in np.flatnonzero(told | loaded).tolist()} | {
            ("load", joint) for joint in np.flatnonzero(heavy).tolist()
        }
        channels = dict(known.channels)
        for relation in relations(table, self.loads, known.rows, wanted):
            key = f"{relation.name} {table.joints[relation.joint]}"
            channels[key] = self._channel(relation, table, known.rows, channels[key].floor)
        again = condition_errors(self.table, table) if table.conditions is not old.conditions else {}
        if any(getattr(old, name) is not getattr(table, name) for name in ("time", "position", "command", "every", "fresh")):
            again |= message_errors(self.table, table)
        for key, (errors, fold, _) in again.items():
            channels[key] = _halved(errors, fold, channels[key].floor)
        return channels

    def _channel(self, relation: Relation, table: Table, rows: Array, floor: float) -> Channel:
        weights = self.fits[relation.name, relation.joint].weights
        errors = (relation.target - predicted(relation, weights, table, rows)) ** 2
        return _halved(errors[relation.used], table.fold[rows][relation.used], floor)


def loss(channels: Mapping[str, Channel], fold: int) -> float:
    """Half the negative log likelihood per sample, summed over relations, of errors whose size is unknown but never below the usual.

    Args:
        channels: by name.
        fold: half that counts.
    """
    return float(sum(np.log1p(channel.of(fold)) for channel in channels.values()))


def _least(relation: Relation) -> float:
    """Mean squared error that does not matter."""
    size = float(np.var(relation.target)) if len(relation.target) else 0.0
    return max(_SHARE[relation.name] ** 2 * size, relation.least**2)


def _halved(errors: Array, fold: Array, floor: float) -> Channel:
    halves = [errors[fold == half] for half in (0, 1)]
    return Channel(np.array([float(half.mean()) if half.size else np.nan for half in halves]), floor)


def _differs(old: Array | None, new: Array | None) -> Array:
    """Columns that are not equal."""
    if old is None or new is None or old is new:
        return np.zeros(0 if new is None else new.shape[1], dtype=bool) if new is not None else np.zeros(1, dtype=bool)
    return np.asarray((old != new).any(axis=0)) if old.shape == new.shape else np.ones(new.shape[1], dtype=bool)
