"""Inverse dynamics: the efforts that a motion needs are linear in frictions and inertias, so that they are found in closed form.

Positions are smoothed by a zero-phase low-pass filter and differenced; efforts pass the same filter, so that both sides are late by nothing. The
answer is biased by what noise is left in accelerations; it is where the forward simulation begins. Swevers et al., "Dynamic Model Identification for
Industrial Robots" (IEEE Control Systems 2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch
from scipy.linalg import qr
from scipy.signal import butter, sosfiltfilt

from isthmus.records import Array
from isthmus_sim.identification.commands import Commands
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.problem import Problem
from isthmus_sim.plants.mujoco_friction import dry_friction
from isthmus_sim.plants.mujoco_parameters import RowParameters

__all__ = ["InverseDynamics", "effort_left", "inverse_dynamics"]

_MOST = 3000  # samples
_CUTOFF = (0.04, 4.0, 40.0)  # Hz: share of the sampling rate, least, most
_SLOW = 0.02  # of the largest speed: slower samples say little of friction, whose sign is noise
_PASSES = 3
_DELAYS = 16
_RANK = 1e-3  # smallest share of a column that the others do not explain
_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class InverseDynamics:
    """What closed form says.

    Attributes:
        values: parameters, `[p]`; what is not linear in efforts, or not determined, keeps its nominal value.
        sd: of them, over blocks of the recording, `[p]`; NaN where nothing was found.
        offsets: constant part of the measured effort of each joint, N·m or N, `[J]`.
        offset_sd: likewise of the offsets, `[J]`.
        undetermined: names of parameters that the others explain in this motion.
        residual: root mean square of the efforts left, `[J]`.
        effort: root mean square of the filtered efforts, `[J]`.
        joints: names.
        delay: s, with which it fits best.
    """

    values: Array
    sd: Array
    offsets: Array
    offset_sd: Array
    undetermined: tuple[str, ...]
    residual: Array
    effort: Array
    joints: tuple[str, ...]
    delay: float

    def plain(self, names: tuple[str, ...]) -> dict[str, Any]:
        """As plain data."""
        found = {
            name: {"value": float(value), "sd": float(sd)}
            for name, value, sd in zip(names, self.values, self.sd, strict=True)
            if np.isfinite(sd)
        }
        return {
            "parameters": found,
            "effort_offset": {
                joint: {"value": float(value), "sd": float(sd)}
                for joint, value, sd in zip(self.joints, self.offsets, self.offset_sd, strict=True)
            },
            "undetermined": list(self.undetermined),
            "residual_effort": dict(zip(self.joints, self.residual.tolist(), strict=True)),
            "effort": dict(zip(self.joints, self.effort.tolist(), strict=True)),
            "delay": self.delay,
        }


def inverse_dynamics(problem: Problem) -> InverseDynamics | None:
    """Solve; None where the logs hold no effort that moves the robot, an object is touched, or a parameter is unknown in some of them alone."""
    if problem.mechanism.mode != "effort" or problem.mechanism.objects or any(unknown.logs for unknown in problem.unknown):
        return None
    names = problem.names
    linear = [
        index
        for index, name in enumerate(names)
        if name not in ("action_delay", "action_lag") and not name.endswith((".offset", ".stribeck_velocity"))
    ]
    if not linear:
        return None
    table, delays = problem.mechanism.table, np.array([problem.mechanism.table["action_delay"].nominal])
    if "action_delay" in names:
        place = names.index("action_delay")
        delays = np.linspace(problem.low[place], problem.high[place], _DELAYS)
    motions = [_motion(log, max(_MOST // len(problem.logs), 200)) for log in problem.logs]
    sides = [[_effort(log, motion, delay) for delay in delays] for log, motion in zip(problem.logs, motions, strict=True)]
    values = problem.nominal.copy()
    best = 0
    for _ in range(_PASSES):
        base, columns = _columns(problem, values, linear, motions)
        design = _with_offsets(columns)
        losses = []
        for choice in range(len(delays)):
            side = np.concatenate([side[choice] for side in sides]) - base
            solution, weights = _solve(design, side)
            losses.append(float((((side - design @ solution) * weights) ** 2).mean() / (weights**2).mean()))
        best = int(np.argmin(losses))
        side = np.concatenate([side[best] for side in sides]) - base
        solution, weights = _solve(design, side)
        moved = values[linear] + solution[: len(linear)]
        values[linear] = np.clip(moved, problem.low[linear], problem.high[linear])
    if "action_delay" in names:
        values[names.index("action_delay")] = delays[best]
    left = side - design @ solution
    sd, spread = np.full(len(names), np.nan), _spread(design, side, weights)
    sd[linear] = spread[: len(linear)]
    lost = _undetermined(columns, weights)
    for row in lost:
        values[linear[row]], sd[linear[row]] = table[names[linear[row]]].nominal, np.nan
    effort = np.concatenate([side[best] for side in sides])
    return InverseDynamics(
        values=values,
        sd=sd,
        offsets=solution[len(linear) :],
        offset_sd=spread[len(linear) :],
        undetermined=tuple(names[linear[row]] for row in lost),
        residual=np.sqrt((left**2).mean(0)),
        effort=np.sqrt((effort**2).mean(0)),
        joints=problem.mechanism.joints,
        delay=float(delays[best]),
    )


def effort_left(problem: Problem, found: InverseDynamics) -> tuple[Array, Array]:
    """Efforts of other recordings, filtered: what is left of them after the prediction in closed form, and all of them; root mean squares `[J]`."""
    motions = [_motion(log, max(_MOST // len(problem.logs), 200)) for log in problem.logs]
    side = np.concatenate([_effort(log, motion, found.delay) for log, motion in zip(problem.logs, motions, strict=True)])
    left = side - _columns(problem, found.values, [], motions)[0] - found.offsets
    return np.sqrt((left**2).mean(0)), np.sqrt((side**2).mean(0))


@dataclass(frozen=True, slots=True)
class _Motion:
    """Filtered samples of one log: their times `[N]`, and `[N, J]` each."""

    time: Array
    position: Array
    velocity: Array
    acceleration: Array
    filter: Any
    rows: Array
    even: Array


def _motion(log: Log, most: int) -> _Motion:
    even = np.arange(log.time[0], log.time[-1], log.period)
    rate = 1 / log.period
    low = butter(4, np.clip(_CUTOFF[0] * rate, *_CUTOFF[1:]), fs=rate, output="sos")
    smooth = sosfiltfilt(low, np.stack([np.interp(even, log.time, column) for column in log.position.T], axis=1), axis=0)
    velocity = np.gradient(smooth, log.period, axis=0)
    acceleration = np.gradient(velocity, log.period, axis=0)
    edge = int(0.5 * rate)
    rows = np.arange(edge, len(even) - edge)
    moves = (np.abs(velocity) > _SLOW * np.abs(velocity).max(axis=0)).all(axis=1)
    rows = rows[moves[rows]] if moves[rows].sum() > 100 else rows
    rows = rows[:: max(len(rows) // most, 1)]
    return _Motion(even[rows], smooth[rows], velocity[rows], acceleration[rows], low, rows, even)


def _effort(log: Log, motion: _Motion, delay: float) -> Array:
    """What moved the robot at the samples, filtered as the positions were, `[N, J]`."""
    if log.mode == "effort":
        edges = np.concatenate([motion.even - log.period / 2, motion.even[-1:] + log.period / 2])
        whole = Commands(log.command_time, log.command).averaged(edges[None], delay, 0.0)[0]
    else:
        measured = log.effort if log.effort is not None else log.current
        assert measured is not None  # noqa: S101 - the problem has been checked
        whole = np.stack([np.interp(motion.even - delay, log.time, np.nan_to_num(column)) for column in measured.T], axis=1)
    return np.asarray(sosfiltfilt(motion.filter, whole, axis=0)[motion.rows])


def _columns(problem: Problem, values: Array, linear: list[int], motions: list[_Motion]) -> tuple[Array, Array]:
    """Efforts that the model needs, `[N, J]`, and their change per unit of each parameter, `[N, J, n]`."""
    mechanism = problem.mechanism
    model = mechanism.model
    steps = 1e-3 * (problem.high - problem.low)
    candidates = np.tile(values, (len(linear) + 1, 1))
    for row, index in enumerate(linear):
        candidates[row + 1, index] += steps[index] if values[index] + steps[index] <= problem.high[index] else -steps[index]
    batch = Batch(model, nsim=len(candidates), nthread=1)
    writer = RowParameters(model, batch, mechanism.table, tool=mechanism.tool)
    ids = np.arange(len(candidates))
    writer.write(
        ids, {name: candidates[:, index] for index, name in enumerate(problem.names) if name not in ("action_delay", "action_lag")}
    )
    found = np.stack([_needed(batch.get_model(row), writer.dry_friction(row), mechanism.joints, motions) for row in ids.tolist()])
    moved = np.array([candidates[row + 1, index] - values[index] for row, index in enumerate(linear)])
    columns = np.moveaxis((found[1:] - found[0]) / moved[:, None, None], 0, -1)
    return found[0], columns


def _needed(model: Any, law: Array, joints: tuple[str, ...], motions: list[_Motion]) -> Array:
    """Efforts by `mj_inverse`, friction by its law `[4, nv]` included, in units of command, `[N, J]`."""
    data = mujoco.MjData(model)
    places = [model.joint(name) for name in joints]
    q, v = ([int(getattr(place, field)[0]) for place in places] for field in ("qposadr", "dofadr"))
    gain = np.array([model.actuator_gainprm[np.flatnonzero(model.actuator_trnid[:, 0] == place.id)[0], 0] for place in places])
    model.dof_frictionloss[:] = 0  # MuJoCo would make a soft constraint of it; in motion it is a sign
    law = law[:, v]
    rows = []
    for motion in motions:
        needed = np.empty_like(motion.position)
        for row, (position, velocity, acceleration) in enumerate(zip(motion.position, motion.velocity, motion.acceleration, strict=True)):
            data.qpos[q], data.qvel[v], data.qacc[v] = position, velocity, acceleration
            mujoco.mj_inverse(model, data)
            needed[row] = data.qfrc_inverse[v]
        sign = np.tanh(motion.velocity / (0.2 * _SLOW * np.maximum(np.abs(motion.velocity).max(axis=0), 1e-9)))
        unloaded = dry_friction(law, motion.velocity, np.zeros_like(needed))
        rows.append((needed + dry_friction(law, motion.velocity, needed + unloaded * sign) * sign) / gain)
    return np.concatenate(rows)


def _with_offsets(columns: Array) -> Array:
    """With a constant for each joint, `[N, J, n + J]`."""
    count, joints, _ = columns.shape
    return np.concatenate([columns, np.broadcast_to(np.eye(joints), (count, joints, joints))], axis=2)


def _solve(design: Array, side: Array) -> tuple[Array, Array]:
    """Least squares weighted by what each joint leaves; solution `[n]` and weights `[J]`."""
    weights = 1 / np.maximum(side.std(axis=0), 1e-9)
    for _ in range(2):
        rows = (design * weights[:, None]).reshape(-1, design.shape[2])
        size = np.maximum(np.linalg.norm(rows, axis=0), 1e-12)
        solution = np.linalg.lstsq(rows / size, (side * weights).ravel(), rcond=_RANK * 1e-2)[0] / size
        weights = 1 / np.maximum((side - design @ solution).std(axis=0), 1e-9)
    return solution, weights


def _spread(design: Array, side: Array, weights: Array) -> Array:
    """Standard deviation of the solution over blocks of samples: a sandwich, which knows that neighbours are alike."""
    rows = (design * weights[:, None]).reshape(len(side), -1, design.shape[2])
    left = ((side - design @ _solve(design, side)[0]) * weights)[..., None]
    middle = sum(np.outer(part, part) for part in (block.sum(axis=(0, 1)) for block in np.array_split(rows * left, _BLOCKS)))
    size = np.maximum(np.linalg.norm(rows.reshape(-1, rows.shape[2]), axis=0), 1e-12)
    flat = rows.reshape(-1, rows.shape[2]) / size
    inverse = np.linalg.pinv(flat.T @ flat, rcond=_RANK**2)
    return np.asarray(np.sqrt(np.diag(inverse @ (middle / size[:, None] / size) @ inverse)) / size)


def _undetermined(columns: Array, weights: Array) -> list[int]:
    """Columns that the others explain, by rank-revealing QR."""
    rows = (columns * weights[:, None]).reshape(-1, columns.shape[2])
    size = np.linalg.norm(rows, axis=0)
    triangle, order = qr(rows / np.maximum(size, 1e-12), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    return sorted(
        int(order[index]) for index in range(len(order)) if index >= len(diagonal) or diagonal[index] < _RANK or size[order[index]] < 1e-9
    )
