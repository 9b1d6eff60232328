"""Slow way to a start pose: minimum jerk (Flash & Hogan 1985), one duration for all joints, followed through the guard."""

from __future__ import annotations

import numpy as np

from isthmus.records import Array

__all__ = ["PEAK_SPEED", "Ramp"]

PEAK_SPEED = 0.25
"""No joint is commanded faster, rad/s (m/s for prismatic joints)."""
_PLANNED_SPEED = 0.2  # leaves room for the correction of the servo's lag
_PEAK = 15 / 8  # of the unit quintic's velocity, at half time
_GAIN = 2.0  # 1/s


class Ramp:
    """A move from `start` to `goal`, `[J]` each, at rest at both ends.

    Attributes:
        duration: seconds.
    """

    def __init__(self, start: Array, goal: Array) -> None:
        """Plan the move; its fastest joint peaks below `PEAK_SPEED`."""
        self._start, self._step = start, goal - start
        self.duration = _PEAK * float(np.abs(self._step).max(initial=0.0)) / _PLANNED_SPEED

    def command(self, mode: str, time: float, position: Array) -> Array:
        """What to ask the guard for.

        Args:
            mode: "position" or "velocity".
            time: seconds since the start of the move.
            position: measured, `[J]`.

        Returns:
            set-points `[J]` in the unit of the mode.
        """
        s = min(time / self.duration, 1.0) if self.duration else 1.0
        reference = self._start + s**3 * (10 - 15 * s + 6 * s**2) * self._step
        if mode == "position":
            return np.asarray(reference)
        rate = 30 * s**2 * (1 - s) ** 2 / self.duration * self._step if self.duration else 0.0
        return np.clip(rate + _GAIN * (reference - position), -PEAK_SPEED, PEAK_SPEED)
