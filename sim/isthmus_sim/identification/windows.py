"""A log cut into windows: where each begins, what was measured in it, and how much each number counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log, Quality
from isthmus_sim.identification.poses import moved, pose_start

__all__ = ["Windows", "cut_windows", "moving", "signal_noise", "smoothed_start"]

_AROUND = 6  # samples on each side from which a start is told, at most
_LONG = 0.06  # s: as far as these reach, but for one sample
_FLOOR = {"position": 1e-4, "velocity": 1e-3, "effort": 5e-3}  # of the standard deviation of a signal: smallest noise that is believed


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows of N samples each; the K signals of joints are stacked: positions, then velocities and efforts where they are compared.

    Of each of the O objects follow six channels, the change from its measured pose to the simulated one.

    Attributes:
        log: index of each window's log, `[W]`.
        first: index of its first sample, `[W]`.
        begin: time of it, s, `[W]`.
        position: of its start, smoothed, `[W, J]`.
        velocity: likewise.
        moments: time of each sample since the beginning, s, `[W, N]`.
        measured: `[W, N, K]`.
        weight: 1 / noise, 0 where nothing was measured, `[W, N, K + 6 O]`.
        channels: kind and joint or object of each.
        pose: of the objects at the start, `[W, O, 7]`.
        twist: likewise, see `poses.pose_start`, `[W, O, 6]`.
        poses: measured, `[W, N, O, 7]`.
    """

    log: Array
    first: Array
    begin: Array
    position: Array
    velocity: Array
    moments: Array
    measured: Array
    weight: Array
    channels: tuple[tuple[str, str], ...]
    pose: Array
    twist: Array
    poses: Array

    def __len__(self) -> int:
        return len(self.log)

    def subset(self, index: Array) -> Windows:
        """Some of them."""
        names = ("log", "first", "begin", "position", "velocity", "moments", "measured", "weight", "pose", "twist", "poses")
        return replace(self, **{name: getattr(self, name)[index] for name in names})

    def trusted(self, trust: Array | None) -> Windows:
        """With the squares of each counting by a factor, `[W]`."""
        return self if trust is None else replace(self, weight=self.weight * np.sqrt(trust)[:, None, None])


def signal_noise(logs: Sequence[Log], found: Sequence[Quality], kind: str) -> Array:
    """Standard deviation of a signal's noise per joint, over all logs, `[J]`; never 0, or a number would be believed endlessly."""
    values = [getattr(log, kind) for log in logs]
    spread = np.nanmean([np.nanstd(value, axis=0) for value in values], axis=0)
    noise = np.mean([[quality.noise[kind][joint] for joint in logs[0].joints] for quality in found], axis=0)
    least = np.maximum(_FLOOR[kind] * spread, _FLOOR[kind] * 0.1 * max(float(np.nanmax(spread)), 1e-9))
    return np.maximum(noise, least)


