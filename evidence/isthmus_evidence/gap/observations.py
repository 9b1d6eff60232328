"""Whether a policy saw what its contract says: observations rebuilt from raw signals, compared with those that were recorded, term by term."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.recording import Trace
from isthmus.records import Array
from isthmus.replay import replay_observations
from isthmus.robot import Robot
from isthmus_evidence.gap.causes import Cause
from isthmus_evidence.gap.units import FACTORS

__all__ = ["Compared", "compare_observations", "observation_causes"]

_LEAST = 1e-4  # of a signal's size, below which a difference is rounding
_NOTABLE, _GAIN, _SHARE = 4.0, 0.8, 0.3
_LATEST = 10  # control periods that an observation may be old


@dataclass(frozen=True, slots=True)
class Compared:
    """A signal as recorded and as rebuilt, n decisions.

    Attributes:
        name: of the signal.
        elements: names of its numbers.
        recorded: `[n, history, elements]`.
        rebuilt: likewise.
        recording: of each decision, `[n]`.
        period: control period of each decision within its recording, `[n]`.
    """

    name: str
    elements: tuple[str, ...]
    recorded: Array
    rebuilt: Array
    recording: Array
    period: Array

    @property
    def equal(self) -> bool:
        """Bit for bit."""
        return bool(np.array_equal(self.recorded, self.rebuilt, equal_nan=True))

    def first_difference(self) -> tuple[int, int, str, float, float] | None:
        """Recording, control period, element, recorded and rebuilt value of the first difference; None if there is none."""
        different = (self.recorded != self.rebuilt) & ~(np.isnan(self.recorded) & np.isnan(self.rebuilt))
        if not different.any():
            return None
        row, age, element = (int(index) for index in np.argwhere(different)[0])
        values = float(self.recorded[row, age, element]), float(self.rebuilt[row, age, element])
        return int(self.recording[row]), int(self.period[row]), self.elements[element], *values


def compare_observations(traces: Sequence[Trace], robot: Robot) -> list[Compared]:
    """Rebuild the observations of recordings that begin with a reset.

    Raises:
        KeyError: a recording lacks something that the contract needs.
    """
    if not any(trace.observations for trace in traces):
        return []
    contract: Contract = traces[0].contract
    rebuilt = [replay_observations(trace, robot) for trace in traces]
    recording = np.concatenate([np.full(len(trace.decisions), number) for number, trace in enumerate(traces)])
    period = np.concatenate([trace.decisions for trace in traces])
    found = []
    for signal in contract.observation:
        if signal.source == "image" or not all(signal.name in trace.observations for trace in traces):
            continue
        said = np.concatenate([trace.observations[signal.name] for trace in traces])
        made = np.concatenate([values[signal.name] for values in rebuilt])
        flat = (len(said), signal.history, -1)
        found.append(Compared(signal.name, signal.elements, said.reshape(flat), made.reshape(flat), recording, period))
    return found


def observation_causes(compared: Sequence[Compared]) -> tuple[list[Cause], float]:
    """What was done to the signals that differ.

    Returns:
        causes, the best first, of which the first is named if it explains enough; and how much there is to be explained, in nats.
    """
    bad = [signal for signal in compared if not signal.equal and _excess(signal, signal.rebuilt).max() > _NOTABLE]
    before = {signal.name: _excess(signal, signal.rebuilt) for signal in bad}
    gap = float(sum(np.log1p(values).sum() for values in before.values()))
    if gap < _GAIN:
        return [], 0.0
    causes = []
    for cause, claim, cost, explain in _EXPLANATIONS:
        told, after = [], {}
        for signal in bad:
            # A wrong explanation of one signal does not speak against a right one of another: it is then not made.
            best = min(
                ((float(np.log1p(_excess(signal, value)).sum()), word, value) for word, value in explain(signal)),
                default=None,
                key=lambda e: e[0],
            )
            after[signal.name] = before[signal.name]
            if best is not None and best[0] < 0.7 * np.log1p(before[signal.name]).sum():
                after[signal.name] = _excess(signal, best[2])
                told.append(best[1])
        left = float(sum(np.log1p(values).sum() for values in after.values()))
        if told:
            evidence = tuple((f"observation {name}", float(values.max()), float(after[name].max())) for name, values in before.items())
            causes.append((cost, Cause(cause, claim.format("; ".join(dict.fromkeys(told))), 1 - left / gap, False, evidence=evidence)))
    ordered = [cause for _, cause in sorted(causes, key=lambda row: row[0] - row[1].explained)]
    return ordered, gap


def _excess(signal: Compared, value: Array) -> Array:
    """Mean squared error of each element, in multiples of what does not matter, over the half that nothing is fitted to, `[elements]`."""
    test = _test(signal)
    size = np.sqrt(np.nanmean(signal.rebuilt**2, axis=(0, 1))) * _LEAST + 1e-6
    errors = (signal.recorded - value).astype(np.float64)[test]
    one_alone = (np.isnan(signal.recorded) != np.isnan(value))[test]
    errors = np.where(one_alone, size / _LEAST, np.nan_to_num(errors))  # no number where there should be one is wrong by all of it
    return np.asarray(np.mean(errors**2, axis=(0, 1)) / size**2)


def _test(signal: Compared) -> Array:
    """Every second decision, `[n]`."""
    return np.arange(len(signal.recorded)) % 2 == 1


def _fitted(signal: Compared) -> tuple[Array, Array]:
    """Recorded and rebuilt values to fit to, `[m, elements]`; 0 where they are no numbers."""
    chosen = ~_test(signal) if len(signal.recorded) > 1 else np.ones(len(signal.recorded), dtype=bool)
    width = signal.recorded.shape[2]
    said, made = (np.nan_to_num(values[chosen].reshape(-1, width).astype(np.float64)) for values in (signal.recorded, signal.rebuilt))
    return said, made


Found = Iterator[tuple[str, Array]]


def _order(signal: Compared) -> Found:
    from scipy.optimize import linear_sum_assignment

    said, made = _fitted(signal)
    cost = ((said[:, :, None] - made[:, None, :]) ** 2).mean(axis=0)
    order = linear_sum_assignment(cost)[1]
    if (order != np.arange(len(order))).any():
        yield f"{signal.name} holds {', '.join(signal.elements[index] for index in order)}, in this order", signal.rebuilt[:, :, order]


def _sign(signal: Compared) -> Found:
    said, made = _fitted(signal)
    sign = np.where((said * made).sum(axis=0) < 0, -1.0, 1.0)
    if (sign < 0).any():
        names = ", ".join(name for name, value in zip(signal.elements, sign, strict=True) if value < 0)
        yield f"{names} of {signal.name} has the other sign", signal.rebuilt * sign


def _unit(signal: Compared) -> Found:
    for word, factor in FACTORS.items():
        yield f"{signal.name} is in {word}", signal.rebuilt * factor


def _scale(signal: Compared) -> Found:
    said, made = _fitted(signal)
    factor = float((said * made).sum() / max((made**2).sum(), 1e-12))
    yield f"{signal.name} is {factor:.3g} times as large", signal.rebuilt * factor


def _offset(signal: Compared) -> Found:
    said, made = _fitted(signal)
    shift = (said - made).mean(axis=0)
    size = np.abs(shift) > 0.01 * np.abs(shift).max()
    names = ", ".join(f"{name} {value:+.3g}" for name, value, large in zip(signal.elements, shift, size, strict=True) if large)
    yield f"{signal.name} is shifted: {names}", signal.rebuilt + shift


def _affine(signal: Compared) -> Found:
    said, made = _fitted(signal)
    mean, spread = made.mean(axis=0), made.std(axis=0)
    slope = ((said - said.mean(axis=0)) * (made - mean)).mean(axis=0) / np.maximum(spread**2, 1e-12)
    slope = np.where(spread > 1e-6, slope, 1.0)
    yield f"{signal.name} is scaled and shifted, element by element", (signal.rebuilt - mean) * slope + said.mean(axis=0)


def _frame(signal: Compared) -> Found:
    count = len(signal.elements)
    axes = [signal.elements.index(axis) for axis in "xyz" if axis in signal.elements]
    if len(axes) < 2 or count > 7:
        return
    said, made = (values[:, axes] for values in _fitted(signal))
    left, _, right = np.linalg.svd(made.T @ said)
    turned = signal.rebuilt.astype(np.float64).copy()
    turned[:, :, axes] = turned[:, :, axes] @ (left @ right)  # Kabsch 1976, mirrors allowed
    yield f"{signal.name} is in a frame that is turned or mirrored", turned


def _stale(signal: Compared) -> Found:
    for age in range(1, _LATEST + 1):
        index = np.arange(len(signal.rebuilt)) - age
        begin = np.maximum.accumulate(np.where(np.diff(signal.recording, prepend=-1) != 0, np.arange(len(index)), 0))
        yield f"{signal.name} is {age} decisions old", signal.rebuilt[np.maximum(index, begin)]
    if signal.rebuilt.shape[1] > 1:
        yield f"the history of {signal.name} runs backwards", signal.rebuilt[:, ::-1]
        yield (
            f"the history of {signal.name} holds the newest value alone",
            np.repeat(signal.rebuilt[:, -1:], signal.rebuilt.shape[1], axis=1),
        )
        yield (
            f"the history of {signal.name} holds the oldest value alone",
            np.repeat(signal.rebuilt[:, :1], signal.rebuilt.shape[1], axis=1),
        )


def _dropped(signal: Compared) -> Found:
    value = signal.rebuilt.copy()
    for row in range(1, len(value)):
        if signal.recording[row] == signal.recording[row - 1] and np.array_equal(signal.recorded[row], signal.recorded[row - 1]):
            value[row] = value[row - 1]
    yield f"{signal.name} was not renewed now and then", value


def _frozen(signal: Compared) -> Found:
    begin = np.maximum.accumulate(np.where(np.diff(signal.recording, prepend=-1) != 0, np.arange(len(signal.rebuilt)), 0))
    stuck = (signal.recorded == signal.recorded[begin]).all(axis=(0, 1)) & (signal.rebuilt != signal.rebuilt[begin]).any(axis=(0, 1))
    if stuck.any():
        names = ", ".join(name for name, still in zip(signal.elements, stuck, strict=True) if still)
        yield f"{names} of {signal.name} never changes", np.where(stuck, signal.recorded[begin], signal.rebuilt)


_EXPLANATIONS: tuple[tuple[str, str, float, Callable[[Compared], Found]], ...] = (
    ("joint order", "the observation is in another order: {}", 0.0, _order),
    ("sign", "the observation has other signs: {}", 0.0, _sign),
    ("unit", "the observation is in another unit: {}", 0.0, _unit),
    ("stale history", "the observation is old: {}", 0.0, _stale),
    ("dropped messages", "the observation was kept: {}", 0.01, _dropped),
    ("frozen joint", "the observation stands still: {}", 0.01, _frozen),
    ("frame", "the observation is in another frame: {}", 0.02, _frame),
    ("scale", "the observation is scaled: {}", 0.01, _scale),
    ("offset", "the observation is shifted: {}", 0.02, _offset),
    ("normalisation", "the observation is normalised otherwise: {}", 0.05, _affine),
)
