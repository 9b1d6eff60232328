"""How well a fixed-rate loop kept its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["REMEMBERED", "Cadence", "percentiles"]

REMEMBERED = 10_000  # newest times that percentiles are taken of: a report every second must not take a control period of its own


def _times() -> deque[float]:
    return deque(maxlen=REMEMBERED)


@dataclass(slots=True)
class Cadence:
    """Collects times of one run, in seconds.

    Attributes:
        period: nominal control period.
        realtime: whether deadlines were kept on a clock; a lockstep run has no lateness.
        lateness: of each wake-up against its absolute deadline.
        work: from wake-up until the command was written.
        inference: of each decision; the first one of a run is left out as warm-up.
        steps: control periods.
        missed: commands written later than one period after their deadline.
        skipped: ticks left out after a stall.
    """

    period: float
    realtime: bool
    lateness: deque[float] = field(default_factory=_times)
    work: deque[float] = field(default_factory=_times)
    inference: deque[float] = field(default_factory=_times)
    steps: int = 0
    missed: int = 0
    skipped: int = 0

    def summary(self) -> dict[str, Any]:
        """Counts and percentiles as plain data; times in milliseconds."""
        result: dict[str, Any] = {"period_ms": self.period * 1e3, "steps": self.steps, "realtime": self.realtime}
        if self.realtime:
            result |= {"missed": self.missed, "skipped": self.skipped, "lateness_ms": percentiles(self.lateness)}
        return result | {"inference_ms": percentiles(self.inference), "work_ms": percentiles(self.work)}


def percentiles(times: Collection[float]) -> dict[str, float] | None:
    """Of times in seconds, in milliseconds; None of none."""
    if not times:
        return None
    values = np.percentile(np.fromiter(times, dtype=np.float64) * 1e3, [0, 50, 99, 99.9, 100])
    return {name: round(float(value), 4) for name, value in zip(("min", "p50", "p99", "p99.9", "max"), values, strict=True)}