def cut_windows(
    logs: Sequence[Log],
    noise: Mapping[str, Array],
    length: float,
    stride: float | None = None,
    *,
    objects: Mapping[str, Array] | None = None,
    compared: Sequence[str] | None = None,
) -> Windows:
    """Cut logs into windows of equal length that hold no gap.

    Args:
        logs: recordings.
        noise: by kind of signal, `[J]`.
        length: of a window, s.
        stride: time between the beginnings, s; by default the windows follow each other.
        objects: noise of the poses by body, m and rad; a window begins where all of them were seen.
        compared: kinds of signals of joints that are compared; by default all that have a noise.

    Raises:
        ValueError: no log holds a window.
    """
    period = float(np.median([log.period for log in logs]))
    count = max(round(length / period) + 1, 4)
    step = max(round((length if stride is None else stride) / period), 1)
    shown = dict(objects or {})
    places = []
    for index, log in enumerate(logs):
        for begin, end in log.pieces():
            for first in range(begin, end - count + 1, step):
                found = [pose_start(log, name, first, of_pose) for name, of_pose in shown.items()]
                seen = [start for start in found if start is not None]
                if len(seen) == len(found):
                    places.append((index, first, seen))
    if not places:
        raise ValueError(f"no log holds {length:g} s without a gap, which is the length of a window")
    kinds = tuple(noise) if compared is None else tuple(compared)
    rows = np.arange(count)
    starts = [smoothed_start(logs[index], first, noise) for index, first, _ in places]

    def stacked(signals: Sequence[Array]) -> Array:
        return np.stack([signals[index][first + rows] for index, first, _ in places])

    measured = np.concatenate(
        [np.zeros((len(places), count, 0)), *(stacked([getattr(log, kind) for log in logs]) for kind in kinds)], axis=2
    )
    time = stacked([log.time for log in logs])
    deviation = np.concatenate([np.zeros(0), *(noise[kind] for kind in kinds)])
    poses = np.zeros((len(places), count, 0, 7))
    if shown:
        poses = np.stack([stacked([log.poses[name] for log in logs]) for name in shown], axis=2)
    known = np.concatenate([np.isfinite(measured), np.repeat(np.isfinite(poses).all(axis=3), 6, axis=2)], axis=2)
    deviation = np.concatenate([deviation, *(np.repeat(of_pose, 3) for of_pose in shown.values())])
    return Windows(
        log=np.array([index for index, _, _ in places]),
        first=np.array([first for _, first, _ in places]),
        begin=np.array([logs[index].time[first] for index, first, _ in places]),
        position=np.array([start[0] for start in starts]),
        velocity=np.array([start[1] for start in starts]),
        moments=time - time[:, :1],
        measured=np.nan_to_num(measured),
        weight=np.where(known, 1 / deviation, 0.0),
        channels=(
            *((kind, joint) for kind in kinds for joint in logs[0].joints),
            *(("pose", name) for name in shown for _ in range(6)),
        ),
        pose=np.array([[pose for pose, _ in seen] for *_, seen in places]).reshape(len(places), len(shown), 7),
        twist=np.array([[twist for _, twist in seen] for *_, seen in places]).reshape(len(places), len(shown), 6),
        poses=np.where(np.isfinite(poses), poses, np.array([0.0, 0, 0, 0, 0, 0, 1])),
    )


def moving(windows: Windows, logs: Sequence[Log], objects: Mapping[str, Array]) -> Windows:
    """Those in which an object is on its way; all, if it is in none."""
    ways = [moved(log, objects) for log in logs]
    count = windows.moments.shape[1]
    chosen = [ways[index][first : first + count].any() for index, first in zip(windows.log, windows.first, strict=True)]
    return windows.subset(np.flatnonzero(chosen)) if any(chosen) else windows


def smoothed_start(log: Log, sample: int, noise: Mapping[str, Array]) -> tuple[Array, Array]:
    """Position and velocity of all joints at a sample, from a cubic through its neighbours; measured velocities count by their noise."""
    around = min(max(round(_LONG / log.period), 1), _AROUND)
    low, high = max(sample - around, 0), min(sample + around + 1, len(log.time))
    since = (log.time[low:high] - log.time[sample]) / max(log.period, 1e-9)
    order = np.arange(min(4, high - low))
    powers = since[:, None] ** order
    slopes = order * since[:, None] ** np.maximum(order - 1, 0) / log.period
    position, velocity = np.empty(len(log.joints)), np.empty(len(log.joints))
    for joint in range(len(log.joints)):
        rows, sides = [powers / noise["position"][joint]], [log.position[low:high, joint] / noise["position"][joint]]
        if log.velocity is not None and "velocity" in noise and np.isfinite(log.velocity[low:high, joint]).all():
            rows.append(slopes / noise["velocity"][joint])
            sides.append(log.velocity[low:high, joint] / noise["velocity"][joint])
        found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(sides), rcond=None)[0]
        position[joint], velocity[joint] = found[0], found[1] / log.period
    return position, velocity
