"""How joints answer commands, fitted to one set of recordings: what the other set is compared with.

Four relations hold whatever the policy does, so that they tell a robot that differs from a policy that acts differently:

    motion    velocity (or lag behind a commanded position) from the commands before: a sum of first-order lags
    servo     measured effort from the error of tracking: of position, and of velocity, whose integral a velocity servo follows, too
    load      measured effort from gravity, acceleration and friction
    slope     measured velocity from the differences of measured positions

Each is linear, fitted by least squares with a ridge around what it would be for an ideal robot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus_evidence.gap.servo import servo_change
from isthmus_evidence.gap.table import Table

__all__ = ["Fit", "Loads", "Relation", "calm_limit", "fit", "predicted", "relations"]

_LAGS, _SHORTEST, _LONGEST = 5, 0.3, 0.2  # time constants: how many beside none, from so many periods to so many seconds
_MEMORY = 4.0  # of the longest of them: what was commanded before is one value
_RIDGE, _STIFF = 1e-4, 0.1  # of the weights, and of a constant, which an ideal robot does not have
_CREEP = 0.05  # rad/s or m/s, over which dry friction turns
_CALM = 0.9  # share of the samples that keep the accelerations up to which loads are looked at
_NEAR = 3.0  # of the sizes of regressors, beyond which they say no more about how well a relation is known
_LEAST = {"position": 3e-4, "velocity": 2e-3, "servo": 0.05, "load": 0.01, "slope": 5e-3}


class Loads:
    """Efforts that gravity asks of the joints, from the robot's description.

    Attributes:
        kinematics: None where the robot is not described.
        tool: link that carries a payload.
        kinds: joint → "revolute", "continuous" or "prismatic"; empty where they are not known.
    """

    def __init__(self, kinematics: Kinematics | None, tool: str = "", kinds: Mapping[str, str] | None = None) -> None:
        self.kinematics, self.tool, self.kinds = kinematics, tool, kinds or {}
        self._known: tuple[Array, Array, Array] | None = None

    def gravity(self, table: Table, rows: Array) -> Array:
        """Of some samples, `[n, J]`, N·m or N; zero where the robot is not described. What was asked last is remembered."""
        if self.kinematics is None:
            return np.zeros((len(rows), len(table.joints)))
        if self._known is None or self._known[0] is not table.position or self._known[1] is not rows:
            self._known = (table.position, rows, self.kinematics.gravity(table.joints, table.position[rows]))
        return self._known[2]

    def payload(self, table: Table) -> Array:
        """Effort per kg at the tool, `[N, J]`; zero likewise."""
        if self.kinematics is None or not self.tool:
            return np.zeros(table.position.shape)
        return 9.81 * self.kinematics.jacobian(table.joints, table.position, self.tool)[:, 2]


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation of one joint, at n samples.

    Attributes:
        name: "motion", "servo", "load" or "slope".
        joint: index.
        regressors: `[n, p]`.
        ideal: weights of an ideal robot, `[p]`.
        target: `[n]`.
        least: smallest error that counts.
        constant: index of the regressor that is 1; None if there is none.
        used: samples that count, `[n]`.
    """

    name: str
    joint: int
    regressors: Array
    ideal: Array
    target: Array
    least: float
    constant: int | None
    used: Array


