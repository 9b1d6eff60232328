"""What a trajectory controller is told so that what it interpolates keeps the limits, and not only the commands.

`Reference` remembers the motion that it planned last. Each command of the guard is answered by a whole plan: from where the last plan is at that
moment, one period towards the command, and from there a braking tail that ends at rest. Late commands find the joints on the tail; the time they
lost is never made up.

A plan is piecewise linear in acceleration, so that positions, velocities and accelerations of its points belong together, and quintics and cubics
through them are the same motion. The acceleration changes to that of the tail within the last hundredth of the period, and the tail ends in as
short a taper, which makes a plan from any later moment of the tail the rest of the tail itself: sending it again changes nothing.

In velocity mode the period ends at the commanded velocity. In position mode a set-point s that is due in a period T is approached by

    v₁ = (s - x) / T - v / 2

from position x and velocity v. With commands on the beat that is the quadratic B-spline of the set-points: its accelerations are those between the
guard's samples, it never leaves their hull, and it reaches a constant set-point in two periods and rests there.
"""

from __future__ import annotations

import numpy as np

from isthmus.records import Array
from isthmus.spline import Spline

__all__ = ["Reference"]

_TURN = 0.01  # of a period, in which the acceleration changes
_APART = 0.02  # of a turn, that two points are apart at least
_PEAK = 1.005  # of the velocity limit, that the turn before the tail may reach
_THERE = 1e-9  # rad or m to a set-point that are none
_GRAIN = 1e-9  # s, of times on the wire


