"""What the guard watches besides limits: stale or jumping sensors, dead or runaway motors, limit cycles.

All monitors work on the looks of the guard, once a period or at every sample, and need neither a clock nor ROS. Thresholds are data of the robot
profile.

Three of them compare motion with commands:

* Lead: commanded minus measured motion, when the sample was taken. Positions, and motions whose place is known, are compared directly. For velocities
  the lead is a sum, forgotten with the commanded distance (over 2 rad) and slowly with time (over 20 s). So a dead motor leads by up to 2 rad at any
  speed that matters, one that is 1 % slow by 0.02 rad after minutes, and a lagging servo by its lag times its speed.
* Frozen: a sensor that repeats one number bit for bit while the command moves on. A joint that moves changes its number long before
  `frozen_travel`, however slow it is and however coarse its encoder; a joint at rest is not commanded that far. The command of the newest period
  does not count, because the answer to it may still be on its way, nor does a sample that is not new or not a number.
* Runaway: how far a joint has come since it last moved along with its command, no faster than it can. Against a command, or at rest, nothing is along
  with it, so that servo lag, sag and oscillation count by their distance and not by their number. Along with it, what is beyond the velocity limit
  counts. An effort commands no motion: only speed counts there.

Velocities are believed: a driver that publishes 0 for a joint that moves hides its speed from limits, arming and standstill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus.robot import Thresholds
from isthmus.timing import Timing

__all__ = ["Alarm", "MonitorState", "Monitors", "finite", "time_out"]

TRACKING_DISTANCE = 2.0  # rad or m of commanded motion over which a lead is forgotten
TRACKING_MEMORY = 20.0  # s over which a lead is forgotten besides, so that creep below the standstill speed does not add up
OVERSPEED = 1.1  # times the velocity limit: a servo overshoots by less
SMALL = 4096  # numbers
FEW = 64  # numbers

RUNAWAY_SHARE = 0.4  # of the range of a joint that slides, after which it counts as run away at the latest

_JUST_UNDER = 1 - 1e-9  # for rounding


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
        unseen: `[B, J]`, seconds since each position was measured.
        ordered: `[B, J]`, commanded motion since the stamp last advanced, rad.
        away: `[B, J]`, motion against the command, or too fast, since the joint last moved along with its command, rad.
        lead: `[B, J]`, commanded minus measured motion, slowly forgotten, rad.
        travel: `[B, J]`, commanded motion since the measured position last changed, rad.
        waited: `[B, J]`, seconds for which the measured position has not answered to more travel than a joint may have without.
        swing: `[B, J]`, last velocity that was fast enough to count as a swing, rad/s.
        reversals: `[B, J]`, changes of direction, forgotten over a second.
        jumped: `[B, J]` bool, measured positions of the newest sample that are jumps.
    """

    stamp: Array
    age: Array
    position: Array
    unseen: Array
    ordered: Array
    away: Array
    lead: Array
    travel: Array
    waited: Array
    swing: Array
    reversals: Array
    jumped: Array

    def believed(self, period: float) -> Array:
        """Rows `[B]` whose newest sample can be believed: it is not old, and no position is frozen or has jumped; one may be missing."""
        allowed = time_out(period)
        doubted = self.jumped | ((self.waited > _JUST_UNDER * period) & (self.unseen <= allowed))
        return np.asarray((self.age <= allowed) & ~doubted.any(axis=1))


@dataclass(frozen=True, slots=True)
class Alarm:
    """One monitor's finding.

    Attributes:
        rows: `[B]` bool, rows concerned.
        fatal: whether it calls for a stop rather than a hold.
        causes: one sentence per row.
        runaway: whether a stop alone may not help, because a joint does not do what it is told.
    """

    rows: Array
    fatal: bool
    causes: Sequence[str]
    runaway: bool = False