def relations(table: Table, loads: Loads, rows: Array, wanted: Collection[tuple[str, int]] | None = None) -> Iterator[Relation]:
    """The relations that the table has signals for.

    Args:
        table: samples.
        loads: of its robot.
        rows: samples that are asked for, `[n]`; each has one before it in its recording.
        wanted: names and joints; None for all.
    """
    joints = range(len(table.joints))

    def chosen(name: str) -> list[int]:
        return [joint for joint in joints if wanted is None or (name, joint) in wanted]

    position, velocity, before = table.position[rows], table.velocity[rows], table.velocity[rows - 1]
    steps = np.maximum(table.time[rows] - table.time[rows - 1], 1e-9)[:, None]
    ones, every = np.ones((len(rows), 1)), np.ones(len(rows), dtype=bool)
    if table.skipping:
        repeated = table.repeated
        every = ~repeated[rows] & ~repeated[rows - 1]
    effort = None if table.effort is None else table.effort[rows]
    if table.mode in ("position", "velocity"):
        asked = sorted({*chosen("motion"), *(chosen("servo") if effort is not None else ())})
        lagged = dict(zip(asked, np.moveaxis(lagged_commands(table, rows, asked), 2, 0), strict=True))
        for joint in chosen("motion"):
            history, pull = lagged[joint], loads.gravity(table, rows)[:, [joint]] / 1e3
            if table.mode == "position":
                columns, target = [history[:, 1:] - history[:, :1], ones, pull], position[:, joint] - history[:, 0]
                ideal = np.zeros(history.shape[1] + 1)
            else:
                columns, target, ideal = [history, ones, pull], velocity[:, joint], np.eye(history.shape[1] + 2)[0]
            yield Relation(
                "motion",
                joint,
                np.concatenate(columns, axis=1),
                ideal,
                target,
                _LEAST[table.mode],
                history.shape[1] - (table.mode == "position"),
                every,
            )
        for joint in chosen("servo") if effort is not None else ():
            newest, held = lagged[joint][:, 0], loads.gravity(table, rows)[:, [joint]]
            goal = newest if table.mode == "position" else _integrated(table, rows, joint) - table.lag[joint] * newest
            error = goal - position[:, joint]
            assert effort is not None  # noqa: S101 - looked at above
            columns = [error[:, None], velocity[:, [joint]], *([newest[:, None]] if table.mode == "velocity" else []), held, ones]
            last = len(columns) - 1
            yield Relation(
                "servo", joint, np.concatenate(columns, axis=1), np.zeros(last + 1), effort[:, joint], _LEAST["servo"], last, every
            )
    if table.mode == "effort" and len(table.command) and (asked := chosen("load")):
        effort = np.zeros(position.shape)
        effort[:, asked] = lagged_commands(table, rows, asked)[:, 0]
    if effort is not None and (asked := chosen("load")):
        # Where acceleration is large, an effort of one instant and the change of velocity over a period are not the same.
        acceleration = (velocity - before) / steps
        limit = table.calm if table.calm.size else calm_limit(acceleration)
        calm = every & (np.abs(acceleration) <= limit).all(axis=1) if table.mode != "effort" else every
        for joint in asked:
            own = velocity[:, [joint]]
            regressors = np.concatenate([acceleration, own, np.tanh(own / _CREEP), ones], axis=1)
            target = effort[:, joint] - loads.gravity(table, rows)[:, joint]
            yield Relation("load", joint, regressors, np.zeros(regressors.shape[1]), target, _LEAST["load"], regressors.shape[1] - 1, calm)
    if table.measured_velocity:
        for joint in chosen("slope"):
            rise = (position[:, joint] - table.position[rows - 1, joint]) / steps[:, 0]
            yield Relation("slope", joint, (velocity[:, [joint]] + before[:, [joint]]) / 2, np.ones(1), rise, _LEAST["slope"], None, every)


def calm_limit(acceleration: Array) -> Array:
    """Accelerations that `_CALM` of the samples keep in all joints, `[J]`."""
    mean = np.maximum(np.abs(acceleration).mean(axis=0), 1e-9)
    return np.asarray(mean * np.quantile((np.abs(acceleration) / mean).max(axis=1), _CALM) if len(acceleration) else mean)


@dataclass(frozen=True, slots=True)
class Fit:
    """A relation as one set of samples tells it.

    Attributes:
        weights: `[p]`.
        scale: sizes of the regressors, `[p]`.
        known: their second moments in these sizes, with the ridge, `[p, p]`.
        samples: how many tell it, in samples that do not depend on each other.
    """

    weights: Array
    scale: Array
    known: Array
    samples: float

    def uncertainty(self, relation: Relation) -> float:
        """Mean variance of what is said of a relation's samples, in multiples of that of an error: large where regressors mix as they never did."""
        asked = np.clip(relation.regressors[relation.used] / self.scale, -_NEAR, _NEAR)
        return float(np.einsum("np,np->n", asked, np.linalg.solve(self.known, asked.T).T).mean() / self.samples) if len(asked) else 0.0


def fit(relation: Relation, chosen: Array, period: float) -> Fit:
    """Least squares over the chosen samples `[n]`, which are a period apart, s; those of one second count as one that depends on no other."""
    chosen = chosen & relation.used
    regressors, ideal = relation.regressors[chosen], relation.ideal
    count = max(len(regressors), 1)
    left = relation.target[chosen] - regressors @ ideal
    scale = np.maximum(np.sqrt(np.mean(regressors**2, axis=0)), 1e-9) if len(regressors) else np.ones(len(ideal))
    scaled = regressors / scale
    ridge = np.full(len(ideal), _RIDGE)
    if relation.constant is not None:
        ridge[relation.constant] = _STIFF
    known = scaled.T @ scaled / count + np.diag(ridge)
    return Fit(np.asarray(ideal + np.linalg.solve(known, scaled.T @ left / count) / scale), scale, known, max(count * period, 1.0))


