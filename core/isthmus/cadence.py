"""How well a fixed-rate loop kept its time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Cadence"]


@dataclass(slots=True)
class Cadence:
    """Collects times of one run, in seconds.

    Attributes:
        period: nominal control period.
        realtime: whether deadlines were kept on a clock; a lockstep run has no lateness.
        lateness: of each wake-up against its absolute deadline.
        work: from wake-up until the command was written.
        inference: of each decision; the first one of a run is left out as warm-up.
        missed: commands written later than one period after their deadline.
        skipped: ticks left out after a stall.
    """

    period: float
    realtime: bool
    lateness: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    inference: list[float] = field(default_factory=list)
    missed: int = 0
    skipped: int = 0

    def summary(self) -> dict[str, Any]:
        """Counts and percentiles as plain data; times in milliseconds."""
        result: dict[str, Any] = {"period_ms": self.period * 1e3, "steps": len(self.work), "realtime": self.realtime}
        if self.realtime:
            result |= {"missed": self.missed, "skipped": self.skipped, "lateness_ms": _percentiles(self.lateness)}
        return result | {"inference_ms": _percentiles(self.inference), "work_ms": _percentiles(self.work)}


def _percentiles(times: list[float]) -> dict[str, float] | None:
    if not times:
        return None
    values = np.percentile(np.asarray(times) * 1e3, [50, 99, 99.9, 100])
    return {name: round(float(value), 4) for name, value in zip(("p50", "p99", "p99.9", "max"), values, strict=True)}
