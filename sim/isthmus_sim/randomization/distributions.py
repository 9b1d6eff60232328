"""What one parameter is drawn from.

A distribution draws one number from one generator at a time, so that a row's values never depend on how many rows there are. It knows nothing of
parameters until `within` checks it against one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Protocol

import numpy as np

from isthmus_sim.parameters import Parameter

__all__ = [
    "DISTRIBUTIONS",
    "Curriculum",
    "Discrete",
    "Distribution",
    "Estimate",
    "Latency",
    "LogUniform",
    "Normal",
    "Uniform",
    "check_inside",
]

_NEAR_ZERO = math.nextafter(0.0, 1.0)  # probability; the quantile of 0 is infinite
_NEAR_ONE = math.nextafter(1.0, 0.0)


class Distribution(Protocol):
    """Draws values of one parameter."""

    def within(self, parameter: Parameter) -> Distribution:
        """The distribution as it is drawn for that parameter.

        Raises:
            ValueError: it can draw what the parameter cannot be; the message names the parameter and its valid range.
        """
        ...

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """One value, in the parameter's unit.

        Args:
            generator: of the row.
            progress: of the training, 0 … 1.
        """
        ...


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any value of a range, equally likely.

    Attributes:
        low: smallest value.
        high: largest value.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)

    def within(self, parameter: Parameter) -> Uniform:
        """See `Distribution.within`."""
        check_inside(parameter, self.low, self.high)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        return _between(self.low, self.high, generator.random())


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A range whose orders of magnitude are equally likely.

    Attributes:
        low: smallest value, > 0.
        high: largest value.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if not self.low > 0:
            raise ValueError(f"low of a log-uniform range must be > 0, got {self.low:g}")

    def within(self, parameter: Parameter) -> LogUniform:
        """See `Distribution.within`."""
        check_inside(parameter, self.low, self.high)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        value = math.exp(_between(math.log(self.low), math.log(self.high), generator.random()))
        return min(max(value, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal distribution, cut off at the ends of the parameter's valid range, or nearer.

    Attributes:
        mean: before it is cut; inside the range.
        sd: standard deviation before it is cut, > 0.
        low: smallest value.
        high: largest value.
    """

    mean: float
    sd: float
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.sd < math.inf):
            raise ValueError(f"mean must be finite and sd > 0, got {self.mean:g} and {self.sd:g}")
        if not self.low < self.high:
            raise ValueError(f"low must be < high, got {self.low:g} and {self.high:g}")
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"mean must be in {self.low:g} … {self.high:g}, got {self.mean:g}")

    def within(self, parameter: Parameter) -> Normal:
        """See `Distribution.within`; only a mean or a limit of its own can lie outside."""
        check_inside(parameter, self.mean, *(limit for limit in (self.low, self.high) if math.isfinite(limit)))
        return replace(self, low=max(self.low, parameter.low), high=min(self.high, parameter.high))

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`; by inversion, so that every draw takes one number of the generator."""
        unit = NormalDist()
        first, last = unit.cdf((self.low - self.mean) / self.sd), unit.cdf((self.high - self.mean) / self.sd)
        probability = min(max(_between(first, last, generator.random()), _NEAR_ZERO), _NEAR_ONE)
        return min(max(self.mean + self.sd * unit.inv_cdf(probability), self.low), self.high)


@dataclass(frozen=True, slots=True)
class Discrete:
    """One of a few values.

    Attributes:
        values: at least one.
        weights: how likely each is, relative to the others; empty means equally.
    """

    values: tuple[float, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.values or not all(math.isfinite(value) for value in self.values):
            raise ValueError(f"values must be at least one finite number, got {list(self.values)}")
        if self.weights and len(self.weights) != len(self.values):
            raise ValueError(f"there must be one weight per value, got {len(self.weights)} for {len(self.values)} values")
        if self.weights and not (all(0 <= weight < math.inf for weight in self.weights) and sum(self.weights) > 0):
            raise ValueError(f"weights must be >= 0 and not all 0, got {list(self.weights)}")

    def within(self, parameter: Parameter) -> Discrete:
        """See `Distribution.within`."""
        check_inside(parameter, *self.values)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        left = generator.random() * sum(self.weights or [1.0] * len(self.values))
        for value, weight in zip(self.values, self.weights or [1.0] * len(self.values), strict=True):
            left -= weight
            if left < 0:
                return value
        return self.values[-1]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A uniform range that grows with the progress of training.

    Attributes:
        start: low and high at progress 0; they may be equal.
        end: low and high from progress `until` on; contains `start`.
        until: progress at which it is full, > 0 and <= 1.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    until: float = 1.0

    def __post_init__(self) -> None:
        _check_range(*self.end)
        if not self.end[0] <= self.start[0] <= self.start[1] <= self.end[1]:
            raise ValueError(f"start must be a range inside end {list(self.end)}, got {list(self.start)}")
        if not 0 < self.until <= 1:
            raise ValueError(f"until must be > 0 and <= 1, got {self.until:g}")

    def within(self, parameter: Parameter) -> Curriculum:
        """See `Distribution.within`."""
        check_inside(parameter, *self.end)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        share = min(progress / self.until, 1.0)
        low, high = (_between(first, last, share) for first, last in zip(self.start, self.end, strict=True))
        return _between(low, high, generator.random())


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a calibration found: uniform over the interval, or the value itself where there is none.

    Attributes:
        value: the estimate.
        interval: low and high, around the value.
    """

    value: float
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"value must be finite, got {self.value:g}")
        if self.interval is not None:
            _check_range(*self.interval)
            if not self.interval[0] <= self.value <= self.interval[1]:
                raise ValueError(f"value must be in its interval {list(self.interval)}, got {self.value:g}")

    def within(self, parameter: Parameter) -> Estimate:
        """See `Distribution.within`."""
        check_inside(parameter, self.value, *(self.interval or ()))
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        return self.value if self.interval is None else _between(*self.interval, generator.random())


@dataclass(frozen=True, slots=True)
class Latency:
    """Times that a loop was measured to take: a quantile function, straight between what is known of it.

    Attributes:
        probabilities: increasing, from 0 to 1.
        times: the quantile of each, s, not decreasing, >= 0.
    """

    probabilities: tuple[float, ...]
    times: tuple[float, ...]

    def __post_init__(self) -> None:
        steps = np.diff(self.probabilities)
        if len(self.probabilities) < 2 or (self.probabilities[0], self.probabilities[-1]) != (0.0, 1.0) or not (steps > 0).all():
            raise ValueError(f"probabilities must increase from 0 to 1, got {list(self.probabilities)}")
        if len(self.times) != len(self.probabilities):
            raise ValueError(f"there must be one time per probability, got {len(self.times)} for {len(self.probabilities)} probabilities")
        if not (self.times[0] >= 0 and (np.diff(self.times) >= 0).all() and math.isfinite(self.times[-1])):
            raise ValueError(f"times must be >= 0 s and not decrease, got {list(self.times)}")

    def within(self, parameter: Parameter) -> Latency:
        """See `Distribution.within`; the parameter must be a time, too."""
        if parameter.unit != "s":
            raise ValueError(f"a latency is a time in s, but parameter {parameter.name!r} is in {parameter.unit}")
        check_inside(parameter, self.times[0], self.times[-1])
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        return float(np.interp(generator.random(), self.probabilities, self.times))


DISTRIBUTIONS: Mapping[str, type] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "normal": Normal,
    "discrete": Discrete,
    "curriculum": Curriculum,
    "estimate": Estimate,
    "latency": Latency,
}
"""Word in a file → distribution."""


def check_inside(parameter: Parameter, *values: float) -> None:
    """See that a parameter can have these values.

    Raises:
        ValueError: one is out of its valid range.
    """
    for value in values:
        if not parameter.low <= value <= parameter.high:
            raise ValueError(
                f"parameter {parameter.name!r} must be in {parameter.low:g} … {parameter.high:g} {parameter.unit}, got {value:g}"
            )


def _check_range(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low must be < high, both finite, got {low:g} and {high:g}")


def _between(first: float, last: float, share: float) -> float:
    """The point at that share of the way, 0 … 1; rounding never carries it past an end."""
    return min(max(first + (last - first) * share, min(first, last)), max(first, last))