class Monitors:
    """Watches one robot in one command mode."""

    def __init__(
        self, thresholds: Thresholds, mode: str, joints: tuple[str, ...], velocity: Array, runaway: Sequence[float] | None = None
    ) -> None:
        """Prepare.

        Args:
            thresholds: from the robot profile.
            mode: command mode; tracking is only defined for positions and velocities.
            joints: names, for the messages.
            velocity: the robot's own velocity limits, `[J]`, rad/s.
            runaway: travel after which each joint counts as run away, `[J]`, rad or m; None for `runaway_travel`.
        """
        self._thresholds = thresholds
        self._runaway = np.full(len(joints), thresholds.runaway_travel) if runaway is None else np.asarray(runaway)
        self._least_runaway = float(self._runaway.min())
        self._mode = mode
        self._joints = joints
        self._fastest = velocity
        self._twice_fastest = 2 * velocity
        self._overspeed = OVERSPEED * velocity

    def initial(self, batch: int) -> MonitorState:
        """Memory of `batch` rows that have seen nothing."""
        zeros = np.zeros((batch, len(self._joints)))
        return MonitorState(np.full(batch, -np.inf), np.zeros(batch), np.full_like(zeros, np.nan), *(zeros,) * 8, zeros > 0)

    def update(
        self,
        state: MonitorState,
        stamp: Array,
        executed: Array,
        rate: Array,
        position: Array,
        velocity: Array,
        timing: Timing,
        *,
        coming: Array | None = None,
        told: Array | None = None,
    ) -> tuple[MonitorState, list[Alarm]]:
        """Take one sample, or look at the last one again.

        Args:
            state: memory.
            stamp: stamps of the sample, `[B]`, s.
            executed: set-point of positions at this moment, `[B, J]`; NaN where there is none. Not used in other modes.
            rate: commanded velocity since the last look, `[B, J]`, rad/s; not used in effort mode.
            position: measured, `[B, J]`, rad; not finite where a sensor failed, which is not these monitors' business.
            velocity: measured, `[B, J]`, rad/s, likewise.
            timing: of this look.
            coming: motion commanded since the sample was taken, `[B, J]`, rad; None where samples are not late.
            told: where the robot was told to be when the sample was taken, `[B, J]`, rad; None where only the commands tell.
        """
        found: list[Alarm] = []
        period, looked = timing.period, timing.looked
        zeros = np.zeros(position.shape)
        newer = stamp > state.stamp
        age = np.where(newer, 0.0, state.age + looked)
        stale = bool(np.count_nonzero(age))
        if stale or timing.late:
            self._add_rows(found, stamp < state.stamp, False, "stamps of the joint state go backwards")
            self._add_rows(found, np.maximum(age, timing.delay) > time_out(period), True, "joint state is stale")
            stamp = np.where(np.isnan(stamp), state.stamp, stamp)
        known, unseen = None, zeros
        if not finite(position):
            known = np.isfinite(position)
            position = np.where(known, position, state.position)
        if stale or known is not None:
            seen = (age == 0)[:, None] if known is None else known & (age == 0)[:, None]
            unseen = np.where(seen, 0.0, state.unseen + looked)
        moved = position - state.position  # NaN for a first sample, which compares as no jump
        distance = np.abs(moved)
        # A sample that follows lost ones may have moved further than one period allows, and stamps of one that follows at once may be rounded.
        elapsed = np.maximum(stamp - state.stamp, looked)
        fast = jumped = distance > self._overspeed * elapsed[:, None]
        if leaps := np.count_nonzero(fast):
            jumped = distance > self._twice_fastest * np.maximum(elapsed, period)[:, None]
            self._add_joints(found, jumped, "measured position of {} jumped")
        lead, travel, waited, ordered = state.lead, zeros, zeros, zeros
        if self._mode != "effort":
            commanded = rate * (self._on_its_way(timing) if self._mode == "position" else looked)
            if told is not None:
                commanded = np.nan_to_num(told - (state.position + state.lead))  # where it was told to be at the last look
            still = moved == 0
            if np.count_nonzero(still):
                travel = np.where(still, state.travel + commanded, 0.0)
                unanswered = still & (np.abs(state.travel) > self._thresholds.frozen_travel)
                if np.count_nonzero(unanswered):
                    waited = np.where(unanswered, state.waited + looked, 0.0)
                    frozen = (waited > _JUST_UNDER * period) & (age == 0)[:, None]
                    frozen = frozen if known is None else frozen & known
                    self._add_joints(found, frozen, "{} does not follow its command: its measured position is frozen")
            if told is not None:
                lead = told - position
            else:
                lead = executed - position if self._mode == "position" else self._lead(state, commanded, moved, timing)
            behind = lead if coming is None else lead - coming
            if not _within(behind, self._thresholds.tracking_tolerance):
                self._add_joints(found, np.abs(behind) > self._thresholds.tracking_tolerance, "{} does not follow its command")
            ordered = commanded
            if np.count_nonzero(state.age):  # the last look saw nothing new
                ordered = commanded + np.where((state.age > 0)[:, None], state.ordered, 0.0)
        away = self._away(state, moved, ordered)
        if leaps:
            away = np.where(fast, self._too_far(state, moved, ordered, away, elapsed), away)
            away = np.where(jumped, 0.0, away)  # what jumps has not moved there
        if np.count_nonzero(state.jumped):
            jumped = jumped | (state.jumped & ~newer[:, None])  # the same sample again
        if not _within(away, self._least_runaway):
            self._add_joints(found, np.abs(away) > self._runaway, "{} runs away from its command", runaway=True)
        swing = np.where(np.abs(velocity) > self._thresholds.oscillation_speed, velocity, state.swing)
        reversals = state.reversals * math.exp(-looked) + (swing * state.swing < 0)  # those of about a second
        if not _within(reversals, self._thresholds.oscillation):
            self._add_joints(found, reversals > self._thresholds.oscillation, "{} oscillates")
        return MonitorState(stamp, age, position, unseen, ordered, away, lead, travel, waited, swing, reversals, jumped), found

    def _on_its_way(self, timing: Timing) -> float:
        """Seconds since the last look in which a set-point of positions moved on; once it has been reached it rests until the next one."""
        return max(timing.looked - max(timing.since - timing.period, 0.0), 0.0)

    def _lead(self, state: MonitorState, commanded: Array, moved: Array, timing: Timing) -> Array:
        if not finite(moved):
            moved = np.where(np.isfinite(moved), moved, commanded)
        forgotten = np.abs(commanded) / TRACKING_DISTANCE + (1 + timing.looked / TRACKING_MEMORY)
        lead: Array = (state.lead + commanded - moved) / forgotten
        return lead

    def _away(self, state: MonitorState, moved: Array, ordered: Array) -> Array:
        """Motion against the command, or at rest, since the joint last moved along with it, `[B, J]`; an effort commands no motion."""
        if self._mode == "effort":
            return np.zeros(moved.shape)
        if not finite(moved):
            moved = np.where(np.isfinite(moved), moved, 0.0)
        away: Array = (state.away + moved) * (moved * ordered <= 0)  # a product is several times faster than `where`
        return away

    def _too_far(self, state: MonitorState, moved: Array, ordered: Array, away: Array, elapsed: Array) -> Array:
        """As `_away`, `[B, J]`, where joints are faster than they may be: along with the command, what is beyond the limit counts."""
        allowed = self._fastest * elapsed[:, None]
        excess = moved - np.clip(moved, -allowed, allowed)
        along = self._mode == "effort" or moved * ordered > 0
        return np.where(along, np.where(state.away * moved > 0, state.away, 0.0) + excess, away)

    def _add_rows(self, found: list[Alarm], rows: Array, fatal: bool, cause: str) -> None:
        if np.count_nonzero(rows):
            found.append(Alarm(rows, fatal, [cause] * rows.shape[0]))

    def _add_joints(self, found: list[Alarm], cells: Array, cause: str, *, runaway: bool = False) -> None:
        if np.count_nonzero(cells):
            rows = np.asarray(cells.any(axis=1))
            found.append(Alarm(rows, True, [cause.format(self._joints[joint]) for joint in cells.argmax(axis=1)], runaway))


def _within(values: Array, bound: float) -> bool:
    """Whether no value can be beyond a bound, told by the sum of squares of a few; False says nothing."""
    return values.size <= FEW and math.sqrt(np.vdot(values, values)) <= bound
