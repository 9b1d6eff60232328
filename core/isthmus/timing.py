"""When a check happens: what the one period of a regular loop stands for, told apart.

A training loop looks, commands and advances by one control period, so that a single number answers every question about time. A real robot's guard
looks at each sample, brakes between two commands, and has commands that come late. Each question then has an answer of its own.
"""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass, field

import numpy as np

from isthmus.records import Array

__all__ = ["Timing", "steady"]

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux alone has the first


def steady() -> float:
    """The steady clock, s: nobody sets it, and it goes on while the computer sleeps, so that after a sleep everything is as old as it is."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Timing:
    """Spans of time around one check, s.

    Attributes:
        period: control period, > 0: how long the new command will be in force. Set-points advance by it, look-ahead runs over it, and time-outs are
            made of it.
        since: seconds since the last command was executed, >= 0: how long speed may have changed. What is beyond one period is lost and is not made
            up for; a command that comes early, as an urgent stop does, changes speed by less.
        looked: seconds since the monitors last looked, >= 0: by this much samples have aged, motion was commanded and holds have lasted.
        delay: seconds from the stamp of the sample until now, `[B]` or one for all rows; 0 where the clocks cannot be compared, and less counts as 0.
            A sample is as old as this, even if it has only just come.
        step: seconds over which speed may change: `since`, and never more than a period.
        late: whether some sample has a delay.
    """

    period: float
    since: float
    looked: float
    delay: float | Array = 0.0
    step: float = field(init=False)
    late: bool = field(init=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.period) and self.period > 0):
            raise ValueError(f"control period must be finite and > 0 s, got {self.period} s")
        for name in ("since", "looked"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise ValueError(f"{name} must be finite and >= 0 s, got {value} s")
        if not np.isfinite(self.delay).all():
            raise ValueError(f"delay must be finite, got {self.delay} s")
        object.__setattr__(self, "step", min(self.since, self.period))
        object.__setattr__(self, "late", bool(np.any(np.asarray(self.delay) > 0)))

    @classmethod
    def of(cls, given: float | Timing) -> Timing:
        """The timing of a regular loop with a control period in seconds; what is a timing already stays as it is."""
        return given if isinstance(given, Timing) else _regular(given)


@functools.lru_cache(maxsize=64)
def _regular(period: float) -> Timing:
    return Timing(period, period, period)
