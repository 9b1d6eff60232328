"""What a robot may be told next: the bounds of one command, and the command that brakes.

`MotionEnvelope` bounds position and velocity commands, `EffortEnvelope` bounds efforts. Both are pure and vectorised, and every row is computed with
elementwise operations only, so that a row of a batch equals a single run bit for bit. There is no self-collision or obstacle check.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.limits import Limits
from isthmus.monitors import time_out
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.timing import Timing

__all__ = ["FADE", "EffortEnvelope", "Envelope", "MotionEnvelope", "Situation", "Trail"]

FADE = 1.0
"""Seconds in which the gravity effort of a joint that is no longer seen goes to zero."""
Trail = tuple[tuple[float, Array], ...]

_MARGIN = 1 + 1e-9  # for rounding
_ENDLESS = 1e300  # rad or m of room, or an acceleration: multiplied by another number, even by 0, it still is one
_LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the time until the last joint rests, at which the box is looked at


@dataclass(slots=True)
class Situation:
    """What bounds the next command.

    Attributes:
        executed: last executed command, `[B, J]`, in the unit of the mode.
        rate: commanded velocity of the last period, `[B, J]`, rad/s.
        anchor: position that an effort-controlled robot is held at, `[B, J]`, rad.
        position: last measured, `[B, J]`, rad.
        velocity: measured, `[B, J]`, rad/s.
        age: seconds since each position was measured, `[B, J]`.
        timing: of this check.
        trail: commands before `executed`, newest first: seconds that each was in force, and its rates `[B, J]`; only kept while samples are late.
        place: where the robot is told to be now, `[B, J]`, rad or m; None where only the commands tell.
        leaves: rows `[B]` that brake, as what was asked of them would leave the workspace box; None before that is known, or without a box.
    """

    executed: Array
    rate: Array
    anchor: Array
    position: Array
    velocity: Array
    age: Array
    timing: Timing
    trail: Trail = ()
    place: Array | None = None
    leaves: Array | None = None


class Envelope(Protocol):
    """Bounds of one command mode."""

    def clamp(self, asked: Array, now: Situation) -> Array:
        """The command nearest to `asked` that keeps every limit, `[B, J]`; not finite only where `asked` is not."""
        ...

    def brake(self, now: Situation) -> Array:
        """The command that brakes, and then holds, `[B, J]`; always finite, and `clamp` leaves it alone."""
        ...


class MotionEnvelope:
    """Velocity, acceleration, position limits and the workspace box, for position and velocity commands."""

    def __init__(self, robot: Robot, limits: Limits, mode: str, rate_scale: float) -> None:
        self._positions = mode == "position"
        self._low, self._high = np.array(limits.position_low), np.array(limits.position_high)
        self._velocity = np.array(limits.velocity) * rate_scale
        self._acceleration = np.minimum(np.array(limits.acceleration) * rate_scale, _ENDLESS)
        self._braking = np.array(limits.stop_acceleration) * rate_scale  # of looking ahead
        self._hardest = robots_own(robot, limits, "stop_acceleration") * rate_scale  # of braking
        self._stopping = self._velocity**2 / (2 * self._braking)
        self._lag = robot.monitors.tracking_lag
        self._joints = limits.joints
        self._box = limits.workspace
        self._points = robot.workspace_points or (robot.tool_frame,)
        self._kinematics = Kinematics(robot.urdf_path) if limits.workspace else None

    def clamp(self, asked: Array, now: Situation) -> Array:
        """See `Envelope.clamp`. The way to a stop, one period at the new velocity and braking after it, ends before every position limit."""
        period = now.timing.period
        slowest = self._slowest(now)
        reach = self._acceleration * now.timing.step
        low = np.maximum(now.rate - reach, -self._velocity)
        high = np.minimum(now.rate + reach, self._velocity)
        reference = self._reference(now)
        room_low, room_high = reference - self._low, self._high - reference
        # Farther than this from both limits they cannot bind; the margin keeps that true after rounding, whatever the other rows do.
        far = (self._velocity * period + self._stopping) * _MARGIN
        if np.count_nonzero(np.minimum(room_low, room_high) <= far):
            low = np.maximum(low, -_stoppable(room_low, self._braking, period))
            high = np.minimum(high, _stoppable(room_high, self._braking, period))
        # Braking is always allowed, and braking harder than the robot can is never asked for, even if it comes too late.
        low, high = np.minimum(low, slowest), np.maximum(high, slowest)
        if self._positions:
            low, high, slowest = now.executed + low * period, now.executed + high * period, now.executed + slowest * period
        values = np.minimum(np.maximum(asked, low), high)
        if self._kinematics is not None:
            chosen = (values - now.executed) / period if self._positions else values
            ahead = None
            if now.place is not None and not self._positions:  # a motion slows down in the course of the period, a command at once
                slower = now.rate - chosen
                ahead = np.where(slower * chosen >= 0, slower * period / 2, 0.0)
            now.leaves = self._leaves_box(self._kinematics, reference, chosen, period, ahead)
            values = np.where(now.leaves[:, None], slowest, values)
        return values

    def brake(self, now: Situation) -> Array:
        """See `Envelope.brake`: from the last executed command at the robot's own `stop_acceleration`, then constant."""
        slowest = self._slowest(now)
        return now.executed + slowest * now.timing.period if self._positions else slowest

    def _slowest(self, now: Situation) -> Array:
        step = self._hardest * now.timing.step
        return np.asarray(now.rate - np.minimum(np.maximum(now.rate, -step), step))

    def _reference(self, now: Situation) -> Array:
        """Where the set-point is, `[B, J]`."""
        if self._positions:
            return now.executed
        if now.place is not None:
            return now.place
        # A lagging servo has yet to travel this far, and a late sample does not show what was commanded since.
        reference = now.position + now.velocity * self._lag
        if np.count_nonzero(now.age):
            reference = reference + commanded(now.executed, now.age, now.timing, now.trail)
        return reference

    def _leaves_box(self, kinematics: Kinematics, reference: Array, velocity: Array, period: float, ahead: Array | None) -> Array:
        """Rows `[B]` whose way to the predicted stopping point leaves the box, and is nowhere nearer to it than now.

        One period at the velocity, then every joint is slower from period to period by itself: some rest while the fastest still moves. Looked at
        are five moments, evenly until the last one rests. A motion slows down evenly, and comes further by what it is `ahead` of the velocity.
        """
        speed = np.abs(velocity)
        slower = self._braking * period  # by which each period is slower than the one before
        now, then = self._beyond(kinematics, reference), np.zeros(len(velocity))
        if ahead is None:
            left = np.maximum(np.ceil(speed / slower), 1.0)  # periods in which each joint moves
        else:
            left, reference = 1.0 + speed / slower, reference + ahead
        last = left.max(axis=1, keepdims=True)
        for share in _LOOKS:
            passed = np.minimum(left, share * last)
            if ahead is not None:
                way = passed * speed - slower * np.maximum(passed - 1, 0.0) ** 2 / 2
            else:
                whole = np.floor(passed)
                way = whole * speed - slower * whole * (whole - 1) / 2 + (passed - whole) * (speed - whole * slower)
            then = np.maximum(then, self._beyond(kinematics, reference + np.copysign(period * way, velocity)))
        return np.asarray((then > 0) & (then >= now))

    def _beyond(self, kinematics: Kinematics, position: Array) -> Array:
        """How far the outermost checked point is outside the box, `[B]`, m; 0 inside."""
        assert self._box is not None  # noqa: S101 - there are kinematics only if there is a box
        poses = kinematics.poses(self._joints, position, self._points)
        points = np.stack([pose.position for pose in poses.values()])
        outside = np.maximum(np.array(self._box.low) - points, points - np.array(self._box.high))
        return np.asarray(np.maximum(outside.max(axis=(0, 2)), 0.0))


