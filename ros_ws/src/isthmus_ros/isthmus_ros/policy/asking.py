"""Drives a robot by asking its guard: what was really sent comes back, and a guard that does not answer is not asked any further."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import HOLD, PASS, STOP, Decision
from isthmus.monitors import time_out
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.timing import steady
from isthmus_ros.policy.drive import Drive, MotionEnded
from isthmus_ros.policy.remote import RemotePlant, answered

__all__ = ["AskingDrive", "UnansweredError", "patience"]

_MISSED = 3  # commands in a row without an answer, after which the motion ends
_PATIENCE = 0.050  # s that the first answer is given at least
_SILENT = 0.05  # s, or one time-out: an armed guard says something in every control period
_LULL = 1.0  # s beyond the time-out without an answer that end a motion at rest; one that moves has been stopped by the guard long before


def patience(period: float) -> float:
    """Seconds after `policy/start` within which a motion with control periods of `period` s begins, or not at all."""
    return max(time_out(period), _MISSED * period, _PATIENCE)


class UnansweredError(TimeoutError):
    """The guard lives, but has executed nothing of this motion in time; so nothing must be executed later."""


class AskingDrive(Drive):
    """Asks the guard's process for each action.

    A motion begins in time or not at all: its first answer must come within max(time-out, 3 periods, 50 ms) of `drive`.
    """

    plant: RemotePlant

    def __init__(self, plant: RemotePlant, contract: Contract, *, on_silence: Callable[[str], object] = lambda cause: None) -> None:
        """See `ControlStep`.

        Args:
            plant: the robot behind its guard.
            contract: of the policy.
            on_silence: has to end the motion; called when the guard has left three commands in a row without an answer, and says nothing else either.
        """
        super().__init__(plant, contract)
        period = contract.control_period
        self._on_silence = on_silence
        self._patience = patience(period)
        self._lull = time_out(period) + _LULL
        self._first = self._run = 0
        self._silent = max(time_out(period), _SILENT)
        self._began = self._withheld_at = -np.inf  # the motion, and when nothing was asked for
        self._dropped: dict[str, int] = {}
        self._asked = False
        self._rest: Array | None = None

    @property
    def stopped(self) -> bool:
        """Whether the guard passes nothing any more."""
        return self.plant.guard.rung == STOP or not self.plant.guard.ours

    def at_rest(self) -> bool:
        """Whether the robot has been told to rest and does; a guard that sends nothing for this process leaves nothing to wait for."""
        rate = self.plant.guard.rate
        told = rate is None or self.contract.mode == "effort" or not rate.any()
        return not self.plant.guard.ours or (told and self.slow())

    def resting(self) -> Array | None:
        """What to ask for on the way to standstill: no velocity, or one place; an effort-controlled robot is left to the guard.

        The place is where the set-points come to rest if they brake now, and it is kept until the motion is over: the newest answer is that to the
        command before the last, and to ask for the newest each time would let the guard swing between two of them for ever.
        """
        if self.contract.mode == "effort":
            return None
        if self.contract.mode != "position":
            return np.zeros((1, len(self.contract.action.elements)))
        executed, rate = self.plant.guard.executed, self.plant.guard.rate
        if self._rest is None and executed is not None and rate is not None:
            joints, limits = self.contract.action.elements, self.guard.limits
            braking = reorder(np.array([limits.stop_acceleration]), limits.joints, joints)
            speed = reorder(rate, executed.joints, joints)
            self._rest = reorder(executed.values, executed.joints, joints) + speed * np.abs(speed) / (2 * braking)
        return self._rest

    def set_point(self) -> Array | None:
        """See `Drive.set_point`."""
        executed = self.plant.guard.executed
        return None if executed is None else np.asarray(reorder(executed.values, executed.joints, self.contract.action.elements)[0])

    def drive(self, thread: threading.Thread) -> None:
        """See `Drive.drive`; only answers to commands that follow count."""
        self.plant.begin_motion()
        self._first = self._run = self.plant.sequence + 1
        self._asked, self._rest = False, None
        self._dropped = self.plant.guard.dropped
        self._began = self._withheld_at = steady()
        super().drive(thread)

    def begin(self) -> None:
        """As `ControlStep.begin`: what was executed before counts no more."""
        super().begin()
        self._run = self.plant.sequence + 1

    def sense(self) -> Measurement:
        """As `Drive.sense`; the previous action is the newest that the guard has sent."""
        guard = self.plant.guard
        self._executed = guard.executed if guard.answered >= self._run else None
        self.plant.begin_decision()
        return super().sense()

    def sample(self) -> Measurement:
        """See `Drive.sample`."""
        self.plant.begin_decision()
        return super().sample()

    def decide(self, action: Array | None) -> Decision:
        """Ask the guard's process for an action, unless it passes nothing or the period is withheld.

        Raises:
            UnansweredError: the guard has executed nothing of this motion in time, three commands in a row while it spoke, or nothing for a second.
            MotionEnded: it has left three commands in a row without an answer, and says nothing else either.
        """
        guard, cause = self.plant.guard, self.withheld() or ("no decision" if action is None else "")
        joints = self.contract.action.elements
        asked = Command(self.contract.mode, joints, np.zeros((1, len(joints))) if action is None else action)
        if refusal := guard.refusal():
            self._asked = False
            return self._told(asked, STOP, guard.cause or refusal)
        self._insist_on_answers(cause)
        going, self._asked = self._asked and guard.rung < HOLD, not cause
        if cause:
            return self._told(asked, HOLD, cause)
        asked = dataclasses.replace(asked, values=self.soften(asked.values, self.set_point(), going))
        self.plant.write(asked)
        rung = guard.rung
        return self._told(asked, rung, guard.cause) if rung >= HOLD else self._told(asked, PASS, "")

    def act(self, action: Array | None) -> Decision:
        """As `Drive.act`; in stepped time the answer has come meanwhile, and the decision is the guard's own."""
        decision = super().act(action)
        return decision if self.plant.realtime else answered(decision, self.plant.guard.answer(self.plant.sequence))

    def _told(self, asked: Command, rung: int, cause: str) -> Decision:
        return Decision(asked, np.array([rung], dtype=np.int8), np.array([self.plant.guard.armed]), (cause,))

    def _insist_on_answers(self, withheld: str) -> None:
        now, guard, realtime = steady(), self.plant.guard, self.plant.realtime
        self._withheld_at = self._withheld_at if self._asked else now
        begun, missed = guard.answered >= self._first, self.plant.sequence - guard.answered
        if begun and self._asked and missed >= _MISSED:
            cause = f"the guard left {missed} commands in a row without an answer"
            if realtime and guard.heard - max(guard.answered_at, self._withheld_at) > self._silent:  # it lives, and brakes
                raise UnansweredError(f"{cause}: {self._reason()}")
            if not realtime or guard.silent > self._silent:
                cause += f"; it was last heard {now - guard.heard:.2f} s ago"
                self._on_silence(cause)
                raise MotionEnded(cause)
        since, allowed, what = (
            (guard.answered_at, self._lull, "its last answer") if begun else (self._began, self._patience, "policy/start")
        )
        if realtime and now - since > allowed:
            raise UnansweredError(f"the guard has executed nothing within {allowed:.3f} s of {what}: {withheld or self._reason()}")

    def _reason(self) -> str:
        """Why the guard has not executed what was asked for in this motion, as far as it says."""
        guard = self.plant.guard
        dropped = [reason for reason, count in guard.dropped.items() if count > self._dropped.get(reason, 0)]
        reasons = [guard.cause] * bool(guard.cause) + [f"commands were dropped ({', '.join(dropped)})"] * bool(dropped)
        return "; ".join(reasons) or f"it does not say why; it was last heard {steady() - guard.heard:.2f} s ago"
