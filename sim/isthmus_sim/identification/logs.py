"""A recording of a robot: what was measured and what was commanded, and how good the recording is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.records import Array

__all__ = ["MODES", "Log", "Quality", "check_log", "check_samples", "quality", "signal_scatter"]

MODES = ("position", "velocity", "effort")
FEWEST, FEWEST_POSES = 100, 20  # samples of a log; of one that shows an object
_GAP = 3.0  # median periods that are a gap
_SATURATED = 0.1  # share of the samples of a measured signal that lie at its largest value
_SMOOTH = {5: 1.394, 7: 1.225, 11: 1.123}  # a cubic through so many points leaves 1 / 1.394 … of white noise


@dataclass(frozen=True, slots=True)
class Log:
    """One recording: T samples of J joints; NaN where a signal was not recorded.

    Attributes:
        name: of the file.
        time: of the samples, s, increasing, `[T]`.
        joints: names.
        position: rad or m, `[T, J]`.
        velocity: rad/s or m/s, `[T, J]`, or None.
        effort: N·m or N as measured, `[T, J]`, or None.
        current: A as measured, `[T, J]`, or None.
        mode: what was commanded: "position", "velocity" or "effort"; "" if the log holds no command.
        command_time: of the commands, each in force until the next, s, `[K]`.
        command: `[K, J]`.
        poses: measured poses x, y, z, qx, qy, qz, qw of bodies, `[T, 7]` by name; rows may be NaN.
        digest: SHA-256 of the file.
        remarks: what was mended while it was read.
    """

    name: str
    time: Array
    joints: tuple[str, ...]
    position: Array
    velocity: Array | None = None
    effort: Array | None = None
    current: Array | None = None
    mode: str = ""
    command_time: Array = field(default_factory=lambda: np.zeros(0))
    command: Array = field(default_factory=lambda: np.zeros((0, 0)))
    poses: Mapping[str, Array] = field(default_factory=dict)
    digest: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def period(self) -> float:
        """Median time between samples, s."""
        return float(np.median(np.diff(self.time)))

    def pieces(self) -> list[tuple[int, int]]:
        """First and last sample + 1 of each part without a gap."""
        ends = np.flatnonzero(np.diff(self.time) > _GAP * self.period) + 1
        return list(zip([0, *ends.tolist()], [*ends.tolist(), len(self.time)], strict=True))

    def part(self, begin: float, end: float) -> Log:
        """The samples of `begin <= time < end`, with all commands."""
        inside = (self.time >= begin) & (self.time < end)

        def cut(values: Array | None) -> Array | None:
            return None if values is None else values[inside]

        position = self.position[inside]
        poses = {name: values[inside] for name, values in self.poses.items()}
        return Log(
            self.name, self.time[inside], self.joints, position, cut(self.velocity), cut(self.effort), cut(self.current),
            self.mode, self.command_time, self.command, poses, self.digest, self.remarks,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a recording is.

    Attributes:
        samples: number.
        duration: s.
        period: median time between samples, s.
        jitter: standard deviation of that time, s.
        gaps: times longer than three periods.
        noise: standard deviation of the noise, by signal and joint, in the signal's unit; at least what quantisation makes.
        quantum: smallest step, likewise; 0 where there is none to be seen.
    """

    samples: int
    duration: float
    period: float
    jitter: float
    gaps: int
    noise: Mapping[str, Mapping[str, float]]
    quantum: Mapping[str, Mapping[str, float]]

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in ("samples", "duration", "period", "jitter", "gaps", "noise", "quantum")}


def quality(log: Log) -> Quality:
    """Measure a recording."""
    steps = np.diff(log.time)
    signals = {"position": log.position, "velocity": log.velocity, "effort": log.effort, "current": log.current}
    noise: dict[str, dict[str, float]] = {}
    quantum: dict[str, dict[str, float]] = {}
    for name, values in signals.items():
        if values is not None:
            step = [_quantum(column) for column in values.T]
            left = [signal_scatter(column) for column in values.T]
            quantum[name] = dict(zip(log.joints, step, strict=True))
            noise[name] = {joint: max(one, two / np.sqrt(12)) for joint, one, two in zip(log.joints, left, step, strict=True)}
    duration = float(log.time[-1] - log.time[0])
    regular = steps[steps <= _GAP * log.period]
    return Quality(len(log.time), duration, log.period, float(regular.std()), int((steps > _GAP * log.period).sum()), noise, quantum)


def check_samples(log: Log) -> None:
    """Refuse a recording that is too short for anything.

    Raises:
        ValueError: it has too few samples.
    """
    fewest = FEWEST_POSES if log.poses else FEWEST
    if len(log.time) < fewest:
        raise ValueError(f"{log.name} has {len(log.time)} samples; at least {fewest} are needed")