class EffortEnvelope:
    """Effort limits, and no effort that speeds up a joint beyond its velocity limit. Positions and the workspace are not bounded in this mode."""

    def __init__(self, robot: Robot, limits: Limits, rate_scale: float) -> None:
        if robot.hold is None:
            raise ValueError(f"robot {robot.name!r} is commanded by effort, so its profile needs hold: {{kp, kd, gravity}}")
        columns = [robot.joint_names.index(joint) for joint in limits.joints]
        self._kp, self._kd = np.array(robot.hold.kp)[columns], np.array(robot.hold.kd)[columns]
        self._velocity = np.array(limits.velocity) * rate_scale
        self._effort = np.array(limits.effort)
        self._joints = limits.joints
        self._kinematics = Kinematics(robot.urdf_path) if robot.hold.gravity else None

    def clamp(self, asked: Array, now: Situation) -> Array:
        """See `Envelope.clamp`."""
        low = np.where(now.velocity < -self._velocity, 0.0, -self._effort)
        high = np.where(now.velocity > self._velocity, 0.0, self._effort)
        return np.asarray(np.minimum(np.maximum(asked, low), high))

    def brake(self, now: Situation) -> Array:
        """See `Envelope.brake`: kp (anchor − q) − kd q̇ plus gravity; nothing where no position is known, gravity alone without an anchor or velocity.

        A joint that has not been seen for longer than the time-out is given its gravity at the last known positions alone, which fades to zero within
        a second: gains on a position of long ago would push for ever.
        """
        unseen = now.age - time_out(now.timing.period)  # s
        held = self._kp * (now.anchor - now.position) - self._kd * now.velocity
        effort = np.where((unseen > 0) | np.isnan(held), 0.0, held)
        if self._kinematics is not None:
            left = np.minimum(np.maximum(1 - unseen / FADE, 0.0), 1.0)
            effort = effort + left * self._kinematics.gravity(self._joints, now.position)
        return self.clamp(np.where(np.isfinite(effort), effort, 0.0), now)


