"""Limit cycles at the rate of the joint states: a swing near half the control rate or above hides between the samples that the guard sees."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isthmus.robot import Robot

__all__ = ["Swings"]


class Swings:
    """Counts how often each joint turns round within about a second, as the guard's own monitor does once per control period.

    Only for arms: the wheels of a base and the legs of a walking robot are judged in other units, or turn round at every step.
    """

    def __init__(self, robot: Robot) -> None:
        """Count nothing yet; the thresholds are those of the robot's profile."""
        self._joints = robot.joint_names
        self._counts = robot.base.kind == "fixed" and math.isfinite(robot.monitors.oscillation)
        self._most, self._slowest = robot.monitors.oscillation, robot.monitors.oscillation_speed
        self._last = [0.0] * len(self._joints)
        self._reversals = [0.0] * len(self._joints)
        self._stamp = -math.inf

    def add(self, stamp: float, velocities: Sequence[float]) -> None:
        """Take the velocities (rad/s) of a joint state, in the profile's order, at its stamp (s); what is no number or not newer is left out."""
        if not self._counts or stamp <= self._stamp:
            return
        kept = math.exp(self._stamp - stamp)
        self._stamp = stamp
        for joint, velocity in enumerate(velocities):
            self._reversals[joint] *= kept
            if abs(velocity) > self._slowest:
                self._reversals[joint] += velocity * self._last[joint] < 0
                self._last[joint] = velocity

    @property
    def problem(self) -> str:
        """Which joint oscillates, in one sentence; "" if none does."""
        for joint, reversals in zip(self._joints, self._reversals, strict=True):
            if reversals > self._most:
                return f"{joint} oscillates"
        return ""