def predicted(relation: Relation, weights: Array, table: Table, rows: Array) -> Array:
    """What a fitted relation says under the table's hypothesis, `[n]`."""
    joint, value = relation.joint, relation.regressors @ weights
    gain, extra = table.gain[joint], None if table.load is None else table.load[rows, joint]
    if table.frozen[joint] and relation.name in ("servo", "load"):
        return relation.target  # it may be the measurement that stands still, of which efforts tell nothing
    if relation.name == "load":
        return np.asarray(value if extra is None else value + extra)
    if relation.name == "servo":
        return np.asarray(value + (gain - 1) * (relation.regressors[:, :-2] @ weights[:-2]))
    if relation.name == "slope":
        return np.asarray(value)
    if extra is not None:
        value = value + weights[-1] / 1e3 * extra / gain
    if gain != 1:
        value = value + (1 / gain - 1) * weights[-1] * relation.regressors[:, -1]
        if np.isfinite(table.servo[joint]).all():
            value = value + servo_change(table, joint, rows)
    if np.isfinite(table.limit[joint]) and table.mode == "velocity":
        value = np.clip(value, -table.limit[joint], table.limit[joint])
    if table.frozen[joint]:
        return _standing(relation, table, rows)
    return _played(relation, value, table, rows) if table.play[joint] > 0 else np.asarray(value)


def _standing(relation: Relation, table: Table, rows: Array) -> Array:
    """Of a joint that does not move."""
    if table.mode == "velocity":
        return np.zeros(len(rows))
    first = np.maximum.accumulate(np.where(table.inner, 0, np.arange(len(table.time))))
    position = table.position[:, relation.joint]
    return np.asarray(position[first[rows]] - position[rows] + relation.target)


def _played(relation: Relation, value: Array, table: Table, rows: Array) -> Array:
    """Behind a play of the given width; where samples between are not asked for, the motion there is taken from its neighbours."""
    width, joint = table.play[relation.joint], relation.joint
    moves = table.mode == "velocity"
    number, time = table.recording[rows], table.time[rows]
    fresh = np.concatenate([[True], number[1:] != number[:-1]])
    steps = np.maximum(np.where(fresh, table.period, np.diff(time, prepend=time[0])), 1e-9)  # a lost message repeats its stamp
    newest = 0.0 if moves else table.position[rows, joint] - relation.target
    driven = np.cumsum(value * steps) if moves else value + newest
    out, place = np.empty_like(driven), 0.0
    for index, way in enumerate(driven.tolist()):
        place = way if fresh[index] else min(max(place, way - width / 2), way + width / 2)
        out[index] = place
    return np.asarray(np.where(fresh, value, np.diff(out, prepend=out[0]) / steps) if moves else out - newest)


def _integrated(table: Table, rows: Array, joint: int) -> Array:
    """Where velocity commands lead from the beginning of each recording, `[n]`, rad or m; behind a filter they are its time constant later."""
    values, began = table.command[:, joint], table.command_time
    way = np.concatenate([[0.0], np.cumsum(values[:-1] * np.diff(began))])

    def at(moment: Array) -> Array:
        index = np.searchsorted(began, moment - 1e-9, side="right") - 1
        return np.asarray(way[index] + values[index] * (moment - began[index]))

    first = np.maximum.accumulate(np.where(table.inner, 0, np.arange(len(table.time))))[rows]
    late = table.dead_time[joint] + table.delay[joint]
    return np.asarray(table.position[first, joint] + at(table.time[rows] - late) - at(table.time[first] - late))


def lagged_commands(table: Table, rows: Array, joints: list[int]) -> Array:
    """What first-order lags have made of the commands, by time constant, `[n, P, len(joints)]`, with delay and lag of the hypothesis.

    A command u that is in force for ages a … b has the weight exp(−a / τ) − exp(−b / τ); behind a second lag λ the response of both is
    (τ x_τ − λ x_λ) / (τ − λ).
    """
    alike: dict[tuple[float, float], list[int]] = {}
    for place, joint in enumerate(joints):
        alike.setdefault((table.dead_time[joint] + table.delay[joint], table.lag[joint]), []).append(place)
    step = table.period
    lags = np.append(0.0, np.geomspace(_SHORTEST * step, max(_LONGEST, 5 * step), _LAGS))
    found = np.empty((len(rows), len(lags), len(joints)))
    for (delay, lag), places in alike.items():
        constants = np.maximum(lags, 1e-6)
        moment = table.time[rows] - delay
        newest = np.searchsorted(table.command_time, moment - 1e-9, side="right") - 1
        count = int(np.clip(np.ceil(_MEMORY * max(constants.max(), lag) / max(step, 1e-4)), 2, 60))
        index = newest[:, None] - np.arange(count)
        ages = np.where(index >= 0, moment[:, None] - table.command_time[np.maximum(index, 0)], np.inf)
        ages[:, -1] = np.inf
        edges = np.concatenate([np.zeros((len(rows), 1)), ages], axis=1)
        values = table.command[np.maximum(index, 0)][:, :, [joints[place] for place in places]]
        if lag > 0:
            constants = np.append(np.where(np.abs(constants - lag) < 1e-3 * lag, 1.002 * constants, constants), lag)
        kept = np.exp(-edges[:, :, None] / constants)
        lagged = np.einsum("nmp,nmj->npj", kept[:, :-1] - kept[:, 1:], values)
        if lag > 0:
            own = constants[:-1, None]
            lagged = (own * lagged[:, :-1] - lag * lagged[:, -1:]) / (own - lag)
        found[:, :, places] = lagged
    return found
