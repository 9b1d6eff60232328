"""What the guard watches besides limits: stale or jumping sensors, dead or runaway motors, limit cycles.

All monitors work on the guard's own ticks and need neither a clock nor ROS. Thresholds are data of the robot profile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus.robot import Thresholds

__all__ = ["Alarm", "MonitorState", "Monitors", "finite", "time_out"]

TRACKING_MEMORY = 2.0  # s: slow drift between commanded and measured motion is forgotten at this rate
OSCILLATION_MEMORY = 1.0  # s


def time_out(period: float) -> float:
    """Age in seconds at which a state or command counts as stale for a loop of the given period."""
    return max(1.5 * period + 0.010, 0.030)


def finite(values: Array) -> bool:
    """Whether all values are finite; numbers so large that their squares overflow are looked at one by one."""
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


@dataclass(frozen=True, slots=True)
class MonitorState:
    """Memory of the monitors.

    Attributes:
        stamp: `[B]`, latest stamp, s; -inf before the first sample.
        age: `[B]`, seconds since the stamp last advanced.
        position: `[B, J]`, last finite measured position; NaN before the first.
        lead: `[B, J]`, commanded minus measured motion, slowly forgotten, rad.
        swing: `[B, J]`, last velocity that was fast enough to count as a swing, rad/s.
        reversals: `[B, J]`, changes of direction, forgotten over a second.
    """

    stamp: Array
    age: Array
    position: Array
    lead: Array
    swing: Array
    reversals: Array


@dataclass(frozen=True, slots=True)
class Alarm:
    """One monitor's finding.

    Attributes:
        rows: `[B]` bool, rows concerned.
        fatal: whether it calls for a stop rather than a hold.
        causes: one sentence per row.
    """

    rows: Array
    fatal: bool
    causes: Sequence[str]


class Monitors:
    """Watches one robot in one command mode."""

    def __init__(self, thresholds: Thresholds, mode: str, joints: tuple[str, ...], velocity: Array) -> None:
        """Prepare.

        Args:
            thresholds: from the robot profile.
            mode: command mode; tracking is only defined for positions and velocities.
            joints: names, for the messages.
            velocity: the robot's own velocity limits, `[J]`, rad/s.
        """
        self._thresholds = thresholds
        self._mode = mode
        self._joints = joints
        self._twice_fastest = 2 * velocity

    def initial(self, batch: int) -> MonitorState:
        """Memory of `batch` rows that have seen nothing."""
        zeros = np.zeros((batch, len(self._joints)))
        return MonitorState(np.full(batch, -np.inf), np.zeros(batch), np.full_like(zeros, np.nan), zeros, zeros, zeros)

    def update(
        self, state: MonitorState, stamp: Array, executed: Array, position: Array, velocity: Array, dt: float
    ) -> tuple[MonitorState, list[Alarm]]:
        """Take one sample.

        Args:
            state: memory.
            stamp: stamps of the sample, `[B]`, s.
            executed: command of the period that has just ended, `[B, J]`.
            position: measured, `[B, J]`, rad; not finite where a sensor failed, which is not these monitors' business.
            velocity: measured, `[B, J]`, rad/s, likewise.
            dt: control period, s.
        """
        found: list[Alarm] = []
        age = np.where(stamp > state.stamp, 0.0, state.age + dt)
        if np.count_nonzero(age):
            self._add_rows(found, stamp < state.stamp, False, "stamps of the joint state go backwards")
            self._add_rows(found, age > time_out(dt), True, "joint state is stale")
            stamp = np.where(np.isnan(stamp), state.stamp, stamp)
        if not finite(position):
            position = np.where(np.isfinite(position), position, state.position)
        moved = position - state.position  # NaN for a first sample, which compares as no jump
        # A sample that follows lost ones may have moved further than one period allows.
        elapsed = np.maximum(stamp - state.stamp, dt)
        self._add_joints(found, np.abs(moved) > self._twice_fastest * elapsed[:, None], "measured position of {} jumped")
        lead = self._lead(state, executed, position, moved, dt)
        self._add_joints(found, np.abs(lead) > self._thresholds.tracking_tolerance, "{} does not follow its command")
        swing, reversals = state.swing, state.reversals
        if self._thresholds.oscillation < np.inf:
            swing = np.where(np.abs(velocity) > self._thresholds.oscillation_speed, velocity, swing)
            reversals = reversals * math.exp(-dt / OSCILLATION_MEMORY) + (swing * state.swing < 0)
            self._add_joints(found, reversals > self._thresholds.oscillation * OSCILLATION_MEMORY, "{} oscillates")
        return MonitorState(stamp, age, position, lead, swing, reversals), found

    def _lead(self, state: MonitorState, executed: Array, position: Array, moved: Array, dt: float) -> Array:
        if self._mode == "effort":
            return state.lead
        if self._mode == "position":
            return executed - position
        moved = moved if finite(moved) else np.where(np.isfinite(moved), moved, executed * dt)
        return (state.lead + executed * dt - moved) * math.exp(-dt / TRACKING_MEMORY)

    def _add_rows(self, found: list[Alarm], rows: Array, fatal: bool, cause: str) -> None:
        if np.count_nonzero(rows):
            found.append(Alarm(rows, fatal, [cause] * rows.shape[0]))

    def _add_joints(self, found: list[Alarm], cells: Array, cause: str) -> None:
        if np.count_nonzero(cells):
            rows = np.asarray(cells.any(axis=1))
            found.append(Alarm(rows, True, [cause.format(self._joints[joint]) for joint in cells.argmax(axis=1)]))
