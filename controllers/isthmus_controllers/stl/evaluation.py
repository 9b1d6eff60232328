"""Robustness of formulas on traces, batched: exact or smooth, numpy or torch.

Every operator is evaluated for a range of times at once, and only where its parent needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus import strict
from isthmus.arrays import is_symbolic, library
from isthmus_controllers.stl.extremes import Extremes
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Predicate, Until

__all__ = ["Evaluation", "smoothing_error"]


class Evaluation:
    """One trace, and how minima and maxima are taken on it.

    Attributes:
        length: samples of the trace.
    """

    def __init__(self, formula: Formula, signals: Mapping[str, Any], mode: str, temperature: float | None, end: str) -> None:
        """Check the signals; see `Formula.robustness`."""
        if end not in ("strict", "truncate"):
            raise ValueError(f"end must be strict or truncate, got {end!r}")
        self._extremes = Extremes(mode, temperature)
        self._truncate = end == "truncate"
        self._signals = signals
        self.length = _length(formula.signals, signals)

    def of(self, formula: Formula, first: int, last: int) -> Any:
        """Robustness at times first … last, `[B, last - first + 1]`; fewer where a truncated trace ends before.

        Raises:
            ValueError: the trace is too short.
        """
        if not 0 <= first < self.length:
            raise ValueError(f"the trace has {self.length} samples, there is no sample {first} for {formula}")
        if not self._truncate and last + formula.horizon >= self.length:
            needed = last + formula.horizon + 1
            raise ValueError(
                f"the trace has {self.length} samples, but {formula} at sample {last} needs {needed}: its horizon is {formula.horizon}"
            )
        return self._values(formula, first, min(last, self.length - 1))

    def _values(self, formula: Formula, first: int, last: int) -> Any:
        extremes, count = self._extremes, last - first + 1
        match formula:
            case Predicate():
                return self._margin(formula, first, last)
            case Not(operand):
                return -self.of(operand, first, last)
            case And(operands):
                return extremes.smallest(_aligned([self.of(part, first, last) for part in operands]))
            case Or(operands):
                return extremes.largest(_aligned([self.of(part, first, last) for part in operands]))
            case Implies(condition, consequence):
                return extremes.largest(_aligned([-self.of(condition, first, last), self.of(consequence, first, last)]))
            case Always(operand, start, stop):
                return extremes.smallest_of_windows(self.of(operand, first + start, last + stop), stop - start + 1, count)
            case Eventually(operand, start, stop):
                return extremes.largest_of_windows(self.of(operand, first + start, last + stop), stop - start + 1, count)
            case Until(left, right, start, stop):
                return extremes.until(self.of(left, first, last + stop), self.of(right, first + start, last + stop), start, stop, count)
        raise TypeError(f"unknown formula {formula!r}")

    def _margin(self, predicate: Predicate, first: int, last: int) -> Any:
        used = {name: self._signals[name][:, first : last + 1] for name in predicate.signals}
        margin = predicate.margin(used)
        if not is_symbolic(margin) and (margin != margin).any():
            for name, values in used.items():
                if (values != values).any():
                    raise ValueError(f"signal {name!r} is NaN at {_place(values, first)}")
            raise ValueError(f"{predicate} is not a number at {_place(margin, first)}")
        return margin


def smoothing_error(formula: Formula, temperature: float) -> float:
    """See `Formula.smoothing_error`."""
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


def _place(values: Any, first: int) -> str:
    row, sample = (int(index) for index in library(values).argwhere(values != values)[0])
    return f"sample {first + sample} of row {row}"
