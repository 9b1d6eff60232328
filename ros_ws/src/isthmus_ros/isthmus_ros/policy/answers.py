"""What the guard's process says: its status, and what it has executed for whom."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState

from isthmus.guard import RUNGS, STOP
from isthmus.records import Array, Command
from isthmus.timing import steady
from isthmus_ros.common import wire

__all__ = ["GuardAnswers"]

_REMEMBERED = 10  # answers
_STATUS = 1.0  # s without a status, which comes ten times as often, after which nothing can be started on its word
_SILENCE = 0.25  # s, or so many control periods, without a word of an armed guard, which says something in every one of them
_PERIODS = 5
_LOOK = 0.1  # s of listening that one look may count for: what came in a longer time must be let in first
_DROPPED = "dropped."


class GuardAnswers:
    """Listens to `guard/status` and `guard/executed`. ROS callbacks only keep what came, so any thread may ask.

    Attributes:
        epoch: under which this process sends; another one after each arming.
        executed: what the guard sent last, for whomever, `[1, J]`; None before the first.
        answered: sequence number of the newest command of this process that the guard has sent on; -1 before the first.
        answered_at: when that came, on the steady clock, s.
        sent_on: stamp of what it sent last, ns; -1 before the first.
        heard: when it was heard last, on the steady clock, s.
    """

    def __init__(self, node: Any, mode: str, period: float, epoch: str, changed: threading.Condition) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscriptions.
            mode: command mode.
            period: control period, s.
            epoch: under which this process sends.
            changed: notified of every message.
        """
        self.executed: Command | None = None
        self.answered = self.sent_on = -1
        self.heard = self.answered_at = -np.inf
        self.epoch = epoch
        self._mode, self._period, self._changed = mode, period, changed
        self._before: Array | None = None
        self._answers: dict[int, Command] = {}
        self._status: Mapping[str, str] = {}
        self._told, self._listened = -np.inf, 0.0
        self._looked = steady()
        self._node = node
        self._subscriptions = [
            node.create_subscription(JointState, "guard/executed", self._receive_executed, wire.EXECUTED),
            node.create_subscription(DiagnosticArray, "guard/status", self._receive_status, wire.LATCHED),
        ]

    @property
    def armed(self) -> bool:
        """Whether the guard lets commands through, as it last said."""
        return self._status.get("armed") == "true"

    @property
    def ours(self) -> bool:
        """Whether it is armed for this process, or for whoever asks first."""
        return self.armed and self._status.get("epoch", "") in ("", self.epoch)

    @property
    def arming(self) -> str:
        """Name of the newest arming, as the guard last said; "" if it has not."""
        return self._status.get("arming", "")

    @property
    def rung(self) -> int:
        """The guard's rung, as it last said; an unknown guard passes nothing, but has stopped nothing either."""
        name = self._status.get("rung", "pass")
        return RUNGS.index(name) if name in RUNGS else STOP

    @property
    def cause(self) -> str:
        """Why the guard holds or stops."""
        return self._status.get("cause", "")

    @property
    def dropped(self) -> dict[str, int]:
        """How many commands the guard has dropped so far, by reason."""
        return {key[len(_DROPPED) :]: int(value) for key, value in self._status.items() if key.startswith(_DROPPED)}

    @property
    def rate(self) -> Array | None:
        """Commanded velocity of what the guard sent last, `[1, J]`; None before the first."""
        if self.executed is None or self._mode != "position":
            return None if self.executed is None else self.executed.values
        return np.zeros_like(self.executed.values) if self._before is None else (self.executed.values - self._before) / self._period

    def answer(self, sequence: int) -> Command | None:
        """What the guard sent for one of this process's newest commands; None if it sent nothing for it."""
        return self._answers.get(sequence)

    def refusal(self) -> str:
        """Why the guard passes nothing of this process, as far as it has said; "" if it does."""
        age, allowed = steady() - self._told, max(_STATUS, _PERIODS * self._period)
        if not self._status:
            return "nothing is heard of the guard on guard/status; is guard_node running?"
        if age > allowed:
            return f"the guard's last status is {age:.1f} s old, {allowed:g} s are allowed; is guard_node running?"
        if self.rung == STOP:
            return f"the guard is stopped ({self.cause}); call guard/reset, then guard/arm"
        if not self.armed:
            return "the guard is not armed; call guard/arm first"
        if not self.ours:
            return "the guard was armed for another policy process; call guard/arm again"
        return ""

    @property
    def silent(self) -> float:
        """Seconds of listening without a word of the guard; who was asleep himself has not listened, and first lets in what came meanwhile."""
        with self._changed:
            since = steady() - self._looked
            return self._listened + (since if since <= _LOOK else 0.0)

    def silence(self) -> str:
        """Why an armed guard counts as silent, whatever its rung; "" if it does not. To be asked every 50 ms."""
        allowed = max(_SILENCE, _PERIODS * self._period)
        with self._changed:
            now = steady()
            silent = self._listened = self._listened + min(now - self._looked, _LOOK)
            self._looked = now
        if not self.armed or silent <= allowed:
            return ""
        return f"the guard is armed and has been silent for {silent:.2f} s, {allowed:.2f} s are allowed"

    def forget(self) -> None:
        """Believe nothing any more of what the guard has said about itself."""
        with self._changed:
            self._status = {}

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _hear(self) -> None:
        self.heard = self._looked = steady()
        self._listened = 0.0

    def _receive_executed(self, message: Any) -> None:
        with self._changed:
            self._hear()
            self._before = None if self.executed is None else self.executed.values
            field = wire.COMMANDED.get(self._mode, self._mode)
            self.executed = Command(self._mode, tuple(message.name), np.array([getattr(message, field)]))
            self.sent_on = wire.nanoseconds_of(message.header.stamp)
            if wire.epoch_of(message) == self.epoch:
                sequence = wire.sequence_of(message)
                self.answered_at = self.heard if sequence != self.answered else self.answered_at
                self.answered = sequence
                self._answers.setdefault(self.answered, self.executed)  # what follows under the same number is the guard's own braking
                if len(self._answers) > _REMEMBERED:
                    del self._answers[next(iter(self._answers))]
            self._changed.notify_all()

    def _receive_status(self, message: Any) -> None:
        with self._changed:
            self._hear()
            self._told = self.heard
            self._status = {pair.key: pair.value for status in message.status for pair in status.values}
            self._changed.notify_all()
