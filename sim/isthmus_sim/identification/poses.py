"""Bodies whose pose was measured, such as a puck that is pushed: where a simulation begins with them, and how far it is from what was measured.

A pose is x, y, z, qx, qy, qz, qw, in m; a change of it is a translation and then a rotation vector, both along the axes of the world, m and rad.
Tracking an object says nothing between two pictures, so starts are told from few samples around them: a longer fit would smear a strike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log, signal_scatter

__all__ = [
    "SMALLEST",
    "PoseStart",
    "check_moved",
    "moved",
    "moved_pose",
    "pose_difference",
    "pose_noise",
    "pose_start",
    "quaternion_product",
    "resampled_poses",
]

SMALLEST = (2e-4, 2e-3)  # m, rad: least noise of a pose that is believed
_AROUND = 0.1  # s on each side from which a start is told
_FEWEST = 2  # samples on each side, at least
_MOVED = 5.0  # times the noise: what has moved further has moved
_SMOOTH = 4.0  # times the noise's square: what is left of a motion without a strike
_DOUBT = 2.0  # the samples that tell a start are compared too, and a parabola is no motion
_GAP = 3.0  # median periods between two poses across which nothing is interpolated


def pose_difference(simulated: Array, measured: Array) -> Array:
    """The change from measured to simulated, `[…, 7]` each → `[…, 6]`."""
    return np.concatenate([simulated[..., :3] - measured[..., :3], _turn(simulated[..., 3:], measured[..., 3:])], axis=-1)


def moved_pose(pose: Array, change: Array) -> Array:
    """Poses `[…, 7]` after changes `[…, 6]`."""
    angle = np.linalg.norm(change[..., 3:], axis=-1, keepdims=True)
    axis = change[..., 3:] / np.maximum(angle, 1e-300)
    turn = np.concatenate([axis * np.sin(angle / 2), np.cos(angle / 2)], axis=-1)
    return np.concatenate([pose[..., :3] + change[..., :3], quaternion_product(turn, pose[..., 3:])], axis=-1)


def pose_noise(logs: Sequence[Log], name: str) -> Array:
    """Standard deviation of a measured pose's noise, m and rad along each axis, `[2]`; never 0."""
    found = []
    for log in logs:
        place, turned = log.poses[name][:, :3], _turned(log.poses[name])
        found.append([max(signal_scatter(column) for column in part.T) for part in (place, turned)])
    return np.maximum(np.mean(found, axis=0), SMALLEST)


def moved(log: Log, noise: Mapping[str, Array]) -> Array:
    """Whether any body is on its way at each sample, `[T]`: elsewhere 0.1 s before or after."""
    result = np.zeros(len(log.time), dtype=bool)
    for name, (place, turn) in noise.items():
        known = np.flatnonzero(np.isfinite(log.poses[name]).all(axis=1))
        if known.size < 2:
            continue
        pose = log.poses[name][known]
        back, ahead = (known[_nearest(log.time[known], log.time + shift)] for shift in (-_AROUND, _AROUND))
        where = {row: index for index, row in enumerate(known.tolist())}
        away = pose_difference(pose[[where[row] for row in ahead.tolist()]], pose[[where[row] for row in back.tolist()]])
        result |= (np.linalg.norm(away[:, :3], axis=1) > _MOVED * place) | (np.linalg.norm(away[:, 3:], axis=1) > _MOVED * turn)
    return result


def check_moved(logs: Sequence[Log], noise: Mapping[str, Array], unknown: Mapping[str, str]) -> None:
    """Refuse recordings in which nothing happens to a body of which something is unknown.

    Args:
        logs: recordings.
        noise: of the poses by body, m and rad.
        unknown: parameter → what it is of.

    Raises:
        ValueError: the message names body and parameters.
    """
    for body in noise:
        asked = [name for name, owner in unknown.items() if owner == body]
        if asked and not any(moved(log, {body: noise[body]}).any() for log in logs):
            raise ValueError(
                f"{', '.join(asked)}: NOT IDENTIFIABLE, because {body!r} does not move in {', '.join(log.name for log in logs)}; "
                "record a motion that touches it"
            )


@dataclass(frozen=True, slots=True)
class PoseStart:
    """What the samples around a moment tell of a body.

    Attributes:
        pose: `[7]`.
        twist: m/s along the axes of the world, rad/s along those of the body, `[6]`.
        sd: standard deviations of changes of both, `[12]`.
        misfit: mean square of what is left along the worst axis, in multiples of the noise; far above 1 where the motion is not smooth.
    """

    pose: Array
    twist: Array
    sd: Array
    misfit: float

    @property
    def smooth(self) -> bool:
        """Whether no strike is near."""
        return self.misfit < _SMOOTH


