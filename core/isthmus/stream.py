"""The guard over a stream of commands: each accepted command is filtered once, and what does not come is braked for.

Nothing here knows ROS, and one thread calls everything. In time that passes by itself, `watch` is called often; it brakes, one control period after
the other, whenever no command may decide or none does. In stepped time each new state is answered once: by the command that was made for it, or by
braking.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from isthmus.guard import HOLD, STOP, Decision, LimitGuard
from isthmus.monitors import time_out
from isthmus.records import Array, Command, Measurement
from isthmus.rungs import passing

__all__ = ["Asked", "GuardedStream", "Robotic"]

_AT_ONCE = 1.5  # periods of credit that a stream can save up: commands may jitter by half a period
_SURPLUS = 1.0  # s of commands beyond the rate of the contract after which the guard stops
_LULL = 5  # periods without a surplus command that begin the count anew
_LATE = 0.02  # s without a look after which messages that came meanwhile are let in before anything is missed
_FROZEN = 0.2  # s without a look that the guard forgives itself in motion
_MARGIN = 0.010  # s beyond a period that a stream of commands is given before a demand is carried out in its place
_STILL = 2  # control periods at rest in a row that confirm standstill
_OBEY = 0.5  # s after which a robot that was told to rest must not have gone further than
_ASTRAY = 0.1  # rad or m
_ABORT = 5.0  # s on the steady clock without a command in stepped time
_GRAIN = 0.4  # of the watch's own period, by which a braking command may come early rather than late


class Robotic(Protocol):
    """What the stream needs to know of a robot; see `StateTopic`."""

    realtime: bool
    state_topic: str

    @property
    def age(self) -> float:
        """Seconds since the newest sample arrived."""
        ...

    @property
    def stamp(self) -> int:
        """Stamp of the newest sample, ns."""
        ...

    def read(self) -> Measurement:
        """The newest sample."""
        ...

    def fault(self) -> str:
        """What is wrong with the newest sample's time."""
        ...

    def begin(self) -> None:
        """The next command begins where the robot is."""

    def send(self, command: Command, sequence: int, *, braking: bool) -> None:
        """Send a command that has passed the guard, or that it brakes with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One command from the wire.

    Attributes:
        epoch: of the policy process that asks.
        sequence: its number.
        stamp: of the decision, ns.
        age: of the decision when the command arrived, s.
        command: what is asked for.
    """

    epoch: str
    sequence: int
    stamp: int
    age: float
    command: Command


