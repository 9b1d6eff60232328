"""Who may command, and which of the commands count: one sender from arming on, in its own sequence, in time, at the rate of the contract."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.monitors import time_out
from isthmus.records import Command

__all__ = ["AHEAD", "Asked", "Gate", "Inbox", "Verdict"]

AHEAD = 0.05
"""Seconds that a stamp may be ahead of the clock."""
_AT_ONCE = 2.0  # periods of credit that a stream can save up: commands may come half a period late and the next one half a period early
_SURPLUS = 1.0  # s of commands beyond the rate of the contract after which the guard stops
_LULL = 5  # periods without a surplus command that begin the count anew
_LEAP = 1000  # numbers that a sequence may leave out
_REMEMBERED = 1000  # senders of before arming
_QUIET = 1.0  # s for which nobody may have sent anything to a guard that was not armed, before it is armed


@dataclass(frozen=True, slots=True)
class Asked:
    """One command from the wire.

    Attributes:
        epoch: of the motion that asks; a policy draws a new one at the first start after arming.
        sequence: its number.
        stamp: of the decision, ns.
        age: of the decision when the command arrived, s; negative if it is stamped ahead.
        command: what is asked for.
    """

    epoch: str
    sequence: int
    stamp: int
    age: float
    command: Command


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a command.

    Attributes:
        dropped: why it is dropped and counted; "" if it counts.
        stop: why the guard has to stop for it; "" if it need not.
    """

    dropped: str = ""
    stop: str = ""


class Gate:
    """Judges who sends and when; what is asked for is the guard's business.

    Whoever was heard before arming commands nothing after it: a motion is asked for after the guard was armed, in this order, or not at all.

    Attributes:
        epoch: of the sender that is bound; "" until the first command after arming.
        arming: a random name for the time since it was opened.
        counts: commands that were dropped, by reason.
        reason: why the newest command was dropped; "" if it was not.
    """

    def __init__(self, period: float, *, realtime: bool) -> None:
        """Nobody is bound.

        Args:
            period: control period, s.
            realtime: time passes by itself; in stepped time commands are neither early nor late.
        """
        self.counts: Counter[str] = Counter()
        self._period, self._realtime = period, realtime
        self._allowed = time_out(period)
        self._heard: dict[str, None] = {}
        self.open()

    def open(self) -> None:
        """Bind the next sender that has not been heard yet, beginning with any number."""
        self.epoch, self.reason = "", ""
        self.arming = secrets.token_hex(4)
        self._barred = frozenset(self._heard)
        self._newest = -1
        self._credit, self._credited = _AT_ONCE, -math.inf
        self._surplus = self._since = -math.inf

    def hear(self, epoch: str) -> None:
        """Remember who sends, whatever becomes of the command; to be called before `judge`."""
        self._heard.pop(epoch, None)
        self._heard[epoch] = None
        if len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]

    def drop(self, reason: str) -> Verdict:
        """Count a command that cannot count."""
        self.counts[reason] += 1
        self.reason = reason
        return Verdict(dropped=reason)

    def judge(self, asked: Asked, now: float, *, overtaken: bool = False) -> Verdict:
        """One command at `now`, s; one that has been `overtaken` by a newer one before it was read counts for who sends it alone."""
        if self.epoch and asked.epoch != self.epoch:
            self.drop("another sender")
            return Verdict(
                "another sender",
                f"a second sender ({asked.epoch}) commands on guard/command; the guard was armed for {self.epoch}",
            )
        if asked.epoch in self._barred:
            return self.drop("begun before arming")
        if self._realtime and asked.age < -AHEAD:
            return self.drop("stamped ahead")
        if self._realtime and asked.age > self._allowed:
            return self.drop("old")
        if asked.sequence <= self._newest:
            return self.drop("out of sequence")
        if self.epoch and asked.sequence - self._newest > _LEAP:
            self.drop("out of sequence")
            return Verdict("out of sequence", f"the sequence leaps from {self._newest} to {asked.sequence}")
        self.epoch, self._newest = asked.epoch, asked.sequence
        if overtaken:
            return self.drop("overtaken")
        if self._realtime and self._spend(now):
            verdict = self.drop("surplus")
            return Verdict(verdict.dropped, self._persists(now))
        self.reason = ""
        return Verdict()

    def _spend(self, now: float) -> bool:
        """Whether a command comes sooner than the rate of the contract allows."""
        self._credit, self._credited = min(_AT_ONCE, self._credit + (now - self._credited) / self._period), now
        if self._credit < 1:
            return True
        self._credit -= 1
        return False

    def _persists(self, now: float) -> str:
        if now - self._surplus > _LULL * self._period:
            self._since = now
        self._surplus = now
        return f"commands come faster than every {self._period:g} s" if now - self._since >= _SURPLUS else ""


class Inbox:
    """Messages on the command topic: whether any come at all, and what waits to be judged.

    Attributes:
        gate: judges them.
    """

    def __init__(self, period: float, *, realtime: bool) -> None:
        """Nothing has come; see `Gate`."""
        self.gate = Gate(period, realtime=realtime)
        self._allowed = time_out(period)
        self._arrived = self._uncalled = -math.inf
        self._waiting: list[Asked] = []

    def open(self) -> None:
        """Begin anew, with the next sender: what waits is forgotten."""
        self.gate.open()
        self._waiting = []

    def put(self, asked: Sequence[Asked], now: float, *, armed: bool) -> None:
        """Keep what has come together at `now`, s, to an `armed` guard or to another."""
        self._notice(now, armed=armed)
        for one in asked:
            self.gate.hear(one.epoch)
        self._waiting += asked

    def ignore(self, reason: str, now: float, *, armed: bool) -> None:
        """Count a message that cannot be judged."""
        self._notice(now, armed=armed)
        self.gate.drop(reason)

    def take(self) -> list[tuple[Asked, bool]]:
        """What waits, and whether one with a higher number of the same sender waits, too: lost time is not made up."""
        waiting, self._waiting = self._waiting, []
        newest: dict[str, Asked] = {}
        for asked in waiting:
            if asked.epoch not in newest or asked.sequence > newest[asked.epoch].sequence:
                newest[asked.epoch] = asked
        return [(asked, newest[asked.epoch] is not asked) for asked in waiting]

    def streaming(self, now: float) -> bool:
        """Whether messages have been coming in lately, accepted or not, or for a second though nothing was armed."""
        return now - self._arrived <= self._allowed or now - self._uncalled <= _QUIET

    def _notice(self, now: float, *, armed: bool) -> None:
        self._arrived = now
        self._uncalled = self._uncalled if armed else now
