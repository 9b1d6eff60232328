"""The gate: open-loop prediction on data that the fit has not seen, with the nominal and with the fitted model.

From many moments of the held-out recording on, the model is told what the robot was commanded, and nothing else. A calibration is worth something if
its predictions are nearer to what was measured: after 0.1, 0.5 and 2 s, for each joint, and at the tool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import Mechanism
from isthmus_sim.identification.poses import moved, pose_difference, pose_noise
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.windows import Windows, cut_windows, moving

__all__ = ["HORIZONS", "HeldOut", "complaints", "held_out", "split"]

HORIZONS = (0.1, 0.5, 2.0)  # s
_LAST = 0.2  # share of each log that is held out
_AT_REST, _REST = 0.02, 0.5  # of the largest speed; s of rest that are kept
_MOST = 40  # predictions
_WORSE = 1.1  # times the nominal error that a joint's may have become
_FLOOR = 3.0  # times the noise below which an error is not told from it
_BETTER = 0.95  # of the nominal error at the horizon that improves most


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Root mean square errors of prediction; H horizons, J joints, and for each object its place (m) and its rotation (rad).

    Where all that is unknown is of objects, there are no joints.

    Attributes:
        horizons: s, `[H]`.
        joints: names; "puck" and "puck, rotation" for an object.
        nominal: rad or m, from the start to each horizon, `[H, J]`.
        fitted: likewise.
        tool_nominal: at the tool, mm, `[H]`.
        tool_fitted: likewise.
        noise: of these signals, `[J]`.
        time: of the curves, s, `[N]`.
        nominal_curve: error over time, root mean square over joints in multiples of the noise, `[N]`.
        fitted_curve: likewise.
        example: time, measured, nominal and fitted positions of the first prediction, `[N]` and `[N, J]` each; of an object its way and its rotation
            from where it was at first.
    """

    horizons: Array
    joints: tuple[str, ...]
    nominal: Array
    fitted: Array
    tool_nominal: Array
    tool_fitted: Array
    noise: Array
    time: Array
    nominal_curve: Array
    fitted_curve: Array
    example: tuple[Array, Array, Array, Array]

    def plain(self) -> dict[str, Any]:
        """As plain data, by horizon."""
        return {
            f"{horizon:g} s": {
                "nominal": dict(zip(self.joints, self.nominal[row].tolist(), strict=True)),
                "fitted": dict(zip(self.joints, self.fitted[row].tolist(), strict=True)),
                "tool_mm": {"nominal": float(self.tool_nominal[row]), "fitted": float(self.tool_fitted[row])},
            }
            for row, horizon in enumerate(self.horizons)
        }


def split(logs: Sequence[Log]) -> tuple[list[Log], list[Log]]:
    """The first four fifths of each log, and the last fifth; of a robot that rests in the end little more than its motion counts.

    Where objects were seen, it is the motion of these that counts.
    """
    fitted, tested = [], []
    for log in logs:
        begin, end = _moving(log)
        cut = begin + (1 - _LAST) * (end - begin)
        fitted.append(log.part(-np.inf, cut))
        tested.append(log.part(cut, np.inf if end == log.time[-1] else end))
    return fitted, tested


def _moving(log: Log) -> tuple[float, float]:
    """Where what counts begins and ends, s."""
    moves = np.zeros(0, dtype=np.int64)
    if log.poses:
        moves = np.flatnonzero(moved(log, {name: pose_noise([log], name) for name in log.poses}))
    if moves.size:
        return float(log.time[moves[0]]), float(log.time[moves[-1]])
    speed = np.abs(np.gradient(log.position, log.time, axis=0))
    moves = np.flatnonzero((speed > _AT_REST * speed.max()).any(axis=1))
    return float(log.time[0]), float(min(log.time[moves[-1]] + _REST, log.time[-1]) if moves.size else log.time[-1])


