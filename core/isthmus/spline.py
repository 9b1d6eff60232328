"""Joint motion through points in time, as ros2_control's joint trajectory controller interpolates it.

Between two points with positions, velocities and accelerations it is the quintic that has all six at its ends, with positions and velocities the
cubic, with positions alone the straight line. After the last point the last position is held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.records import Array

__all__ = ["Spline"]


@dataclass(frozen=True, slots=True)
class Spline:
    """A motion of J joints through K points.

    Attributes:
        times: of the points, since the motion began, `[K]`, s, >= 0 and increasing.
        positions: `[K, J]`, rad or m.
        velocities: `[K, J]`, rad/s or m/s; None where only positions are given.
        accelerations: `[K, J]`, rad/s² or m/s²; None where they are not given, and of no use without velocities.
    """

    times: Array
    positions: Array
    velocities: Array | None = None
    accelerations: Array | None = None

    def __post_init__(self) -> None:
        if self.times.size == 0 or self.times[0] < 0 or (self.times[1:] <= self.times[:-1]).any():
            raise ValueError(f"times of a spline must be >= 0 s and increase, got {self.times.tolist()}")

    def sample(self, time: float) -> tuple[Array, Array, Array]:
        """Position, velocity and acceleration, `[J]` each, at a time in seconds; before the first point it stands there."""
        after = int(np.searchsorted(self.times, time, side="right"))
        rest = np.zeros(self.positions.shape[1])
        if after in (0, self.times.size):
            return self.positions[max(after - 1, 0)], rest, rest
        before, length = after - 1, float(self.times[after] - self.times[after - 1])
        start, step = self.positions[before], self.positions[after] - self.positions[before]
        if self.velocities is None:
            low = [rest, step]
            high = [rest, rest, rest, rest]
        else:
            first, last = self.velocities[before] * length, self.velocities[after] * length
            if self.accelerations is None:
                low = [rest, first]
                high = [3 * step - 2 * first - last, first + last - 2 * step, rest, rest]
            else:
                bend, end = self.accelerations[before] * length**2 / 2, self.accelerations[after] * length**2 / 2
                low = [rest, first]
                high = [
                    bend,
                    10 * step - 6 * first - 4 * last - 3 * bend + end,
                    -15 * step + 8 * first + 7 * last + 3 * bend - 2 * end,
                    6 * step - 3 * first - 3 * last - bend + end,
                ]
        c = [*low, *high]
        s = (time - float(self.times[before])) / length
        position = start + s * (c[1] + s * (c[2] + s * (c[3] + s * (c[4] + s * c[5]))))
        velocity = c[1] + s * (2 * c[2] + s * (3 * c[3] + s * (4 * c[4] + s * 5 * c[5])))
        acceleration = 2 * c[2] + s * (6 * c[3] + s * (12 * c[4] + s * 20 * c[5]))
        return position, velocity / length, acceleration / length**2