def pose_start(log: Log, name: str, sample: int, noise: Array) -> PoseStart | None:
    """A body at a sample; None where too little was seen."""
    most = max(round(_AROUND / log.period), _FEWEST)
    first = max(min(sample - most, len(log.time) - 2 * most - 1), 0)  # as many at the ends, all on one side
    rows = np.arange(first, min(first + 2 * most + 1, len(log.time)))
    rows = rows[np.isfinite(log.poses[name][rows]).all(axis=1)]
    if rows.size < _FEWEST + 1:
        return None
    middle = log.poses[name][rows[np.argmin(np.abs(rows - sample))]]
    away, scale = pose_difference(log.poses[name][rows], middle), np.repeat(noise, 3)
    since = log.time[rows] - log.time[sample]
    resting = bool((np.ptp(away, axis=0) <= _MOVED * scale).all())
    order = 0 if resting else 2 if rows.size > 2 * _FEWEST else 1
    found = np.polynomial.polynomial.polyfit(since, away, order)
    left = (away - np.polynomial.polynomial.polyval(since, found).T) / scale
    misfit = float((left**2).sum(axis=0).max()) / max(rows.size - order - 1, 1)
    powers = since[:, None] ** np.arange(max(order, 1) + 1)
    spread = np.sqrt(np.diag(np.linalg.pinv(powers.T @ powers))[:2])
    known = np.where(np.isfinite(scale), scale, 1.0)  # what is not compared moves nothing
    sd = _DOUBT * np.concatenate([spread[0] * known, spread[1] * known])
    pose = moved_pose(middle, found[0])
    if resting:
        return PoseStart(pose, np.zeros(6), sd, misfit)
    return PoseStart(pose, np.concatenate([found[1, :3], _into(pose[3:], found[1, 3:])]), sd, misfit)


def resampled_poses(time: Array, stamps: Array, poses: Array) -> Array:
    """Poses `[K, 7]` at their stamps, told at other times, `[T, 7]`; NaN where none was seen shortly before and after."""
    result = np.full((len(time), 7), np.nan)
    if not len(stamps):
        return result
    longest = _GAP * (float(np.median(np.diff(stamps))) if len(stamps) > 1 else 0.0)
    above = np.clip(np.searchsorted(stamps, time), 0, len(stamps) - 1)
    below = np.clip(np.where(stamps[above] == time, above, above - 1), 0, len(stamps) - 1)
    span = stamps[above] - stamps[below]
    inside = (stamps[below] <= time) & (time <= stamps[above]) & (span <= longest)
    share = np.where(span > 0, (time - stamps[below]) / np.where(span > 0, span, 1.0), 0.0)
    way = pose_difference(poses[above], poses[below])
    result[inside] = np.where(share[:, None] > 0, moved_pose(poses[below], share[:, None] * way), poses[below])[inside]
    return result


def _nearest(stamps: Array, time: Array) -> Array:
    above = np.clip(np.searchsorted(stamps, time), 1, len(stamps) - 1)
    return np.asarray(above - (time - stamps[above - 1] < stamps[above] - time))


def _turned(pose: Array) -> Array:
    """Rotation since the first of poses `[T, 7]`, added up from one to the next, rad, `[n, 3]`; without those that were not seen."""
    known = pose[np.isfinite(pose).all(axis=1), 3:]
    return np.concatenate([np.zeros((1, 3)), np.cumsum(_turn(known[1:], known[:-1]), axis=0)])


def _turn(to: Array, start: Array) -> Array:
    """Rotation vectors from quaternions to others, `[…, 3]`; their lengths do not matter."""
    found = quaternion_product(to, start * np.array([-1.0, -1.0, -1.0, 1.0]))
    found = found * np.where(found[..., 3:] < 0, -1.0, 1.0)
    size = np.linalg.norm(found[..., :3], axis=-1, keepdims=True)
    return np.asarray(found[..., :3] * np.where(size > 1e-12, 2 * np.arctan2(size, found[..., 3:]) / np.maximum(size, 1e-300), 2.0))


def _into(rotation: Array, vector: Array) -> Array:
    """A vector of the world along the axes of a body, `[3]`."""
    back = rotation * np.array([-1.0, -1.0, -1.0, 1.0])
    return quaternion_product(quaternion_product(back, np.append(vector, 0.0)), rotation)[:3]


def quaternion_product(one: Array, other: Array) -> Array:
    """Hamilton product of quaternions qx, qy, qz, qw."""
    left, right = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    (a, b, c, w), (d, e, f, v) = left, right
    return np.stack(
        [w * d + v * a + b * f - c * e, w * e + v * b + c * d - a * f, w * f + v * c + a * e - b * d, w * v - a * d - b * e - c * f], -1
    )
