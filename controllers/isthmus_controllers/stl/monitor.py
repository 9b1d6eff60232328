"""Online monitoring: one sample at a time, an interval that the robustness must lie in, and a verdict as soon as it is decided.

Every sub-formula keeps a lower and an upper bound of its robustness at each time at which its parents ask for it, so memory is bounded by the horizon
("Robust online monitoring of signal temporal logic", Deshmukh et al. 2017). What no sample has touched yet lies anywhere between −∞ and ∞.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus import strict
from isthmus_controllers.stl.expressions import Predicate
from isthmus_controllers.stl.extremes import Extremes
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Until

__all__ = ["Monitor", "Verdict"]

_EXACT = Extremes()
_FARTHEST = 1_000_000  # samples


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known after a sample.

    Attributes:
        sample: number of the newest sample, from 0.
        low: the robustness is not below it.
        high: nor above it.
        verdict: "satisfied" once low >= 0, "violated" once high < 0, else "unknown".
    """

    sample: int
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """See the class."""
        return "satisfied" if self.low >= 0 else "violated" if self.high < 0 else "unknown"


class Monitor:
    """Watches whether a formula holds at the first sample that is given to it.

    Attributes:
        formula: what is watched.
        newest: the verdict after the newest sample.
    """

    def __init__(self, formula: Formula) -> None:
        """Nothing has been seen yet.

        Raises:
            ValueError: it would have to remember more than a million samples.
        """
        if formula.horizon > _FARTHEST:
            raise ValueError(
                f"the formula looks {formula.horizon:,} samples ahead, and a monitor remembers at most {_FARTHEST:,}: shorten its intervals"
            )
        self.formula = formula
        self._names = sorted(formula.signals)
        self.reset()

    @property
    def finished(self) -> bool:
        """Whether no further sample can change anything."""
        return self.newest.low == self.newest.high

    def reset(self) -> None:
        """Forget all samples: the next one is the first."""
        self._whole = _node(self.formula, 0, 0)
        self.newest = Verdict(-1, -math.inf, math.inf)

    def update(self, values: Mapping[str, float]) -> Verdict:
        """Take the next sample.

        Args:
            values: one number per signal; others are ignored.

        Raises:
            ValueError: a signal is missing or not a number.
        """
        sample = self.newest.sample + 1
        if not self.finished:
            for name in self._names:
                value = values.get(name)
                if value is None:
                    raise ValueError(f"signal {name!r} is missing; {strict.suggest(name, values)}")
                if value != value:
                    raise ValueError(f"signal {name!r} is NaN at sample {sample}")
            self._whole.update(sample, {name: float(values[name]) for name in self._names})
        self.newest = Verdict(sample, float(self._whole.low[0]), float(self._whole.high[0]))
        return self.newest


class _Node:
    """Bounds of one sub-formula at the times first … last.

    Attributes:
        first: time of the first element.
        low: `[last - first + 1]`.
        high: likewise.
        changed: elements whose bounds the newest sample has changed, (begin, end).
    """

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.low = np.full(last - first + 1, -np.inf)
        self.high = np.full(last - first + 1, np.inf)
        self.changed = (0, 0)

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        """Take a sample."""
        raise NotImplementedError


class _Compared(_Node):
    def __init__(self, predicate: Predicate, first: int, last: int) -> None:
        super().__init__(first, last)
        self._predicate = predicate

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        index = sample - self.first
        if not 0 <= index < len(self.low):
            self.changed = (0, 0)
            return
        margin = float(self._predicate.margin(values))
        if margin != margin:
            raise ValueError(f"{self._predicate} is not a number at sample {sample}")
        self.low[index] = self.high[index] = margin
        self.changed = (index, index + 1)


class _Negated(_Node):
    def __init__(self, operand: Formula, first: int, last: int) -> None:
        super().__init__(first, last)
        self._operand = _node(operand, first, last)

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        operand = self._operand
        operand.update(sample, values)
        begin, end = self.changed = operand.changed
        np.negative(operand.high[begin:end], out=self.low[begin:end])
        np.negative(operand.low[begin:end], out=self.high[begin:end])


