"""Minimum and maximum, exact or smooth, of a few values or over sliding windows.

Smooth forms, with temperature θ > 0 in units of robustness (1/θ is the k of "Signal Temporal Logic Neural Predictive Control", Meng & Fan,
arXiv 2309.05131):

* `logsumexp`: max_θ(v) = θ log Σ exp(v/θ), between max and max + θ log n;
* `softmax`: Σ v exp(v/θ) / Σ exp(v/θ), between max − θ log n and max.

A window is put together from windows of half its length, so that memory is linear in the trace and time grows with the logarithm of the window. That
is exact for all three forms, because each is an associative operation on parts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus.arrays import is_symbolic, is_torch, library

__all__ = ["MODES", "Extremes", "folded"]

MODES = ("exact", "logsumexp", "softmax")


class Extremes:
    """One way to take minima and maxima.

    Attributes:
        mode: "exact", "logsumexp" or "softmax".
        temperature: θ of the smooth forms, 0 of the exact one.
    """

    def __init__(self, mode: str = "exact", temperature: float | None = None) -> None:
        """Check.

        Raises:
            ValueError: an unknown mode, or a temperature that is missing, superfluous or not positive.
        """
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; there are: {', '.join(MODES)}")
        if (mode == "exact") != (temperature is None):
            needed = "takes no temperature" if mode == "exact" else "needs a temperature, as in temperature=0.01"
            raise ValueError(f"mode {mode!r} {needed}, got {temperature}")
        if temperature is not None and not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
        self.mode = mode
        self.temperature = temperature or 0.0

    def largest(self, values: Sequence[Any]) -> Any:
        """Element by element, of arrays of one shape."""
        if is_symbolic(values[0]):
            return functools.reduce(self.larger, values)
        return self._over(library(values[0]).stack(list(values)), 0)

    def smallest(self, values: Sequence[Any]) -> Any:
        """Element by element, of arrays of one shape."""
        return -self.largest([-value for value in values])

    def largest_of_windows(self, values: Any, length: int, count: int) -> Any:
        """Of the first `count` windows of so many samples, `[B, T]` → `[B, count]`; windows that reach beyond the end are cut."""
        if length == 1:
            return values[:, :count]
        if count == 1 and not is_symbolic(values):
            return self._over(values[:, :length], 1)[:, None]
        whole = folded(self._lifted(values), length, count, self._joined)
        return whole[-1] * self.temperature if self.mode == "logsumexp" else whole[-1]

    def smallest_of_windows(self, values: Any, length: int, count: int) -> Any:
        """As `largest_of_windows`."""
        return -self.largest_of_windows(-values, length, count)

    def until(self, left: Any, right: Any, start: int, stop: int, count: int) -> Any:
        """Of the first `count` times: whether `left` holds until `right` does, start … stop samples later.

        Args:
            left: robustness from the first time on, `[B, T]`.
            right: robustness from `start` samples later on, `[B, T - start]`.
            start: first step of the interval.
            stop: last step of the interval.
            count: times.
        """

        def joined(one: tuple[Any, Any], other: tuple[Any, Any]) -> tuple[Any, Any]:
            (holds, ends), (then_holds, then_ends) = one, other
            return self.smaller(holds, then_holds), self.larger(ends, self.smaller(holds, then_ends))

        both = min(left.shape[1] - start, right.shape[1])
        _, ends = folded((left[:, start : start + both], right[:, :both]), stop - start + 1, count, joined)
        return self.smaller(self.smallest_of_windows(left, start, ends.shape[1]), ends) if start else ends

    def larger(self, first: Any, second: Any) -> Any:
        """Element by element, of two."""
        if self.mode == "exact":
            return library(first).maximum(first, second)
        if self.mode == "logsumexp":
            return self.temperature * library(first).logaddexp(first / self.temperature, second / self.temperature)
        weight = 0.5 * (1 + library(first).tanh((first - second) / (2 * self.temperature)))
        return weight * first + (1 - weight) * second

    def smaller(self, first: Any, second: Any) -> Any:
        """Element by element, of two."""
        return library(first).minimum(first, second) if self.mode == "exact" else -self.larger(-first, -second)

    def error(self, count: int) -> float:
        """How far the smooth extreme of so many values can be from the exact one."""
        return self.temperature * math.log(count)

    def _lifted(self, values: Any) -> tuple[Any, ...]:
        """What an extreme of one value is made of: the value, or log Σ exp(v/θ), and for `softmax` the mean besides."""
        if self.mode == "exact":
            return (values,)
        scaled = values / self.temperature
        return (scaled,) if self.mode == "logsumexp" else (scaled, values)

    def _joined(self, first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, ...]:
        """Of two disjoint parts together."""
        operations = library(first[0])
        if self.mode == "exact":
            return (operations.maximum(first[0], second[0]),)
        weight = operations.logaddexp(first[0], second[0])
        if self.mode == "logsumexp":
            return (weight,)
        exp = operations.exp
        return weight, first[1] * exp(first[0] - weight) + second[1] * exp(second[0] - weight)

    def _over(self, values: Any, axis: int) -> Any:
        """The largest along an axis."""
        torch = library(values) if is_torch(values) else None
        if self.mode == "exact":
            return values.amax(axis) if torch else values.max(axis)
        scaled = values / self.temperature
        weight = torch.logsumexp(scaled, axis) if torch else np.logaddexp.reduce(scaled, axis)
        if self.mode == "logsumexp":
            return weight * self.temperature
        weight = weight.unsqueeze(axis) if torch else np.expand_dims(weight, axis)
        return (values * library(values).exp(scaled - weight)).sum(axis)


def folded(parts: tuple[Any, ...], length: int, count: int, join: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    """Join the samples of each window by an associative operation.

    Args:
        parts: arrays `[B, T]` that together describe each sample.
        length: samples of a window.
        count: windows; those that reach beyond the end are cut.
        join: makes the description of two adjacent windows together from theirs.

    Returns:
        arrays `[B, count]`; fewer where T is smaller than `count`.
    """
    available = parts[0].shape[1]
    whole = [_whole_windows(parts, length, min(count, available - length + 1), join)] if available >= length else []
    for first in range(max(available - length + 1, 0), min(count, available)):
        whole.append(_whole_windows(tuple(part[:, first:] for part in parts), available - first, 1, join))
    return whole[0] if len(whole) == 1 else tuple(_beside(pieces) for pieces in zip(*whole, strict=True))


def _whole_windows(parts: tuple[Any, ...], length: int, count: int, join: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    size, done = 1, 0  # `parts` describe windows of `size` samples
    whole: tuple[Any, ...] = ()
    while True:
        if length & size:
            piece = tuple(part[:, done : done + count] for part in parts)
            whole = join(whole, piece) if whole else piece
            done += size
        if done == length:
            return whole
        parts = join(tuple(part[:, :-size] for part in parts), tuple(part[:, size:] for part in parts))
        size *= 2


def _beside(pieces: Sequence[Any]) -> Any:
    return library(pieces[0]).cat(pieces, 1) if is_torch(pieces[0]) else library(pieces[0]).concatenate(pieces, 1)