def check_log(log: Log, used: Sequence[str] = ("velocity", "effort", "current")) -> list[str]:
    """Refuse what cannot be fitted; what is only remarkable is returned in sentences.

    Args:
        log: recording.
        used: signals that are fitted beside positions.

    Raises:
        ValueError: too few samples, a wrong unit of time, signals that are constant or saturated, or columns that are swapped.
    """
    check_samples(log)
    if not 1e-5 <= log.period <= 0.2:
        raise ValueError(
            f"{log.name}: samples are {log.period:g} s apart, where 0.00001 … 0.2 s are expected; is the unit of time another one?"
        )
    still = [joint for joint, column in zip(log.joints, log.position.T, strict=True) if np.ptp(column) == 0]
    if len(still) == len(log.joints):
        raise ValueError(f"{log.name}: the position of every joint is constant, so nothing can be learnt from it")
    for name in used:
        values = getattr(log, name)
        for joint, column in zip(log.joints, () if values is None else values.T, strict=False):
            known = column[np.isfinite(column)]
            if known.size and np.ptp(known) > 0 and _share_at_limit(known) > _SATURATED:
                share = 100 * _share_at_limit(known)
                raise ValueError(
                    f"{log.name}: {name} of {joint} is saturated: {share:.0f} % of its samples lie at ±{np.abs(known).max():g}"
                )
    if log.velocity is not None:
        _check_velocity(log)
    elif log.mode == "position":
        _check_order(
            log, np.stack([np.interp(log.time, log.command_time, column) for column in log.command.T], axis=1), "the commanded position"
        )
    return [f"{log.name}: {joint} does not move" for joint in still]


def _check_velocity(log: Log) -> None:
    """Compare measured velocities with the differences of positions."""
    assert log.velocity is not None  # noqa: S101 - the caller looked
    steps = np.diff(log.time)[:, None]
    integral = np.concatenate(
        [np.zeros((1, len(log.joints))), np.cumsum(np.nan_to_num((log.velocity[1:] + log.velocity[:-1]) / 2) * steps, axis=0)]
    )
    _check_order(log, integral, "the integral of the velocity")
    for index, joint in enumerate(log.joints):
        way, ours = np.ptp(log.position[:, index]), log.position[:, index] - log.position[:, index].mean()
        theirs = integral[:, index] - integral[:, index].mean()
        if not np.isfinite(log.velocity[:, index]).all() or way < 50 * _quantum(log.position[:, index]) or not theirs.any():
            continue
        slope = float(ours @ theirs / (theirs @ theirs))
        if abs(_correlation(ours, theirs)) > 0.95 and not 0.5 < slope < 2:
            raise ValueError(
                f"{log.name}: the position of {joint} moves {slope:.3g} times as far as its velocity says; a unit or a sign of one of them is wrong"
            )


def _check_order(log: Log, other: Array, what: str) -> None:
    """Refuse signals of which two joints fit each other's better than their own."""
    table = np.array([[abs(_correlation(mine, theirs)) for theirs in other.T] for mine in log.position.T])
    for one in range(len(log.joints)):
        for two in range(one + 1, len(log.joints)):
            crossed, straight = min(table[one, two], table[two, one]), max(table[one, one], table[two, two])
            if crossed > 0.9 and straight < 0.6:
                raise ValueError(
                    f"{log.name}: columns of {log.joints[one]} and {log.joints[two]} are swapped: the position of each follows {what} of the other"
                )


def _correlation(one: Array, other: Array) -> float:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3 or not np.ptp(one[known]) or not np.ptp(other[known]):
        return 0.0
    return float(np.corrcoef(one[known], other[known])[0, 1])


def _share_at_limit(values: Array) -> float:
    return float(np.mean(np.abs(values) >= np.abs(values).max() * (1 - 1e-9)))


def signal_scatter(column: Array) -> float:
    """Standard deviation of what a local cubic does not follow, of the length that follows best; robust against what none can follow."""
    from scipy.signal import savgol_filter

    known = column[np.isfinite(column)]
    if known.size < 2 * max(_SMOOTH):
        return 0.0
    return min(1.4826 * factor * float(np.median(np.abs(known - savgol_filter(known, size, 3)))) for size, factor in _SMOOTH.items())


def _quantum(column: Array) -> float:
    """Step of an encoder, told by few distinct values whose differences are multiples of one number."""
    known = np.unique(column[np.isfinite(column)])
    steps = np.diff(known)
    steps = steps[steps > 1e-9 * max(np.ptp(known), 1e-12)] if known.size > 1 else steps
    if not steps.size or known.size > 0.9 * column.size:
        return 0.0
    step = float(np.median(np.sort(steps)[: max(1, steps.size // 2)]))
    away = np.abs(steps / step - np.round(steps / step))
    return step if np.median(away) < 0.1 else 0.0
