"""Differences of two sets of recordings in numbers: signals, tracking, cadence, outcome, and ranks of policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.recordings import Recording
from isthmus_evidence.statistics import mean_interval, success_interval

__all__ = [
    "SignalGap",
    "cadence_gap",
    "mean_maximum_rank_violation",
    "mean_return",
    "outcome_gap",
    "rank_agreement",
    "signal_gaps",
    "spectra",
    "tracking_delay",
]

_POINTS = 64  # of a spectrum


@dataclass(frozen=True, slots=True)
class SignalGap:
    """One signal of one joint in both sets.

    Attributes:
        signal: "position", "velocity", "effort" or "tracking", the command less what was measured.
        joint: name.
        first: root mean square in the first set, in SI units.
        second: likewise.
        bias: mean of the second less that of the first.
        error: root mean square difference of recordings with equal seeds; None where there are none.
        coherence: share of the power that both spectra have in common, 0 … 1.
    """

    signal: str
    joint: str
    first: float
    second: float
    bias: float
    error: float | None
    coherence: float


def signal_gaps(first: Sequence[Recording], second: Sequence[Recording]) -> list[SignalGap]:
    """Every measured signal of every joint, and how commands were tracked."""
    found = []
    pairs = _pairs(first, second)
    for name in ("position", "velocity", "effort", "tracking"):
        for joint in first[0].log.joints:
            mine, theirs = ([_signal(recording, name, joint) for recording in recordings] for recordings in (first, second))
            if any(values is None for values in (*mine, *theirs)):
                continue
            one, two = (np.concatenate([values for values in both if values is not None]) for both in (mine, theirs))
            together = [_difference(first[a], second[b], mine[a], theirs[b]) for a, b in pairs]
            error = float(np.sqrt(np.mean(np.concatenate(together) ** 2))) if together else None
            shortest = min(len(values) for values in (*mine, *theirs) if values is not None)
            shapes = [
                spectra([values for values in both if values is not None], recordings[0].period, shortest)[1]
                for both, recordings in ((mine, first), (theirs, second))
            ]
            common = (
                float(np.minimum(*shapes).sum() / max(float(np.maximum(*shapes).sum()), 1e-30))
                if shapes[0].size and shapes[1].size
                else 0.0
            )
            found.append(SignalGap(name, joint, _size(one), _size(two), float(two.mean() - one.mean()), error, common))
    return found


def spectra(values: Sequence[Array], period: float, longest: int | None = None) -> tuple[Array, Array]:
    """Mean power spectral density (Welch) of recordings of one signal: frequencies in Hz and power, `[n]` each; empty if they are too short."""
    from scipy.signal import welch

    size = min(2 * _POINTS, *(len(one) for one in values), *([longest] if longest else []))
    if size < 8:
        return np.zeros(0), np.zeros(0)
    found = [welch(one - one.mean(), 1 / period, nperseg=size) for one in values]
    return found[0][0], np.mean([power for _, power in found], axis=0)


def tracking_delay(recording: Recording) -> float:
    """Time by which the motion follows the commands, s: the shift of the best correlation, over all joints; NaN without commands or motion."""
    log = recording.log
    if not log.command.size or len(log.time) < 8:
        return float("nan")
    done = log.velocity if log.mode == "velocity" and log.velocity is not None else log.position
    shifts = np.arange(0.0, 0.5 * (log.time[-1] - log.time[0]), max(recording.period / 10, 1e-3))[:200]
    best = np.zeros(len(shifts))
    for joint in range(len(log.joints)):
        measured = done[:, joint] - done[:, joint].mean()
        if not measured.any():
            continue
        for number, shift in enumerate(shifts):
            told = np.interp(log.time - shift, log.command_time, log.command[:, joint])
            told = told - told.mean()
            norm = np.sqrt((told @ told) * (measured @ measured))
            best[number] += (measured @ told) / norm if norm > 0 else 0.0
    return float(shifts[int(np.argmax(best))]) if best.any() else float("nan")


def cadence_gap(first: Sequence[Recording], second: Sequence[Recording]) -> dict[str, dict[str, float]]:
    """Times of both sets, by "first" and "second".

    Returns:
        `period`, `jitter` (standard deviation), `longest` and `delay` (of tracking) in ms, `repeated` messages as a share.
    """
    return {name: _cadence(recordings) for name, recordings in (("first", first), ("second", second))}


def _cadence(recordings: Sequence[Recording]) -> dict[str, float]:
    steps = np.concatenate([np.diff(recording.log.time) for recording in recordings])
    if not steps.size:
        return {}
    same = np.concatenate([(np.diff(recording.log.position, axis=0) == 0).all(axis=1) for recording in recordings])
    delays = [delay for recording in recordings[:5] if np.isfinite(delay := tracking_delay(recording))]
    return {
        "period": 1e3 * float(np.median(steps)),
        "jitter": 1e3 * float(steps.std()),
        "longest": 1e3 * float(steps.max()),
        "repeated": float(same.mean()),
        **({"delay": 1e3 * float(np.median(delays))} if delays else {}),
    }


def outcome_gap(first: Sequence[Recording], second: Sequence[Recording]) -> dict[str, Any]:
    """Returns and successes of both sets with 95 % intervals, and the difference over equal seeds; what is not known is left out."""
    found: dict[str, Any] = {}
    for name, recordings in (("first", first), ("second", second)):
        returns = np.array([float(told) for recording in recordings if (told := recording.outcome("return"))])
        ends = [told == "true" for recording in recordings if (told := recording.outcome("success")) in ("true", "false")]
        found[name] = {"recordings": len(recordings)}
        if returns.size:
            low, high = mean_interval(returns)
            found[name]["return"] = {"mean": float(returns.mean()), "low": low, "high": high, "n": len(returns)}
        if ends:
            low, high = success_interval(sum(ends), len(ends))
            found[name]["success"] = {"rate": sum(ends) / len(ends), "low": low, "high": high, "n": len(ends)}
    pairs = [(first[a].outcome("return"), second[b].outcome("return")) for a, b in _pairs(first, second)]
    differences = np.array([float(two) - float(one) for one, two in pairs if one and two])
    if differences.size > 1:
        low, high = mean_interval(differences)
        found["difference"] = {"mean": float(differences.mean()), "low": low, "high": high, "n": len(differences)}
    return found


def mean_return(recordings: Sequence[Recording]) -> float | None:
    """Of the recordings that say it; None if none does."""
    told = [float(value) for recording in recordings if (value := recording.outcome("return"))]
    return float(np.mean(told)) if told else None


def mean_maximum_rank_violation(first: Sequence[float], second: Sequence[float]) -> float:
    """How wrongly one set of scores ranks policies, in units of the other's: 0 if both rank alike.

    Li et al., "Evaluating Real-World Robot Manipulation Policies in Simulation" (SIMPLER, arXiv 2405.05941), equation 3.

    Args:
        first: score of each policy where it is cheap to run.
        second: of the same policies on the robot.
    """
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    wrong = (one[:, None] < one[None, :]) != (two[:, None] < two[None, :])
    return float((np.abs(two[:, None] - two[None, :]) * wrong).max(axis=1).mean())


def rank_agreement(scores: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """Whether both sets rank policies alike.

    Args:
        scores: of each policy in the first and the second set.

    Returns:
        `policies`, `pearson` with its 95 % interval (Fisher), None below four policies, and `mean_maximum_rank_violation`.

    Raises:
        ValueError: fewer than two policies.
    """
    if len(scores) < 2:
        raise ValueError(f"ranks need at least two policies, got {len(scores)}")
    one, two = (np.array([pair[side] for pair in scores.values()]) for side in (0, 1))
    found: dict[str, Any] = {
        "policies": len(scores),
        "pearson": None,
        "mean_maximum_rank_violation": mean_maximum_rank_violation(one.tolist(), two.tolist()),
    }
    if len(scores) >= 4 and np.ptp(one) > 0 and np.ptp(two) > 0:
        from scipy.stats import pearsonr

        result = pearsonr(one, two)
        interval = result.confidence_interval()
        found["pearson"] = {"value": float(result.statistic), "low": float(interval.low), "high": float(interval.high)}
    return found


def _pairs(first: Sequence[Recording], second: Sequence[Recording]) -> list[tuple[int, int]]:
    """Indices of recordings with equal seeds of one policy; of several with the same seed, in their order."""
    several = any(len({recording.group for recording in recordings}) > 1 for recordings in (first, second))
    known: dict[tuple[str, int], list[int]] = {}
    for index, recording in enumerate(first):
        if recording.seed is not None:
            known.setdefault((recording.group * several, recording.seed), []).append(index)
    pairs = []
    for index, recording in enumerate(second):
        if recording.seed is not None and (left := known.get((recording.group * several, recording.seed))):
            pairs.append((left.pop(0), index))
    return pairs


def _signal(recording: Recording, name: str, joint: str) -> Array | None:
    log = recording.log
    column = log.joints.index(joint)
    if name != "tracking":
        values = getattr(log, name)
        return None if values is None else np.asarray(values[:, column])
    measured = log.velocity if log.mode == "velocity" else log.position if log.mode == "position" else None
    if measured is None or not log.command.size:
        return None
    index = np.clip(np.searchsorted(log.command_time, log.time - 1e-9, side="right") - 1, 0, len(log.command) - 1)
    return np.asarray(log.command[index, column] - measured[:, column])[1:]


def _difference(one: Recording, two: Recording, mine: Array | None, theirs: Array | None) -> Array:
    """The second less the first at the times of the first, as far as both go."""
    assert mine is not None and theirs is not None  # noqa: S101, PT018 - the caller looked
    times = [recording.log.time[-len(values) :] for recording, values in ((one, mine), (two, theirs))]
    shared = times[0] <= times[1][-1]
    return np.asarray(np.interp(times[0][shared], times[1], theirs) - mine[shared])


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
