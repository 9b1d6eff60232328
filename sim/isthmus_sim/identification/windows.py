"""A log cut into windows: where each begins, what was measured in it, and how much each number counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log, Quality

__all__ = ["Windows", "cut_windows", "signal_noise", "smoothed_start"]

_AROUND = 6  # samples on each side from which a start is told
_FLOOR = {"position": 1e-4, "velocity": 1e-3, "effort": 5e-3}  # of the standard deviation of a signal: smallest noise that is believed


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows of N samples each; the signals are stacked: positions, then velocities and efforts where they were measured.

    Attributes:
        log: index of each window's log, `[W]`.
        first: index of its first sample, `[W]`.
        begin: time of it, s, `[W]`.
        position: of its start, smoothed, `[W, J]`.
        velocity: likewise.
        moments: time of each sample since the beginning, s, `[W, N]`.
        measured: `[W, N, C]`.
        weight: 1 / noise, 0 where nothing was measured, `[W, N, C]`.
        channels: kind and joint of each of the C.
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

    def __len__(self) -> int:
        return len(self.log)

    def subset(self, index: Array) -> Windows:
        """Some of them."""
        parts = (self.log, self.first, self.begin, self.position, self.velocity, self.moments, self.measured, self.weight)
        return Windows(*(part[index] for part in parts), self.channels)


def signal_noise(logs: Sequence[Log], found: Sequence[Quality], kind: str) -> Array:
    """Standard deviation of a signal's noise per joint, over all logs, `[J]`; never 0, or a number would be believed endlessly."""
    values = [getattr(log, kind) for log in logs]
    spread = np.nanmean([np.nanstd(value, axis=0) for value in values], axis=0)
    noise = np.mean([[quality.noise[kind][joint] for joint in logs[0].joints] for quality in found], axis=0)
    least = np.maximum(_FLOOR[kind] * spread, _FLOOR[kind] * 0.1 * max(float(np.nanmax(spread)), 1e-9))
    return np.maximum(noise, least)


def cut_windows(logs: Sequence[Log], noise: Mapping[str, Array], length: float, stride: float | None = None) -> Windows:
    """Cut logs into windows of equal length that hold no gap.

    Args:
        logs: recordings.
        noise: by kind of signal, `[J]`; these signals are compared.
        length: of a window, s.
        stride: time between the beginnings, s; by default the windows follow each other.

    Raises:
        ValueError: no log holds a window.
    """
    period = float(np.median([log.period for log in logs]))
    count = max(round(length / period) + 1, 4)
    step = max(round((length if stride is None else stride) / period), 1)
    places = [
        (index, first)
        for index, log in enumerate(logs)
        for begin, end in log.pieces()
        for first in range(begin, end - count + 1, step)
    ]  # fmt: skip
    if not places:
        raise ValueError(f"no log holds {length:g} s without a gap, which is the length of a window")
    kinds = tuple(noise)
    rows = np.arange(count)
    starts = [smoothed_start(logs[index], first, noise) for index, first in places]
    measured = np.concatenate([np.stack([getattr(logs[index], kind)[first + rows] for index, first in places]) for kind in kinds], axis=2)
    weight = np.concatenate([np.broadcast_to(1 / noise[kind], (len(places), count, len(noise[kind]))) for kind in kinds], axis=2)
    known = np.isfinite(measured)
    return Windows(
        log=np.array([index for index, _ in places]),
        first=np.array([first for _, first in places]),
        begin=np.array([logs[index].time[first] for index, first in places]),
        position=np.array([start[0] for start in starts]),
        velocity=np.array([start[1] for start in starts]),
        moments=np.stack([logs[index].time[first + rows] - logs[index].time[first] for index, first in places]),
        measured=np.where(known, measured, 0.0),
        weight=np.where(known, weight, 0.0),
        channels=tuple((kind, joint) for kind in kinds for joint in logs[0].joints),
    )


def smoothed_start(log: Log, sample: int, noise: Mapping[str, Array]) -> tuple[Array, Array]:
    """Position and velocity of all joints at a sample, from a cubic through its neighbours; measured velocities count by their noise."""
    low, high = max(sample - _AROUND, 0), min(sample + _AROUND + 1, len(log.time))
    since = (log.time[low:high] - log.time[sample]) / max(log.period, 1e-9)
    powers = since[:, None] ** np.arange(4)
    slopes = np.stack([np.zeros_like(since), np.ones_like(since), 2 * since, 3 * since**2], axis=1) / log.period
    position, velocity = np.empty(len(log.joints)), np.empty(len(log.joints))
    for joint in range(len(log.joints)):
        rows, sides = [powers / noise["position"][joint]], [log.position[low:high, joint] / noise["position"][joint]]
        if log.velocity is not None and "velocity" in noise and np.isfinite(log.velocity[low:high, joint]).all():
            rows.append(slopes / noise["velocity"][joint])
            sides.append(log.velocity[low:high, joint] / noise["velocity"][joint])
        found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(sides), rcond=None)[0]
        position[joint], velocity[joint] = found[0], found[1] / log.period
    return position, velocity