def robots_own(robot: Robot, limits: Limits, name: str) -> Array:
    """A limit of the robot itself for the joints of `limits`, `[J]`."""
    own = robot.limits()
    return np.array([getattr(own, name)[own.joints.index(joint)] for joint in limits.joints])


def commanded(rates: Array, age: Array, timing: Timing, trail: Trail, lasting: float = math.inf) -> Array:
    """Motion that was commanded since each joint was measured, `[B, J]`.

    Args:
        rates: commanded last, `[B, J]`, rad/s.
        age: seconds since each position was measured, `[B, J]` or `[B, 1]`.
        timing: of this check.
        trail: commands before; what was in force before it begins counts as its oldest command.
        lasting: seconds after which a command is carried out and moves nothing any more.
    """
    if not trail:
        return rates * age
    part = np.minimum(age, timing.since)
    way, left = rates * np.maximum(part - max(timing.since - lasting, 0.0), 0.0), age - part
    for lasted, rates in trail:  # `rates` ends as the oldest that counts
        if not np.count_nonzero(left):
            break
        part = np.minimum(left, lasted)
        way, left = way + rates * np.maximum(part - max(lasted - lasting, 0.0), 0.0), left - part
    return np.asarray(way + rates * left)


def _stoppable(room: Array, braking: Array, period: float) -> Array:
    """Largest speed v with v T + v² / (2 b) <= room: one period T at v, then braking at b, ends before the limit."""
    room = np.maximum(room, 0.0)
    step = braking * period
    root = np.sqrt(step * step + 2 * braking * room)
    # The root minus the step, without the cancellation that would overshoot the limit by a rounding error; room may be infinite.
    return np.asarray(np.where(np.isfinite(root), 2 * braking * np.minimum(room, _ENDLESS) / (root + step), np.inf))


def longer_trail(trail: Trail, rates: Array, timing: Timing) -> Trail:
    """`trail` with the rates `[B, J]` in force until now before it, as far back as a sample may be late."""
    longer, lasted = [(timing.since, rates)], timing.since
    for entry in trail:
        if lasted > time_out(timing.period):
            break
        longer.append(entry)
        lasted += entry[0]
    return tuple(longer)