class GuardedStream:
    """Lets the commands of one stream through a guard.

    Attributes:
        state: the guard's state.
        decision: the newest one; None before the first.
        sequence: number of the newest accepted command; -1 before the first since arming.
        counts: commands that were dropped, by reason.
        disobeyed: after a stop the robot has been told to rest for half a second, and is on its way.
    """

    def __init__(
        self, robot: Robotic, guard: LimitGuard, period: float, *, tick: float, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Begin unarmed.

        Args:
            robot: what is guarded.
            guard: the only one that acts.
            period: control period, s.
            tick: seconds between two calls of `watch`.
            on_change: called when rung, arming or motion have changed.
        """
        self.guard = guard
        self.state = guard.initial(1)
        self.decision: Decision | None = None
        self.sequence = -1
        self.counts: Counter[str] = Counter()
        self.disobeyed = False
        self._robot = robot
        self._period = period
        self._tick = tick
        self._urgent = False
        self._resting: tuple[float, Array] | None = None  # when the robot was told to rest, and where it was
        self._allowed = time_out(period)
        self._early = _GRAIN * tick
        self._on_change = on_change
        self._following = self._hurry = self._waiting = False
        self._pending: Asked | None = None
        self._newest = self._stamp = -1
        self._accepted = self._acted = self._arrived = self._watched = -np.inf
        self._credit, self._credited, self._surplus, self._since = _AT_ONCE, -np.inf, -np.inf, -np.inf
        self._faults = self._still = 0

    @property
    def armed(self) -> bool:
        """Whether commands may leave."""
        return bool(self.state.armed[0])

    @property
    def rung(self) -> int:
        """The rung of the newest decision while commands leave, else the one that is latched."""
        latched = int(self.state.rung[0])
        return max(latched, int(self.decision.rung[0])) if self.decision is not None and self.armed else latched

    @property
    def cause(self) -> str:
        """Why the guard holds or stops; "" if it does not."""
        return self.state.cause[0] or (self.decision.cause[0] if self.decision is not None and self.armed else "")

    @property
    def moving(self) -> bool:
        """Whether the robot is being moved or braked."""
        if not self.armed or not (self._following or self.state.rung[0] >= HOLD):
            return False
        silent = not self._robot.realtime or time.monotonic() - self._accepted > self._allowed
        return not (silent and self._at_rest() and self.state.rung[0] < HOLD)

    @property
    def streaming(self) -> bool:
        """Whether commands have been coming in lately, accepted or not."""
        return time.monotonic() - self._arrived <= self._allowed

    def arm(self) -> None:
        """Let commands through from now on, beginning with any sequence number; in passing time, send the robot's rest."""
        self.state = self.guard.arm(self.state)
        self.decision, self.sequence, self._newest, self._stamp = None, -1, -1, -1
        self._following, self._hurry, self._pending, self._still, self._faults = False, False, None, 0, 0
        self._credit, self._surplus = _AT_ONCE, -np.inf
        self._urgent, self._resting, self.disobeyed = False, None, False
        self._watched = time.monotonic()
        self._robot.begin()
        if self._robot.realtime:
            self._rest()
        self._on_change()

    def disarm(self) -> None:
        """Send nothing any more; only sensible at standstill."""
        self.state = self.guard.disarm(passing(self.state) if self.state.rung[0] < STOP else self.state)
        self._following, self._pending = False, None
        self._on_change()

    def reset(self) -> None:
        """Forget the latch; nothing is armed."""
        self.state = self.guard.reset(self.state)
        self.decision = None
        self._following, self._pending = False, None
        self._on_change()

    def hold(self, cause: str) -> None:
        """Brake and hold until five good commands have come."""
        self.state = self.guard.hold(self.state, cause)
        self._hurry = True
        self._on_change()

    def stop(self, cause: str) -> None:
        """Brake and latch."""
        if self.state.rung[0] < STOP:
            self.state = self.guard.stop(self.state, cause)
            self._pending, self._still = None, 0
            self._urgent, self._resting, self.disobeyed = True, None, False
            self._on_change()

    def accept(self, asked: Asked) -> None:
        """Filter one command, or drop and count it: unarmed, stopped, old, out of sequence, or beyond the rate of the contract."""
        now = time.monotonic()
        self._arrived = now
        reason = self._refusal(asked, now)
        if reason:
            self.counts[reason] += 1
            return
        self.sequence, self._accepted, self._following = asked.sequence, now, True
        if self._robot.realtime:
            self._judge(asked.command)
        else:
            self._pending = asked
            self.step()

    def step(self) -> None:
        """Answer the newest state in stepped time, once: with the command that was made for it, or by braking after a stop."""
        if self._robot.realtime or not self.armed or self._robot.stamp <= self._stamp:
            return
        if self.state.rung[0] == STOP:
            self._brake()
        elif self._pending is not None and self._pending.stamp == self._robot.stamp:
            command, self._pending = self._pending.command, None
            self._judge(command)

    def watch(self) -> None:
        """Look whether something is missing; brake or send again what is due."""
        now = time.monotonic()
        slept, self._watched = now - self._watched, now
        if not self.armed:
            return
        if not self._robot.realtime:
            if self.moving and now - max(self._accepted, self._acted) > _ABORT:
                self.stop(f"no command within {_ABORT:g} s")
            self.step()
            return
        if self.moving and slept > _FROZEN:
            self.stop(f"the guard itself did not run for {slept:.2f} s")
        self._waiting = slept > _LATE and not self._waiting
        if self._waiting:
            return
        if self._robot.age > self._allowed:
            self.stop(f"the joint state on {self._robot.state_topic} is {self._robot.age:.3f} s old, {self._allowed:.3f} s are allowed")
        due = now - self._acted >= self._period - self._early
        if self.state.rung[0] == STOP:
            if due or self._urgent:  # a stop is not put off to the end of a period: what is left of it is braked less
                self._brake(min(max(now - self._acted, self._tick), self._period))
        elif not self._following:
            if due:
                self._rest()
        elif now - self._accepted > self._allowed:
            self._miss(due)
        elif self._hurry and now - self._acted > min(self._period + _MARGIN, self._allowed):
            self._judge(None)

    def _miss(self, due: bool) -> None:
        """No command has come in time: at rest that is the end of a motion, otherwise it is braked for."""
        if self.state.rung[0] < HOLD and self._at_rest() and self.guard.mode != "effort":
            self._following = False
            self.state = passing(self.state)
            self._on_change()
        elif due:
            self.state = self.guard.hold(self.state, f"no command came within {self._allowed:.3f} s", self.state.rung == 0)
            self._judge(None)

    def _refusal(self, asked: Asked, now: float) -> str:
        if not self.armed:
            return "unarmed"
        if self.state.rung[0] == STOP:
            return "stopped"
        if asked.sequence <= self._newest:
            return "out of sequence"
        self._newest = asked.sequence
        if not self._robot.realtime:
            return ""
        if asked.age > self._allowed:
            return "old"
        self._credit, self._credited = min(_AT_ONCE, self._credit + (now - self._credited) / self._period), now
        if self._credit < 1:
            self._count_surplus(now)
            return "surplus"
        self._credit -= 1
        return ""

    def _count_surplus(self, now: float) -> None:
        if now - self._surplus > _LULL * self._period:
            self._since = now
        self._surplus = now
        if now - self._since >= _SURPLUS:
            self.stop(f"commands come faster than every {self._period:g} s")

    def _brake(self, dt: float | None = None) -> None:
        self._urgent = False
        self._judge(None, dt)
        self._still = self._still + 1 if self._at_rest() else 0
        self._watch_obedience()
        if self._still >= _STILL:
            self.disarm()

    def _watch_obedience(self) -> None:
        """Whether a robot that has been told to rest goes on its way; sensors that are stale, frozen or not numbers do not tell."""
        position, now = self._robot.read().position, time.monotonic()
        if self._robot.age > self._allowed or not self.guard.resting(self.state).all() or not np.isfinite(position).all():
            self._resting = None
        elif self._resting is None:
            self._resting = (now, position)
        elif now - self._resting[0] > _OBEY and np.abs(position - self._resting[1]).max() > _ASTRAY:
            self._resting, self.disobeyed = None, True

    def _rest(self) -> None:
        """Send the robot's rest again; an effort is decided anew, as it must follow the robot."""
        if self.decision is None or self.guard.mode == "effort":
            self._judge(None)
            if self.decision is not None and self.state.rung[0] < STOP:
                self.state = passing(self.state)
                self.decision = dataclasses.replace(self.decision, rung=np.zeros_like(self.decision.rung), kept=("",))
        else:
            self._acted = time.monotonic()
            self._robot.send(self.decision.command, self.sequence, braking=False)

    def _at_rest(self) -> bool:
        return bool(self.guard.at_rest(self.state, self._robot.read()).all())

    def _judge(self, command: Command | None, dt: float | None = None) -> None:
        before = self.rung
        self._hurry = False
        self._look_for_faults()
        self._acted, self._stamp = time.monotonic(), self._robot.stamp
        try:
            self.decision, self.state = self.guard.check(self.state, command, self._robot.read(), dt or self._period)
        except ValueError as error:  # nothing was sent since arming, and where the robot is, is unknown
            self.state = self.guard.disarm(self.guard.stop(self.state, str(error)))
        else:
            self._robot.send(self.decision.command, self.sequence, braking=bool(self.decision.rung[0] >= HOLD))
        if max(self.rung, before) >= HOLD and self.rung != before:
            self._on_change()

    def _look_for_faults(self) -> None:
        cause = self._robot.fault() if self._robot.realtime else ""
        self._faults = self._faults + 1 if cause else 0
        if self._faults > 1:
            self.state = self.guard.stop(self.state, cause)
        elif cause:
            self.state = self.guard.hold(self.state, cause)
