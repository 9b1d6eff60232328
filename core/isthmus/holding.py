"""Where a robot that is commanded by effort is held: its anchors, one per joint, which the spring of a hold pulls it to.

An anchor comes from a sample that can be believed. It is forgotten where a sample cannot, and after a gap where the joint is found elsewhere, and
then latched anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.envelope import Situation, robots_own
from isthmus.limits import Limits
from isthmus.monitors import MonitorState, time_out
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.rungs import GuardState
from isthmus.timing import Timing

__all__ = ["Holding"]

_GIVES = 0.02  # rad or m by which a joint may move unseen, and still be held where it was


class Holding:
    """Latches, doubts and watches anchors, `[B, J]` rad or m; NaN where there is none."""

    def __init__(self, robot: Robot, limits: Limits, runaway: Sequence[float]) -> None:
        """Prepare; `runaway` is the travel after which each joint counts as run away, `[J]`."""
        assert robot.hold is not None  # noqa: S101 - the envelope has refused others
        self._braking, self._fastest = robots_own(robot, limits, "stop_acceleration"), robots_own(robot, limits, "velocity")
        self._low, self._high, self._runaway = np.array(limits.position_low), np.array(limits.position_high), np.array(runaway)
        self._springs = np.array([robot.hold.kp[robot.joint_names.index(joint)] > 0 for joint in limits.joints])

    def latched(self, state: GuardState, braking: Array, now: Situation) -> Array:
        """The anchors of rows that brake, `[B]`: predicted stopping points, within the limits, from when braking begins; NaN of unknown motion."""
        speed = np.clip(now.velocity, -self._fastest, self._fastest)
        low, high = np.minimum(self._low, now.position), np.maximum(self._high, now.position)
        stopping_point = np.clip(now.position + speed * np.abs(speed) / (2 * self._braking), low, high)
        begins = (braking & ~state.braking)[:, None] | np.isnan(now.anchor)
        return np.where(begins, stopping_point, now.anchor)

    def doubted(self, anchor: Array, before: MonitorState, monitors: MonitorState, timing: Timing) -> Array:
        """The anchors without those of joints that have jumped, that late samples tell of, or that a gap of a time-out has moved since `before`.

        A spring that does not balance a load sags, so that each anchor latched anew would lower the arm by that.
        """
        allowed = time_out(timing.period)
        late = np.reshape(timing.delay, (-1, 1)) > allowed
        moved = (before.unseen > allowed) & (np.abs(monitors.position - before.position) > _GIVES)
        return np.where(monitors.jumped | ((monitors.unseen == 0) & (late | moved)), np.nan, anchor)

    def torn(self, state: GuardState, monitors: MonitorState, velocity: Array) -> Array:
        """Joints `[B, J]` that a spring holds, and that move on away from their anchor, or may: a velocity can be unknown."""
        away = monitors.position - state.anchor
        held = state.braking[:, None] & self._springs & ~monitors.jumped
        return np.asarray((np.abs(away) > self._runaway) & ~(away * velocity <= 0) & held)
