"""Slow way to a start pose: minimum jerk (Flash & Hogan 1985), one duration for all joints, followed through the guard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array, Measurement, reorder

__all__ = ["MAX_RAMP", "PEAK_SPEED", "Ramp", "ramp_goal"]

MAX_RAMP = 0.5
"""Furthest joint distance that is ramped to the start pose, rad or m: nothing here plans around obstacles."""

PEAK_SPEED = 0.25
"""No joint is commanded faster, rad/s (m/s for prismatic joints)."""
_PLANNED_SPEED = 0.2  # leaves room for the correction of the servo's lag
_PEAK = 15 / 8  # of the unit quintic's velocity, at half time
_GAIN = 2.0  # 1/s
_SETTLING = 3.0  # s after the ramp's end within which the goal must be reached


class Ramp:
    """A move from `start` to `goal`, `[J]` each, at rest at both ends.

    Attributes:
        duration: seconds.
    """

    def __init__(self, start: Array, goal: Array, tolerance: Array | float = np.inf) -> None:
        """Plan the move; its fastest joint peaks below `PEAK_SPEED`, and it is over within `tolerance`, `[J]`, of the goal."""
        self._start, self._goal, self._step, self._tolerance = start, goal, goal - start, tolerance
        self.duration = _PEAK * float(np.abs(self._step).max(initial=0.0)) / _PLANNED_SPEED

    @classmethod
    def to(cls, goal: Mapping[str, float], contract: Contract, position: Array) -> Ramp:
        """From `position`, `[J]` in the order of the actions, to `goal`; joints that it does not name stay, and only start poses must be met."""
        joints = contract.action.elements
        target = np.array([goal.get(joint, value) for joint, value in zip(joints, position, strict=True)])
        return cls(position, target, np.array([contract.start.get(joint, (0.0, np.inf))[1] for joint in joints]))

    def reached(self, time: float, position: Array) -> bool:
        """Whether the move is over at `time`, s, with the robot at `position`, `[J]`.

        Raises:
            RuntimeError: it should have been for 3 s.
        """
        if time >= self.duration and (np.abs(self._goal - position) <= self._tolerance).all():
            return True
        if time > self.duration + _SETTLING:
            raise RuntimeError(f"the start pose was not reached within {time:.1f} s")
        return False

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


def ramp_goal(contract: Contract, measurement: Measurement) -> tuple[dict[str, float] | None, list[str]]:
    """Where to ramp to before the policy may run.

    Returns:
        joint → position of the start pose, or None if the robot is already within its tolerance; and why it cannot be reached by a ramp.
    """
    joints = tuple(contract.start)
    if not joints:
        return None, []
    position = reorder(measurement.position, measurement.joints, joints)[0]
    distance = {joint: float(value - contract.start[joint][0]) for joint, value in zip(joints, position, strict=True)}
    if all(abs(gap) <= contract.start[joint][1] for joint, gap in distance.items()):
        return None, []
    far = max(distance, key=lambda joint: abs(distance[joint]))
    units = dict(zip(contract.action.elements, contract.action.units, strict=True))
    unit = "m" if units.get(far) in ("m", "m/s", "N") else "rad"
    if contract.mode == "effort":
        return None, [f"{far} is {distance[far]:+.3f} {unit} from the start pose, and an effort-controlled robot is not ramped"]
    if abs(distance[far]) > MAX_RAMP:
        return None, [
            f"{far} is {distance[far]:+.3f} {unit} from the start pose; at most {MAX_RAMP:g} {unit} are ramped, at {PEAK_SPEED:g} {unit}/s"
        ]
    return {joint: contract.start[joint][0] for joint in joints}, []
