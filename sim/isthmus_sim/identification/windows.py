"""A log cut into windows: where each begins, what was measured in it, and how much each number counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log, Quality
from isthmus_sim.identification.poses import PoseStart, moved, pose_start

__all__ = ["Windows", "cut_windows", "moving", "signal_noise", "smoothed_start"]

_AROUND = 6  # samples on each side from which a start is told, at most
_LONG = 0.06  # s: as far as these reach, but for one sample
_LONGEST = 3.0  # s: of a window that lasts until nothing touches the objects any more
_SHORTEST = 4  # samples of a window
_FLOOR = {"position": 1e-4, "velocity": 1e-3, "effort": 5e-3}  # of the standard deviation of a signal: smallest noise that is believed


@dataclass(frozen=True, slots=True)
class Windows:
    """W windows of N samples at most; the K signals of joints are stacked: positions, then velocities and efforts where they are compared.

    Of each of the O objects follow six channels, the change from its measured pose to the simulated one.

    Attributes:
        log: index of each window's log, `[W]`.
        first: index of its first sample, `[W]`.
        last: index after its last sample; later ones of its row count for nothing, `[W]`.
        begin: time of it, s, `[W]`.
        position: of its start, smoothed, `[W, J]`.
        velocity: likewise.
        moments: time of each sample since the beginning, s, `[W, N]`.
        measured: `[W, N, K]`.
        weight: 1 / noise, 0 where nothing was measured, `[W, N, K + 6 O]`.
        channels: kind and joint or object of each.
        pose: of the objects at the start, `[W, O, 7]`.
        twist: likewise, `[W, O, 6]`.
        doubt: standard deviations of changes of both, `[W, O, 12]`.
        poses: measured, `[W, N, O, 7]`.
    """

    log: Array
    first: Array
    last: Array
    begin: Array
    position: Array
    velocity: Array
    moments: Array
    measured: Array
    weight: Array
    channels: tuple[tuple[str, str], ...]
    pose: Array
    twist: Array
    doubt: Array
    poses: Array

    def __len__(self) -> int:
        return len(self.log)

    def subset(self, index: Array) -> Windows:
        """Some of them."""
        names = (
            "log",
            "first",
            "last",
            "begin",
            "position",
            "velocity",
            "moments",
            "measured",
            "weight",
            "pose",
            "twist",
            "doubt",
            "poses",
        )
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
    clear: Sequence[Array] = (),
) -> Windows:
    """Cut logs into windows that hold no gap, of equal length unless it is said where they may begin.

    None begins near a strike of an object, if it can begin a little earlier.

    Args:
        logs: recordings.
        noise: by kind of signal, `[J]`.
        length: of a window, s.
        stride: time between the beginnings, s; by default the windows follow each other.
        objects: noise of the poses by body, m and rad; a window begins where all of them were seen.
        compared: kinds of signals of joints that are compared; by default all that have a noise.
        clear: of each log, the samples at which nothing touches the objects, `[T]`: windows begin at such alone, and last until the next can begin.

    Raises:
        ValueError: no log holds a window.
    """
    period = float(np.median([log.period for log in logs]))
    count = max(round(length / period) + 1, _SHORTEST)
    step = max(round((length if stride is None else stride) / period), 1)
    shown = dict(objects or {})
    places: list[tuple[int, int, int, list[PoseStart]]] = []
    for index, log in enumerate(logs):
        for begin, end in log.pieces():
            found = _clear_begins(log, begin, end, step, shown, clear[index]) if len(clear) else []
            found = found or _begins(log, range(begin, end - count + 1), step, count, shown)
            places += [(index, *place) for place in found]
    if not places:
        raise ValueError(f"no log holds {length:g} s without a gap, which is the length of a window")
    kinds = tuple(noise) if compared is None else tuple(compared)
    log_of, firsts, lasts = (np.array([place[column] for place in places]) for column in range(3))
    starts = [smoothed_start(logs[index], first, noise) for index, first, *_ in places]
    rows = np.arange((lasts - firsts).max())
    inside = rows < (lasts - firsts)[:, None]
    rows = np.where(inside, firsts[:, None] + rows, lasts[:, None] - 1)

    def stacked(signals: Sequence[Array]) -> Array:
        return np.stack([signals[index][mine] for index, mine in zip(log_of, rows, strict=True)])

    measured = np.concatenate([np.zeros((*rows.shape, 0)), *(stacked([getattr(log, kind) for log in logs]) for kind in kinds)], axis=2)
    time = stacked([log.time for log in logs])
    deviation = np.concatenate([np.zeros(0), *(noise[kind] for kind in kinds)])
    poses = np.zeros((*rows.shape, 0, 7))
    if shown:
        poses = np.stack([stacked([log.poses[name] for log in logs]) for name in shown], axis=2)
    known = np.concatenate([np.isfinite(measured), np.repeat(np.isfinite(poses).all(axis=3), 6, axis=2)], axis=2)
    deviation = np.concatenate([deviation, *(np.repeat(of_pose, 3) for of_pose in shown.values())])
    return Windows(
        log=log_of,
        first=firsts,
        last=lasts,
        begin=np.array([logs[index].time[first] for index, first, *_ in places]),
        position=np.array([start[0] for start in starts]),
        velocity=np.array([start[1] for start in starts]),
        moments=time - time[:, :1],
        measured=np.nan_to_num(measured),
        weight=np.where(known & inside[..., None], 1 / deviation, 0.0),
        channels=(
            *((kind, joint) for kind in kinds for joint in logs[0].joints),
            *(("pose", name) for name in shown for _ in range(6)),
        ),
        pose=np.array([[start.pose for start in seen] for *_, seen in places]).reshape(len(places), len(shown), 7),
        twist=np.array([[start.twist for start in seen] for *_, seen in places]).reshape(len(places), len(shown), 6),
        doubt=np.array([[start.sd for start in seen] for *_, seen in places]).reshape(len(places), len(shown), 12),
        poses=np.where(np.isfinite(poses), poses, np.array([0.0, 0, 0, 0, 0, 0, 1])),
    )


def _begins(log: Log, rows: range, step: int, count: int, shown: Mapping[str, Array]) -> list[tuple[int, int, list[PoseStart]]]:
    """First samples of windows, those after their last ones, and the objects there.

    Each begins `step` after the one before, or where all objects moved smoothly last before that.
    """
    places: list[tuple[int, int, list[PoseStart]]] = []
    due = rows.start
    while due in rows:
        chosen = None
        for first in range(due, places[-1][0] if places else due - 1, -1):
            seen = _seen(log, first, shown)
            if seen is None:
                continue
            chosen = chosen or (first, first + count, seen)
            if all(start.smooth for start in seen):
                chosen = (first, first + count, seen)
                break
        if chosen:
            places.append(chosen)
        due = chosen[0] + step if chosen else due + step
    return places


def _clear_begins(
    log: Log, begin: int, end: int, step: int, shown: Mapping[str, Array], clear: Array
) -> list[tuple[int, int, list[PoseStart]]]:
    """The same where nothing touches the objects: what a touch does depends on tenths of a millimetre of where a simulation begins."""
    starts: dict[int, list[PoseStart]] = {}
    rows: list[int] = (np.flatnonzero(clear[begin:end]) + begin).tolist()
    for row in rows:
        seen = _seen(log, row, shown)
        if seen is not None and all(start.smooth for start in seen):
            starts[row] = seen
    places: list[tuple[int, int, list[PoseStart]]] = []
    longest = round(_LONGEST / log.period)
    first = min(starts, default=end)
    while end - first >= _SHORTEST:
        later = [row for row in starts if row >= first + step]
        last = min(min(later, default=end) + 1, first + longest, end)
        places.append((first, last, starts[first]))
        first = min((row for row in later if row >= last - 1), default=end)
    return places


def _seen(log: Log, sample: int, shown: Mapping[str, Array]) -> list[PoseStart] | None:
    """All objects at a sample; None if one was not seen."""
    found = [pose_start(log, name, sample, noise) for name, noise in shown.items()]
    seen = [start for start in found if start is not None]
    return seen if len(seen) == len(found) else None


def moving(windows: Windows, logs: Sequence[Log], objects: Mapping[str, Array]) -> Windows:
    """Those in which an object is on its way; all, if it is in none."""
    ways = [moved(log, objects) for log in logs]
    chosen = [ways[index][first:last].any() for index, first, last in zip(windows.log, windows.first, windows.last, strict=True)]
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