class _Joined(_Node):
    """And, or."""

    def __init__(self, pick: np.ufunc, operands: Sequence[Formula], first: int, last: int) -> None:
        super().__init__(first, last)
        self._pick = pick
        self._operands = [_node(operand, first, last) for operand in operands]

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        for operand in self._operands:
            operand.update(sample, values)
        touched = [operand.changed for operand in self._operands if operand.changed[1] > operand.changed[0]]
        begin, end = self.changed = (min(span[0] for span in touched), max(span[1] for span in touched)) if touched else (0, 0)
        one, *others = self._operands
        low, high = one.low[begin:end], one.high[begin:end]
        for other in others:
            low, high = self._pick(low, other.low[begin:end]), self._pick(high, other.high[begin:end])
        self.low[begin:end], self.high[begin:end] = low, high


class _Windowed(_Node):
    """Always, eventually: of the two bounds, one follows every sample, and the other waits until the window is complete."""

    def __init__(self, formula: Always | Eventually, first: int, last: int) -> None:
        super().__init__(first, last)
        self._operand = _node(formula.operand, first + formula.start, last + formula.stop)
        self._length = formula.stop - formula.start + 1
        self._known_at_once = formula.operand.horizon == 0
        self._pick: np.ufunc = np.minimum if isinstance(formula, Always) else np.maximum
        self._over = _EXACT.smallest_of_windows if isinstance(formula, Always) else _EXACT.largest_of_windows

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        operand = self._operand
        operand.update(sample, values)
        begin, end = operand.changed
        first, last = max(begin - self._length + 1, 0), min(end, len(self.low))
        self.changed = (first, last)
        if begin == end or first >= last:
            self.changed = (0, 0)
        elif self._known_at_once:
            prompt, waiting = (self.high, self.low) if self._pick is np.minimum else (self.low, self.high)
            part = prompt[first:last]
            self._pick(part, operand.low[begin], out=part)
            if (complete := begin - self._length + 1) >= 0:
                waiting[complete] = prompt[complete]
        elif len(self.low) == 1:
            self.low[0], self.high[0] = self._pick.reduce(operand.low), self._pick.reduce(operand.high)
        else:
            for own, theirs in ((self.low, operand.low), (self.high, operand.high)):
                own[first:last] = self._over(theirs[None, first : last + self._length - 1], self._length, last - first)[0]


class _Awaited(_Node):
    """Until."""

    def __init__(self, formula: Until, first: int, last: int) -> None:
        super().__init__(first, last)
        self._formula = formula
        self._left = _node(formula.left, first, last + formula.stop)
        self._right = _node(formula.right, first + formula.start, last + formula.stop)

    def update(self, sample: int, values: Mapping[str, float]) -> None:
        start, stop = self._formula.start, self._formula.stop
        times = []
        for side in (self._left, self._right):
            side.update(sample, values)
            begin, end = side.changed
            if begin < end:
                times += [side.first + begin, side.first + end]
        self.changed = (0, 0)
        if times and (first := max(min(times) - stop - self.first, 0)) < (last := min(max(times) - self.first, len(self.low))):
            self.changed = (first, last)
            for own, left, right in ((self.low, self._left.low, self._right.low), (self.high, self._left.high, self._right.high)):
                reach = last + stop
                own[first:last] = _EXACT.until(left[None, first:reach], right[None, first : reach - start], start, stop, last - first)[0]


def _node(formula: Formula, first: int, last: int) -> _Node:
    match formula:
        case Predicate():
            return _Compared(formula, first, last)
        case Not(operand):
            return _Negated(operand, first, last)
        case And(operands):
            return _Joined(np.minimum, operands, first, last)
        case Or(operands):
            return _Joined(np.maximum, operands, first, last)
        case Implies(condition, consequence):
            return _Joined(np.maximum, (Not(condition), consequence), first, last)
        case Always() | Eventually():
            return _Windowed(formula, first, last)
        case Until():
            return _Awaited(formula, first, last)
    raise TypeError(f"unknown formula {formula!r}")
