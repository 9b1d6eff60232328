"""Distributions that something real has told: a calibration, or the clock of a loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus_sim.parameters import Parameter
from isthmus_sim.randomization.distribution import between, check_inside, check_range

__all__ = ["Estimate", "Latency"]


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
            check_range(*self.interval)
            if not self.interval[0] <= self.value <= self.interval[1]:
                raise ValueError(f"value must be in its interval {list(self.interval)}, got {self.value:g}")

    def within(self, parameter: Parameter) -> Estimate:
        """See `Distribution.within`."""
        check_inside(parameter, self.value, *(self.interval or ()))
        return self

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """See `Distribution.draw`."""
        return self.value if self.interval is None else between(*self.interval, generator.random())


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
