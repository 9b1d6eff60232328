"""What the guard watches besides limits: stale or jumping sensors, dead or runaway motors, limit cycles.

All monitors work on the guard's own ticks and need neither a clock nor ROS. Thresholds are data of the robot profile.

Two of them compare motion with commands:

* Lead: commanded minus measured motion. Position commands are compared directly. For velocity commands the lead is a sum, forgotten with the
  commanded distance (over 2 rad) and slowly with time (over 20 s). So a dead motor leads by up to 2 rad at any speed that matters, one that is 1 %
  slow by 0.02 rad after minutes, and a lagging servo by its lag times its speed.
* Frozen: a sensor that repeats one number bit for bit while the command moves on. A joint that moves changes its number long before
  `frozen_travel`, however slow it is and however coarse its encoder; a joint at rest is not commanded that far. The command of the newest period
  does not count, because the answer to it may still be on its way, nor does a sample that is not new or not a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus.robot import Thresholds

__all__ = ["Alarm", "MonitorState", "Monitors", "finite", "time_out"]

TRACKING_DISTANCE = 2.0  # rad or m of commanded motion over which a lead is forgotten
TRACKING_MEMORY = 20.0  # s over which a lead is forgotten besides, so that creep below the standstill speed does not add up
SMALL = 4096  # numbers


def time_out(period: float) -> float:
    """Age in seconds at which a state or command counts as stale for a loop of the given period."""
    return max(1.5 * period + 0.010, 0.030)


def finite(values: Array) -> bool:
    """Whether all values are finite; the sum of squares tells fastest, unless it overflows or wakes the threads of a linear algebra library."""
    return (values.size <= SMALL and math.isfinite(np.vdot(values, values))) or bool(np.isfinite(values).all())


@dataclass(frozen=True, slots=True)
class MonitorState:
    """Memory of the monitors.

    Attributes:
        stamp: `[B]`, latest stamp, s; -inf before the first sample.
        age: `[B]`, seconds since the stamp last advanced.
        position: `[B, J]`, last finite measured position; NaN before the first.
        lead: `[B, J]`, commanded minus measured motion, slowly forgotten, rad.
        travel: `[B, J]`, commanded motion since the measured position last changed, rad.
        swing: `[B, J]`, last velocity that was fast enough to count as a swing, rad/s.
        reversals: `[B, J]`, changes of direction, forgotten over a second.
    """

    stamp: Array
    age: Array
    position: Array
    lead: Array
    travel: Array
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
        return MonitorState(np.full(batch, -np.inf), np.zeros(batch), np.full_like(zeros, np.nan), zeros, zeros, zeros, zeros)

    def update(
        self, state: MonitorState, stamp: Array, executed: Array, rate: Array, position: Array, velocity: Array, dt: float
    ) -> tuple[MonitorState, list[Alarm]]:
        """Take one sample.

        Args:
            state: memory.
            stamp: stamps of the sample, `[B]`, s.
            executed: command of the period that has just ended, `[B, J]`.
            rate: commanded velocity of that period, `[B, J]`, rad/s; not used in effort mode.
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
        known = None
        if not finite(position):
            known = np.isfinite(position)
            position = np.where(known, position, state.position)
        moved = position - state.position  # NaN for a first sample, which compares as no jump
        # A sample that follows lost ones may have moved further than one period allows.
        elapsed = np.maximum(stamp - state.stamp, dt)
        self._add_joints(found, np.abs(moved) > self._twice_fastest * elapsed[:, None], "measured position of {} jumped")
        lead, travel = state.lead, state.travel
        if self._mode != "effort":
            commanded = rate * dt
            still = moved == 0
            travel = np.zeros(travel.shape)
            if np.count_nonzero(still):
                travel = np.where(still, state.travel + commanded, 0.0)
                frozen = still & (np.abs(state.travel) > self._thresholds.frozen_travel) & (age == 0)[:, None]
                frozen = frozen if known is None else frozen & known
                self._add_joints(found, frozen, "{} does not follow its command: its measured position is frozen")
            lead = executed - position if self._mode == "position" else self._lead(state, commanded, moved, dt)
            self._add_joints(found, np.abs(lead) > self._thresholds.tracking_tolerance, "{} does not follow its command")
        swing = np.where(np.abs(velocity) > self._thresholds.oscillation_speed, velocity, state.swing)
        reversals = state.reversals * math.exp(-dt) + (swing * state.swing < 0)  # those of about a second
        self._add_joints(found, reversals > self._thresholds.oscillation, "{} oscillates")
        return MonitorState(stamp, age, position, lead, travel, swing, reversals), found

    def _lead(self, state: MonitorState, commanded: Array, moved: Array, dt: float) -> Array:
        if not finite(moved):
            moved = np.where(np.isfinite(moved), moved, commanded)
        lead: Array = (state.lead + commanded - moved) / (np.abs(commanded) / TRACKING_DISTANCE + (1 + dt / TRACKING_MEMORY))
        return lead

    def _add_rows(self, found: list[Alarm], rows: Array, fatal: bool, cause: str) -> None:
        if np.count_nonzero(rows):
            found.append(Alarm(rows, fatal, [cause] * rows.shape[0]))

    def _add_joints(self, found: list[Alarm], cells: Array, cause: str) -> None:
        if np.count_nonzero(cells):
            rows = np.asarray(cells.any(axis=1))
            found.append(Alarm(rows, True, [cause.format(self._joints[joint]) for joint in cells.argmax(axis=1)]))