class Reference:
    """The motion of one robot's joints that was sent last.

    Attributes:
        spline: the last plan; None until something begins. Its time 0 is `began`.
        began: s.
    """

    def __init__(self, velocity: Array, acceleration: Array, braking: Array, period: float) -> None:
        """Set up; `begin` comes before the first command.

        Args:
            velocity: limit, `[J]`, rad/s or m/s.
            acceleration: limit in normal motion, `[J]`, rad/s² or m/s²; may be infinite.
            braking: deceleration of tails, `[J]`, finite.
            period: that a command is meant for, s.
        """
        self._period, self._turn = period, _TURN * period
        self._acceleration, self._braking = acceleration, braking
        # While the acceleration turns to that of the tail, the velocity is above its value at the end of the period by braking * turn / 2 at most.
        self._velocity = np.minimum(velocity, np.maximum(_PEAK * velocity - braking * self._turn / 2, velocity / 2))
        self.spline: Spline | None = None
        self.began = -np.inf
        self._asked = np.zeros(velocity.shape)
        self._latched = np.zeros(velocity.shape, dtype=bool)

    def begin(self, position: Array, now: float) -> None:
        """Rest at a position, `[J]`, rad or m."""
        self.spline, self.began = Spline(np.zeros(1), position[None].copy()), now
        self._asked, self._latched = position, np.zeros(position.shape, dtype=bool)

    def follow(self, mode: str, values: Array, now: float, *, braking: bool) -> Spline:
        """Plan from now on, which is time 0 of the plan.

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
        position, velocity, _ = self.spline.sample(now - self.began)
        self._latched = np.full(velocity.shape, True) if braking else self._latched & (values == self._asked)
        if braking:
            aim, moves, deceleration = velocity, np.zeros(velocity.shape, dtype=bool), self._braking
        elif mode == "position":
            aim, moves, deceleration = self._approach(position, velocity, values)
        else:
            aim = self._within(velocity, np.clip(values, -self._velocity, self._velocity))
            moves, deceleration = np.ones(velocity.shape, dtype=bool), self._braking
        self.spline, self.began = self._plan(position, velocity, aim, moves, deceleration), now
        self._asked = values
        return self.spline

    def _approach(self, position: Array, velocity: Array, asked: Array) -> tuple[Array, Array, Array]:
        """Towards set-points: velocities at the end of the period, joints that take a period instead of the tail at once, decelerations of the tail."""
        period, hardest, way = self._period, self._braking, np.sign(velocity)
        gap = asked - position
        gap = np.where((velocity == 0) & (self._latched | (np.abs(gap) < _THERE)), 0.0, gap)
        aim = gap / period - velocity / 2
        stops = (gap * way >= 0) & (aim * way < 0)  # within the period
        # Never faster than what stops where the guard itself would stop, which goes on at the rate of its set-points and then brakes.
        rate = (asked - self._asked) / period
        further = np.sign(rate) * np.maximum(rate**2 / (2 * hardest) - np.abs(rate) * period / 2, 0.0)
        half = velocity * period / 2
        fastest = np.minimum(self._stoppable(gap + np.maximum(further, 0.0) - half), self._velocity)
        slowest = -np.minimum(self._stoppable(half - gap - np.minimum(further, 0.0)), self._velocity)
        aim = self._within(velocity, np.clip(aim, slowest, fastest))
        speed = np.abs(np.where(stops, velocity, aim))
        room = np.where(stops, gap * way, (gap - (velocity + aim) * period / 2) * np.sign(aim))
        gentle = np.where(stops, 0.0, speed / period)
        return aim, ~stops, np.minimum(np.maximum(self._stopping(speed, room), gentle), hardest)

    def _within(self, velocity: Array, aim: Array) -> Array:
        """The velocity nearest to `aim` that a period at the limits reaches; towards rest the joints may brake."""
        slow = velocity - np.clip(velocity, -self._braking * self._period, self._braking * self._period)
        reach = self._acceleration * self._period
        return np.clip(aim, np.minimum(velocity - reach, slow), np.maximum(velocity + reach, slow))

    def _stoppable(self, room: Array) -> Array:
        """Largest speed v with v T / 2 + v² / (2 b) <= room, where the turn adds a quarter of itself to the period T."""
        step = self._period / 2 + self._turn / 2
        room = np.maximum(room, 0.0)
        return 2 * room / (step + np.sqrt(step**2 + 2 * room / self._braking))

    def _stopping(self, speed: Array, room: Array) -> Array:
        """The deceleration of a tail that ends after `room`; infinite if there is none."""
        turn, ahead = self._turn, np.maximum(room, 1e-150)
        root = np.sqrt(np.maximum(ahead**2 - (speed * turn) ** 2 / 12, 0.0))
        with np.errstate(over="ignore"):
            short = 2 * turn * speed**3 / (9 * ahead**2)  # no more than the taper
            return np.where(room <= 0, np.inf, np.where(ahead < speed * turn / 3, short, speed**2 / (ahead + root)))

    def _plan(self, position: Array, velocity: Array, aim: Array, moves: Array, deceleration: Array) -> Spline:
        """One period to the velocity `aim` for joints that move, and the tail."""
        period, turn = self._period, self._turn
        leaving = np.where(moves, aim, velocity)  # where the tail begins
        speed = np.abs(leaving)
        deceleration = np.where(speed > 0, np.maximum(deceleration, 1e-12), 1.0)
        long = speed >= deceleration * turn / 2
        taper = np.where(long, turn, np.sqrt(2 * speed * turn / deceleration))
        even = np.where(long, speed / deceleration - turn / 2, 0.0)
        slowing = -np.sign(leaving) * np.where(long, deceleration, 2 * speed / np.maximum(taper, 1e-300))
        change = np.where(moves, (aim - velocity - slowing * turn / 2) / (period - turn / 2), 0.0)
        durations = np.stack([np.where(moves, period - turn, 0.0), np.where(moves, turn, 0.0), even, taper])
        rests = ((velocity == 0) & (leaving == 0)) | (durations.sum(axis=0) < _APART * turn)
        return _spline(
            position,
            np.where(rests, 0.0, velocity),
            np.where(rests, 0.0, durations),
            np.where(rests, 0.0, np.stack([change, change, slowing, slowing])),
            np.where(rests, 0.0, np.stack([change, slowing, slowing, np.zeros_like(slowing)])),
            _APART * turn,
        )


def _spline(position: Array, velocity: Array, durations: Array, first: Array, last: Array, apart: float) -> Spline:
    """Points at the ends of phases of linear acceleration.

    Args:
        position: at the beginning, `[J]`.
        velocity: there, `[J]`.
        durations: of the phases that follow each other, each joint with its own, `[P, J]`, s; after them it rests.
        first: accelerations at their beginnings, `[P, J]`.
        last: accelerations at their ends, `[P, J]`.
        apart: s that two points are apart at least.
    """
    ends = np.cumsum(durations, axis=0)
    times = _moments(ends, apart)
    at = times[:, None]
    places, speeds = np.broadcast_to(position, (times.size, position.size)), np.broadcast_to(velocity, (times.size, position.size))
    accelerations = np.zeros(places.shape)
    for length, end, start, final in zip(durations, ends, first, last, strict=True):
        here, lasts = at - (end - length), length > 0
        slope = np.where(lasts, (final - start) / np.where(lasts, length, 1.0), 0.0)
        within = lasts & (here >= 0)
        h = np.minimum(here, length)
        places = np.where(within, position + h * (velocity + h * (start / 2 + h * slope / 6)), places)
        speeds = np.where(within, velocity + h * (start + h * slope / 2), speeds)
        accelerations = np.where(within, start + h * slope, accelerations)
        position = position + length * (velocity + length * (start / 2 + length * slope / 6))
        velocity = velocity + length * (start + length * slope / 2)
    over = at >= ends[-1] - _GRAIN
    return Spline(times, np.where(over, position, places), np.where(over, 0.0, speeds), np.where(over, 0.0, accelerations))


def _moments(ends: Array, apart: float) -> Array:
    """Times of points, in whole nanoseconds: 0, and of moments closer to each other than `apart` the last."""
    moments: list[float] = []
    for moment in np.unique(ends)[::-1].tolist():
        if moment >= apart and (not moments or moments[-1] - moment >= apart):
            moments.append(moment)
    return np.round(np.array([0.0, *reversed(moments)]) / _GRAIN) * _GRAIN
