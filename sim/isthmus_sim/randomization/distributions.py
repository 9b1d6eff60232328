"""What one parameter is drawn from: distributions that somebody chooses, and the words for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from isthmus_sim.parameters import Parameter
from isthmus_sim.randomization.distribution import between, check_inside, check_range
from isthmus_sim.randomization.measured import Estimate, Latency

__all__ = ["DISTRIBUTIONS", "Curriculum", "Discrete", "LogUniform", "Normal", "Uniform"]

_NEAR_ZERO = math.nextafter(0.0, 1.0)  # probability; the quantile of 0 is infinite
_NEAR_ONE = math.nextafter(1.0, 0.0)


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
        check_range(self.low, self.high)

    def within(self, parameter: Parameter) -> Uniform:
        """See `Distribution.within`."""
        check_inside(parameter, self.low, self.high)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        return between(self.low, self.high, generator.random())


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
        check_range(self.low, self.high)
        if not self.low > 0:
            raise ValueError(f"low of a log-uniform range must be > 0, got {self.low:g}")

    def within(self, parameter: Parameter) -> LogUniform:
        """See `Distribution.within`."""
        check_inside(parameter, self.low, self.high)
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        value = math.exp(between(math.log(self.low), math.log(self.high), generator.random()))
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
        probability = min(max(between(first, last, generator.random()), _NEAR_ZERO), _NEAR_ONE)
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
        check_range(*self.end)
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
        low, high = (between(first, last, share) for first, last in zip(self.start, self.end, strict=True))
        return between(low, high, generator.random())


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