def held_out(rollouts: Rollouts, values: Array, noise: Array, objects: Mapping[str, Array] | None = None) -> HeldOut:
    """Predict with both models.

    Args:
        rollouts: of a problem whose logs are the held-out ones.
        values: fitted parameters, `[p]`.
        noise: of the position signals, `[J]`.
        objects: noise of the poses by body, m and rad.

    Raises:
        ValueError: no log is as long as the shortest horizon.
    """
    problem, seen = rollouts.problem, dict(objects or {})
    lengths = [log.time[end - 1] - log.time[begin] for log in problem.logs for begin, end in log.pieces()]
    longest = min(HORIZONS[-1], max(lengths))
    horizons = np.array([horizon for horizon in HORIZONS if horizon <= longest + 1e-9])
    if not horizons.size:
        raise ValueError(f"{longest:.3g} s are held out; at least {HORIZONS[0]} s are needed to predict anything")
    longest = float(horizons[-1])
    windows = cut_windows(problem.logs, {"position": noise}, longest, stride=longest / 4, objects=seen)
    if seen:
        windows = moving(windows, problem.logs, seen)
    windows = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(_MOST, len(windows))).astype(int)))
    both = np.stack([problem.nominal, values])
    joints = len(noise)
    scale = np.concatenate([noise, *(np.repeat(np.where(np.isfinite(of_pose), of_pose, 0.0), 3) for of_pose in seen.values())])
    errors = rollouts.residual(windows, both, rollouts.starts(windows)) * scale
    tool = _tool_errors(problem.mechanism, windows, errors[..., :joints], horizons)
    names = [*problem.mechanism.joints, *(label for name in seen for label in (name, f"{name}, rotation"))]
    noise = np.concatenate([noise, *seen.values()])
    sizes = np.concatenate([np.abs(errors[..., :joints]), _lengths(errors[..., joints:])], axis=3)
    measured = np.concatenate([windows.measured[0], _lengths(_way(windows.poses[0]))], axis=1)
    shown = [
        np.concatenate([windows.measured[0] + error[..., :joints], _lengths(_way(windows.poses[0]) + error[..., joints:])], axis=1)
        for error in errors[:, 0]
    ]
    told = np.flatnonzero(np.isfinite(noise) & ~(problem.objects_alone & (np.arange(len(noise)) < joints)))
    names, noise, sizes = [names[column] for column in told], noise[told], sizes[..., told]
    table = np.array([[np.sqrt((size[windows.moments <= horizon + 1e-6] ** 2).mean(0)) for size in sizes] for horizon in horizons])
    curves = np.sqrt(((sizes / noise) ** 2).mean(axis=(1, 3)))
    example = (windows.moments[0], measured[:, told], shown[0][:, told], shown[1][:, told])
    return HeldOut(
        horizons,
        tuple(names),
        table[:, 0],
        table[:, 1],
        tool[:, 0],
        tool[:, 1],
        noise,
        windows.moments[0],
        curves[0],
        curves[1],
        example,
    )


def _way(poses: Array) -> Array:
    """Changes since the first of poses, `[N, O, 7]` → `[N, 6 O]`."""
    return pose_difference(poses, poses[:1]).reshape(len(poses), -1)


def _lengths(changes: Array) -> Array:
    """Lengths of translations and rotations, `[…, 6 O]` → `[…, 2 O]`."""
    return np.linalg.norm(changes.reshape(*changes.shape[:-1], -1, 3), axis=-1)


def complaints(found: HeldOut) -> list[str]:
    """Why the prediction is not better, in sentences; empty if it is."""
    told = []
    weights = 1 / np.maximum(found.noise, 1e-12)
    before, after = (np.sqrt(((table * weights) ** 2).mean(1)) for table in (found.nominal, found.fitted))
    for row, horizon in enumerate(found.horizons):
        if not after[row] < before[row] and after[row] > 1.0:
            told.append(f"at {horizon:g} s the held-out error is {after[row] / before[row]:.3g} times that of the nominal model")
        for joint, old, new, noise in zip(found.joints, found.nominal[row], found.fitted[row], found.noise, strict=True):
            if new > _WORSE * old and new > _FLOOR * noise:
                told.append(f"at {horizon:g} s the held-out error of {joint} has grown from {old:.3g} to {new:.3g}")
    if not told and (after / before).min() > _BETTER:
        share = 100 * (1 - (after / before).min())
        told.append(f"the held-out error shrinks by {share:.1f} % only: the nominal model predicts as well")
    if not told and not (found.tool_fitted <= found.tool_nominal * _WORSE).all():
        told.append("the held-out error at the tool has grown")
    return told


def _tool_errors(mechanism: Mechanism, windows: Windows, errors: Array, horizons: Array) -> Array:
    """Root mean square distance of the tool at each horizon, mm, `[H, 2]`."""
    model = mechanism.model
    data = mujoco.MjData(model)
    body = model.body(mechanism.tool).id
    addresses = [model.joint(name).qposadr[0] for name in mechanism.joints]

    def place(position: Array) -> Array:
        data.qpos[addresses] = position
        mujoco.mj_kinematics(model, data)
        return data.xpos[body].copy()

    result = np.empty((len(horizons), 2))
    for row, horizon in enumerate(horizons):
        at = np.argmin(np.abs(windows.moments[0] - horizon))
        for column in range(2):
            away = [place(true + error) - place(true) for true, error in zip(windows.measured[:, at], errors[column, :, at], strict=True)]
            result[row, column] = 1e3 * np.sqrt((np.array(away) ** 2).sum(1).mean())
    return result
