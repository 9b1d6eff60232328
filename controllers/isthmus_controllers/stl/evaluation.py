"""Robustness of formulas on traces, batched: exact or smooth, numpy or torch.

Every operator is evaluated for a range of times at once, and only where its parent needs it.

Where a trace ends before the formula does, a reading says what counts for the samples that are missing (after the strong and the weak view of Eisner,
Fisman et al., "Reasoning with temporal logic on truncated paths", 2003):

* `strong`: every comparison there is broken, −∞. What is satisfied stays so however it goes on.
* `weak`: every comparison there holds, ∞. What is violated stays so however it goes on.
* `ended`: `always` reads what is below it weakly, `eventually` and `until` read it strongly. A run that is over has not reached what was still to
  come, and has not broken what it kept until then.

A negation turns strong into weak and weak into strong, so that strong ρ(not p) = −weak ρ(p), and strong ρ <= ended ρ <= weak ρ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.arrays import is_symbolic, is_torch, library
from isthmus_controllers.stl.expressions import Predicate
from isthmus_controllers.stl.extremes import Extremes
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Until

__all__ = ["ENDS", "Evaluation", "robustness", "smoothing_error", "trace"]

ENDS = ("strict", "truncate", "strong", "weak", "ended")
"""What may be said about the end of a trace; see `robustness`."""

_NEGATED = {"strong": "weak", "weak": "strong"}
_MISSING = {"strong": -math.inf, "weak": math.inf}


def robustness(
    formula: Formula, signals: Mapping[str, Any], t: int = 0, mode: str = "exact", temperature: float | None = None, end: str = "strict"
) -> Any:
    """How robustly a formula holds at one time.

    Args:
        formula: what may hold.
        signals: `[B, T]` per name, numpy or torch; signals that do not occur are ignored.
        t: the time, in samples.
        mode: "exact"; or "logsumexp" or "softmax", which have smooth gradients. Decide satisfaction by "exact".
        temperature: of the smooth modes, in units of robustness; its inverse is k in the paper of `isthmus_controllers.npc`.
        end: of a trace that is too short: "strict" refuses it; "truncate" leaves out what falls beyond its end, of windows too, and refuses only what
            begins there; "strong", "weak" and "ended" are readings of it, with robustness −∞ or ∞ where only what is missing decides, in mode
            "exact".

    Returns:
        `[B]`.

    Raises:
        ValueError: a signal is missing, of another shape or not a number somewhere; the trace is too short.
    """
    sample = strict.whole("t", t)
    return Evaluation(formula, signals, mode, temperature, end).of(formula, sample, sample)[:, 0]


def trace(formula: Formula, signals: Mapping[str, Any], mode: str = "exact", temperature: float | None = None, end: str = "strict") -> Any:
    """As `robustness`, for every start time that fits: `[B, T - horizon]`; `[B, ≤ T]` if truncated, `[B, T]` in a reading."""
    evaluation = Evaluation(formula, signals, mode, temperature, end)
    last = max(evaluation.length - 1 - formula.horizon, 0) if end == "strict" else evaluation.length - 1
    return evaluation.of(formula, 0, last)


class Evaluation:
    """One trace, and how minima and maxima are taken on it.

    Attributes:
        length: samples of the trace.
    """

    def __init__(self, formula: Formula, signals: Mapping[str, Any], mode: str, temperature: float | None, end: str) -> None:
        """Check the signals; see `robustness`."""
        strict.instance("formula", formula, Formula)
        strict.instance("signals", signals, Mapping)
        if end not in ENDS:
            raise ValueError(f"end must be {', '.join(ENDS[:-1])} or {ENDS[-1]}, got {end!r}")
        if end not in ("strict", "truncate") and mode != "exact":
            raise ValueError(f"end {end!r} has infinite robustness and goes with mode 'exact', got {mode!r}")
        self._extremes = Extremes(mode, temperature)
        self._end = end
        self.length = _length(formula.signals, signals)
        self._signals = {name: _real(signals[name]) for name in formula.signals}

    def of(self, formula: Formula, first: int, last: int) -> Any:
        """Robustness at times first … last, `[B, last - first + 1]`; fewer where a truncated trace ends before.

        Raises:
            ValueError: the trace is too short.
        """
        return self._of(formula, first, last, self._end)

    def _of(self, formula: Formula, first: int, last: int, end: str) -> Any:
        if end in ("strict", "truncate"):
            if not 0 <= first < self.length:
                raise ValueError(f"the trace has {self.length} samples, there is no sample {first} for {formula}")
            if end == "strict" and last + formula.horizon >= self.length:
                needed = last + formula.horizon + 1
                raise ValueError(
                    f"the trace has {self.length} samples, but {formula} at sample {last} needs {needed}: its horizon is {formula.horizon}"
                )
            last = min(last, self.length - 1)
        extremes, count = self._extremes, last - first + 1
        opposite, lasting, reached = _NEGATED.get(end, end), "weak" if end == "ended" else end, "strong" if end == "ended" else end
        match formula:
            case Predicate():
                return self._margin(formula, first, last, end)
            case Not(operand):
                return -self._of(operand, first, last, opposite)
            case And(operands):
                return extremes.smallest(_aligned([self._of(part, first, last, end) for part in operands]))
            case Or(operands):
                return extremes.largest(_aligned([self._of(part, first, last, end) for part in operands]))
            case Implies(condition, consequence):
                parts = [-self._of(condition, first, last, opposite), self._of(consequence, first, last, end)]
                return extremes.largest(_aligned(parts))
            case Always(operand, start, stop):
                values = self._of(operand, first + start, last + stop, lasting)
                return extremes.smallest_of_windows(values, stop - start + 1, count)
            case Eventually(operand, start, stop):
                values = self._of(operand, first + start, last + stop, reached)
                return extremes.largest_of_windows(values, stop - start + 1, count)
            case Until(left, right, start, stop):
                holds, ends = self._of(left, first, last + stop, reached), self._of(right, first + start, last + stop, reached)
                return extremes.until(holds, ends, start, stop, count)
        raise TypeError(f"unknown formula {formula!r}")

    def _margin(self, predicate: Predicate, first: int, last: int, end: str) -> Any:
        # A sample that is missing stands for any value, also where its comparison could only come out one way.
        columns = [min(sample, self.length - 1) for sample in range(first, last + 1)] if end in _MISSING else slice(first, last + 1)
        used = {name: self._signals[name][:, columns] for name in predicate.signals}
        with np.errstate(all="ignore"):  # a division by zero is infinite, as online
            margin = predicate.margin(used)
        if not is_symbolic(margin) and (margin != margin).any():
            for name, values in used.items():
                if (values != values).any():
                    raise ValueError(f"signal {name!r} is NaN at {_place(values, first)}")
            raise ValueError(f"{predicate} is not a number at {_place(margin, first)}")
        if end in _MISSING and last >= self.length:
            margin = 1.0 * margin  # neither a view nor whole numbers
            margin[:, max(self.length - first, 0) :] = _MISSING[end]
        return margin


def smoothing_error(formula: Formula, temperature: float) -> float:
    """How far robustness in a smooth mode can be from the exact one, at most: the sum of θ log n along the tree."""
    extremes = Extremes("logsumexp", temperature)
    below = max((smoothing_error(part, temperature) for part in formula.parts), default=0.0)
    match formula:
        case And(operands) | Or(operands):
            return below + extremes.error(len(operands))
        case Implies():
            return below + extremes.error(2)
        case Always(_, start, stop) | Eventually(_, start, stop):
            return below + extremes.error(stop - start + 1)
        case Until(_, _, start, stop):
            count = stop - start + 1
            # Along the longest way through `folded`, each join is a minimum and a maximum of two.
            joins = count.bit_length() - 1 + count.bit_count() - 1
            before = extremes.error(2) + extremes.error(start) if start else 0.0
            return below + before + 2 * joins * extremes.error(2)
    return below


def _aligned(values: Sequence[Any]) -> list[Any]:
    """Arrays `[B, T]` cut to the shortest."""
    shortest = min(value.shape[1] for value in values)
    return [value[:, :shortest] for value in values]


def _length(names: frozenset[str], signals: Mapping[str, Any]) -> int:
    """Samples of the trace; the signals that are used must all be `[B, T]`."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in sorted(names):
        if name not in signals:
            raise ValueError(f"signal {name!r} is missing; {strict.suggest(name, signals)}")
        shapes[name] = tuple(signals[name].shape)
        if len(shapes[name]) != 2 or 0 in shapes[name]:
            raise ValueError(f"signal {name!r} must be [B, T], got {list(shapes[name])}")
    if len(set(shapes.values())) > 1:
        raise ValueError(f"signals must have one shape, got {', '.join(f'{name} {list(shape)}' for name, shape in shapes.items())}")
    return next(iter(shapes.values()))[1]


def _real(values: Any) -> Any:
    """Signals in double precision, whatever they were stored as; torch's floating types stay, for their gradients."""
    if is_torch(values):
        return values if values.is_floating_point() else values.double()
    return values if is_symbolic(values) else np.asarray(values, dtype=np.float64)


def _place(values: Any, first: int) -> str:
    row, sample = (int(index) for index in library(values).argwhere(values != values)[0])
    return f"sample {first + sample} of row {row}"
