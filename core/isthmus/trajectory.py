"""What a trajectory controller is told so that what it interpolates keeps the limits, and not only the commands.

`Reference` remembers the motion that it planned last. Each command of the guard is answered by a whole plan: from where the last plan is at that
moment, one period towards the command, and from there a braking tail that ends at rest. Late commands find the joints on the tail; the time they
lost is never made up.

A plan is piecewise linear in acceleration, so that positions, velocities and accelerations of its points belong together, and quintics and cubics
through them are the same motion. The acceleration changes to that of the tail within the last hundredth of the period, and the tail ends in as
short a taper, which makes a plan from any later moment of the tail the rest of the tail itself: sending it again changes nothing.

In velocity mode the period ends at the commanded velocity, or at the fastest whose plan rests before the position limit; where there is none, the
tail begins at once. So every plan rests within the limits, whenever the next one comes. In position mode a set-point s that is due in a period T
is approached by

    v₁ = (s - x) / T - v / 2

from position x and velocity v. With commands on the beat that do not turn back, that is the quadratic B-spline of the set-points: its accelerations
are those between the guard's samples, it never leaves their hull, and it reaches a constant set-point in two periods and rests there. A braking
guard is not followed but obeyed: the tail begins at once, up to one period's way short of the guard's last set-point.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from isthmus.limits import Limits
from isthmus.monitors import time_out
from isthmus.records import Array
from isthmus.spline import Spline

__all__ = ["Reference", "resting_place"]
_TURN = 0.01  # of a period, in which the acceleration changes
_SHORT = 0.1  # of such a turn, that the turn of a joint which brakes much harder than it speeds up has at least
_LOST = 0.05  # of the speed that a period may gain, twice what a turn may take of it
_APART = 0.02  # of a turn, that two points are apart at least
_PEAK = 1.005  # of the velocity limit, that the turn before the tail may reach
_THERE = 1e-9  # rad or m to a set-point that are none
_GRAIN = 1e-9  # s, of times on the wire
_SAG = 0.02  # rad or m by which a servo at rest may measure another place than its set-point
_SAG_SHARE = 0.05  # likewise, of the range of a joint
_SAG_TIME = 0.25  # s, likewise, at the velocity limit

_Tail = tuple[float, float, bool]
"""Velocity at the end of the period, deceleration of the tail, and whether the joint takes the period there instead of the tail at once."""


def resting_place(measured: Array, told: Array, limits: Limits) -> Array:
    """Where a robot at rest goes on from, `[…, J]`: where it was told to be, for joints that only sag from there, else where it is measured.

    A servo holds its set-point and measures a little less: begun at what is measured, each arming would lower the arm by that.
    """
    return np.where(np.abs(told - measured) <= _sags(limits), told, measured)


def _sags(limits: Limits) -> Array:
    ranges = np.subtract(limits.position_high, limits.position_low)
    return np.minimum(np.minimum(_SAG, _SAG_SHARE * ranges), _SAG_TIME * np.array(limits.velocity))


class Reference:
    """The motion of one robot's joints that was sent last.

    Attributes:
        spline: the last plan; None until something begins. Its time 0 is `began`.
        began: s; ahead of now while the robot is still given time to come to where the first plan begins.
    """

    def __init__(self, limits: Limits, period: float, *, waits: bool = True) -> None:
        """Set up; `begin` comes before the first command.

        Args:
            limits: what the motion keeps; an acceleration may be infinite, and tails brake at `stop_acceleration`.
            period: that a command is meant for, s.
            waits: whether a set-point that is not where the motion begins is given the time to come there.
        """
        bounds = (limits.velocity, limits.acceleration, limits.stop_acceleration, limits.position_low, limits.position_high)
        self._limits = limits
        self._joints = [_Joint(*bound, period) for bound in zip(*bounds, strict=True)]
        velocity, acceleration = np.array(limits.velocity), np.array(limits.acceleration)
        ways = np.maximum(1.875 * _sags(limits) / velocity, np.sqrt(10 / math.sqrt(3) * _sags(limits) / acceleration))
        self._patience = float(ways.max()) if waits else 0.0  # s that a quintic from rest to rest takes for what a joint sags
        self._apart = _APART * _TURN * period
        self._memory = time_out(period)
        self._past: deque[tuple[float, Spline]] = deque()
        self.spline: Spline | None = None
        self.began = self._ready = -math.inf
        self._asked: list[float]
        self._latched: list[bool]

    def begin(self, measured: Array, now: float) -> None:
        """Rest where the robot is measured, `[J]`, rad or m, or see `resting_place`; a set-point that is not there yet is given the time to come."""
        told = self.place(now)
        position = measured if told is None else resting_place(measured, told, self._limits)
        self._past.clear()
        self._ready = now + self._patience
        self.spline, self.began = Spline(np.zeros(1), position[None].copy(), *np.zeros((2, 1, position.size))), self._ready
        self._asked, self._latched = position.tolist(), [False] * position.size

    def follow(self, mode: str, values: Array, now: float, *, braking: bool) -> Spline:
        """Plan from now on, which is time 0 of the plan; rest until the robot has had the time to come to where the first plan begins.

        Args:
            mode: "position" or "velocity".
            values: what the guard has let pass, `[J]`, in the unit of the mode.
            now: s, on a clock that runs evenly.
            braking: the guard brakes by itself: every joint brakes at once, and one that rests stays there until another set-point comes.

        Raises:
            ValueError: nothing has begun.
        """
        if self.spline is None:
            raise ValueError("a reference must begin at a position before it follows commands")
        if now < self._ready:
            self._asked = values.tolist()
            return self.spline
        position, velocity, _ = self.spline.sample(now - self.began)
        asked, phases = values.tolist(), []
        for column, (joint, x, v) in enumerate(zip(self._joints, position.tolist(), velocity.tolist(), strict=True)):
            before, value = self._asked[column], asked[column]
            latched = self._latched[column] = braking or (self._latched[column] and value == before)
            if braking or (mode == "position" and latched and v == 0):
                way = (v, joint.braking, False)
            elif mode == "position":
                way = joint.approach(x, v, value, (value - before) / joint.period)
            else:
                way = joint.cruise(x, v, value)
            phases.append(joint.phases(x, v, way, self._apart))
        self._asked = asked
        self._past.append((self.began, self.spline))
        while len(self._past) > 1 and now - self._past[1][0] > self._memory:
            self._past.popleft()
        self.spline, self.began = _points(np.array(phases), self._apart), now
        return self.spline

    def place(self, moment: float) -> Array | None:
        """Where the joints were told to be at a moment not longer ago than a time-out, `[J]`, rad or m; None before anything begins."""
        if self.spline is None:
            return None
        began, spline = self.began, self.spline
        for plan in reversed(self._past):
            if began <= moment:
                break
            began, spline = plan
        return spline.sample(moment - began)[0]


@dataclass(frozen=True, slots=True)
class _Joint:
    """How one joint moves: limits and times in rad or m, and s."""

    velocity: float
    acceleration: float
    braking: float
    low: float
    high: float
    period: float

    @property
    def turn(self) -> float:
        """Seconds in which the acceleration changes to that of the tail; what that takes of the speed has to be won back."""
        return min(max(_LOST * self.acceleration / self.braking, _SHORT * _TURN), _TURN) * self.period

    @property
    def fastest(self) -> float:
        """The velocity that a period may end at: while the acceleration turns to that of the tail, the joint is still a little faster."""
        peak, more = _PEAK * self.velocity, self.braking * self.turn / 2
        if peak < 2 * more:  # a tail that is no more than its taper
            return min(self.velocity, (math.sqrt(more + 4 * peak) - math.sqrt(more)) ** 2 / 4)
        return min(self.velocity, peak - more)

    def within(self, velocity: float, aim: float) -> float:
        """The velocity nearest to `aim` that a period at the limits reaches; towards rest the joint may brake."""
        step, half = self.braking * self.period, self.turn / 2
        reach = max(self.acceleration * (self.period - half) - self.braking * half, self.acceleration * self.period / 2)
        slow = velocity - min(max(velocity, -step), step)
        return min(max(aim, min(velocity - reach, slow)), max(velocity + reach, slow))

    def cruise(self, position: float, velocity: float, asked: float) -> _Tail:
        """The way at a velocity, which rests before the position limits."""
        low, high = self._before(-velocity, position - self.low), self._before(velocity, self.high - position)
        aim = self.within(velocity, min(max(asked, -low, -self.fastest), high, self.fastest))
        if -low <= aim <= high:
            return aim, self.braking, True
        return velocity, self.braking, False

    def _before(self, velocity: float, room: float) -> float:
        """The largest velocity, >= 0, at the end of a period whose plan rests within `room`; -inf where only the tail alone may."""
        if math.isinf(room):
            return room
        mean = (self.period**2 / 2 - self.turn**2 / 6) / (self.period - self.turn / 2)
        left = room - velocity * (self.period - mean) - self.braking * self.turn * (mean / 2 - self.turn / 8)
        if left < 0:
            return 0.0 if velocity <= 0 else -math.inf
        return 2 * left / (mean + math.sqrt(mean * mean + 2 * left / self.braking))

    def approach(self, position: float, velocity: float, asked: float, rate: float) -> _Tail:
        """The way to a set-point that the guard moves at a rate."""
        gap = asked - position
        if velocity == 0 and abs(gap) < _THERE:
            return 0.0, self.braking, False
        aim = gap / self.period - velocity / 2
        if gap * velocity >= 0 and aim * velocity < 0:  # it stops within the period
            return velocity, min(self._stopping(abs(velocity), abs(gap)), self.braking), False
        # Never faster than what stops where the guard itself would stop, which goes on at the rate and then brakes.
        further = math.copysign(max(rate * rate / (2 * self.braking) - abs(rate) * self.period / 2, 0.0), rate)
        ahead = gap - velocity * self.period / 2
        high = min(self._stoppable(ahead + max(further, 0.0)), self.fastest)
        low = min(self._stoppable(-ahead - min(further, 0.0)), self.fastest)
        aim = self.within(velocity, min(max(aim, -low), high))
        room = math.copysign(1.0, aim) * (gap - (velocity + aim) * self.period / 2)
        return aim, min(max(self._stopping(abs(aim), room), abs(aim) / self.period), self.braking), True

    def _stoppable(self, room: float) -> float:
        """Largest speed v with v T / 2 + v² / (2 b) <= room, where the turn adds itself to the period T."""
        if room <= 0:
            return 0.0
        step = (self.period + self.turn) / 2
        return 2 * room / (step + math.sqrt(step * step + 2 * room / self.braking))

    def _stopping(self, speed: float, room: float) -> float:
        """The deceleration of a tail that ends after `room`; infinite if there is none."""
        if room <= 0 or speed == 0:
            return math.inf
        if room < speed * self.turn / 3:  # no more than the taper
            rate = speed / (3 * room)
            return 2 * self.turn * speed * rate * rate
        return speed * speed / (room + math.sqrt(max(room * room - (speed * self.turn) ** 2 / 12, 0.0)))

    def phases(self, position: float, velocity: float, way: _Tail, least: float) -> list[list[float]]:
        """Beginning, position, velocity, acceleration and jerk of a plan's five phases; the last is rest, as is all of one shorter than `least` s."""
        aim, deceleration, moves = way
        speed, forward = abs(aim), math.copysign(1.0, aim)
        if speed >= deceleration * self.turn / 2:
            slowing, even, taper = -forward * deceleration, speed / deceleration - self.turn / 2, self.turn
        else:
            even, taper = 0.0, math.sqrt(2 * speed * self.turn / deceleration)
            slowing = -forward * 2 * speed / taper if taper > 0 else 0.0
        change = (aim - velocity - slowing * self.turn / 2) / (self.period - self.turn / 2)
        pushes = [(self.period - self.turn, change, change), (self.turn, change, slowing)] if moves and (aim or velocity) else []
        pushes += [(even, slowing, slowing), (taper, slowing, 0.0)]
        begin, rows = 0.0, []
        if sum(length for length, _, _ in pushes) > least:
            for length, first, last in pushes:
                if length > 0:
                    jerk = (last - first) / length
                    rows.append([begin, position, velocity, first, jerk])
                    position += length * (velocity + length * (first / 2 + length * jerk / 6))
                    velocity += length * (first + length * jerk / 2)
                    begin += length
        return rows + [[begin, position, 0.0, 0.0, 0.0]] * (5 - len(rows))


def _points(phases: Array, apart: float) -> Spline:
    """Points of a plan at the beginnings of its phases, `[J, 5, 5]`; of those nearer to each other than `apart` s the last.

    A phase that began so shortly before its point has the acceleration of its beginning there, so that the one before ends as it was meant to.
    """
    begins, columns = phases[:, :, 0], np.arange(len(phases))
    moments: list[float] = []
    for moment in sorted(set(begins.ravel().tolist()), reverse=True):
        if moment >= apart and (not moments or moments[-1] - moment >= apart):
            moments.append(moment)
    times = np.round(np.array([0.0, *reversed(moments)]) / _GRAIN) * _GRAIN
    phase = (times[:, None, None] >= begins - _GRAIN).sum(axis=2) - 1
    begin, position, velocity, acceleration, jerk = phases[columns, phase].transpose(2, 0, 1)
    h = np.maximum(times[:, None] - begin, 0.0)
    return Spline(
        times,
        position + h * (velocity + h * (acceleration / 2 + h * jerk / 6)),
        velocity + h * (acceleration + h * jerk / 2),
        acceleration + np.where(h < apart, 0.0, h) * jerk,
    )
