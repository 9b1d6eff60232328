"""The control step that a motion drives. The guard that acts is another process: here a period is either asked for or withheld."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from isthmus.contract import Contract
from isthmus.control import ControlStep
from isthmus.guard import Decision
from isthmus.monitors import time_out
from isthmus.plant import Plant
from isthmus.records import Array, Measurement, reorder
from isthmus.timing import steady

__all__ = ["BlindError", "Drive", "MotionEnded"]


class BlindError(RuntimeError):
    """The policy may not be asked on the newest sample."""


class MotionEnded(RuntimeError):
    """A thread wanted to act in a motion that has been ended without it."""


class Drive(ControlStep):
    """A control step that at most one thread drives, which may be left behind: what it brings then is not sent any more.

    `isthmus_ros.policy.asking` asks a guard's process, `isthmus_ros.policy.shadow` only says what it would ask.

    Attributes:
        decision: the last one; None before the first.
        acted: when it was made, on the steady clock, s.
        soften: makes of an action, what was executed last, and whether commands are going through, what is asked for instead: see `HandOver`.
        sight: says why the policy may not be asked on a sample, as when a camera shows nothing new; "" if it may.
    """

    def __init__(self, plant: Plant, contract: Contract) -> None:
        """See `ControlStep`; the `guard` only gives limits and opinions."""
        self.decision: Decision | None = None
        self.acted = self._began = -np.inf
        self.sight: Callable[[Measurement], str] = lambda measurement: ""
        self.soften: Callable[[Array, Array | None, bool], Array] = lambda action, executed, going: action
        self._withheld = ""
        self._deadline = 0.0
        self._driver: threading.Thread | None = None
        super().__init__(plant, contract)

    @property
    def driving(self) -> bool:
        """Whether the calling thread is the one that drives."""
        return threading.current_thread() is self._driver

    @property
    def hanging(self) -> bool:
        """Whether the driving thread has not acted for longer than the time-out."""
        return self._driver is not None and steady() - max(self.acted, self._began) > time_out(self.contract.control_period)

    @property
    def stopped(self) -> bool:
        """Whether nothing will be executed any more in this motion, whatever is asked for."""
        return False

    def at_rest(self) -> bool:
        """Whether nothing moves any more on the newest sample, or nothing can be done about it from here."""
        raise NotImplementedError

    def resting(self) -> Array | None:
        """What to ask for on the way to standstill, `[1, J]`; None for nothing."""
        raise NotImplementedError

    def set_point(self) -> Array | None:
        """What was executed last, `[J]` in the unit of the mode; None if that is not known."""
        return None

    def drive(self, thread: threading.Thread) -> None:
        """Start the thread that drives from now on."""
        self._withheld, self.decision, self._began = "", None, steady()
        self._driver = thread  # before it starts: it may act at once
        thread.start()

    def release(self) -> bool:
        """Nobody drives any more; False if that was so already."""
        driven, self._driver = self._driver is not None, None
        return driven

    def hold(self, cause: str, rows: Array | None = None) -> None:
        """Ask for nothing in this period; `cause` is told."""
        self._withheld = self._withheld or cause

    def sense(self) -> Measurement:
        """As `ControlStep.sense`.

        Raises:
            BlindError: the sample has been remembered, but no decision may be made on it.
        """
        sample = super().sense()
        if cause := self.sight(sample):
            raise BlindError(cause)
        return sample

    def sample(self) -> Measurement:
        """Read the plant without remembering the sample, which may be what is wrong."""
        self.measurement = self.plant.read()
        return self.measurement

    def act(self, action: Array | None) -> Decision:
        """As `ControlStep.act`.

        Raises:
            MotionEnded: the calling thread does not drive (any more).
        """
        if not self.driving:
            raise MotionEnded("the motion has ended without this thread")
        self.decision = self.decide(action)
        self.acted = steady()
        self.plant.advance()
        return self.decision

    def cycle(self, action: Array | None) -> Decision:
        """One control period outside a run: without observations, which may be what has failed.

        In stepped time the newest sample is the one after it, else the one before.
        """
        self.pace()
        if self.plant.realtime:
            self.sample()
        decision = self.act(action)
        if not self.plant.realtime:
            self.sample()
        return decision

    def pace(self) -> None:
        """Wait for the next deadline; the first one of a phase follows the last command by one period."""
        if not self.plant.realtime:
            return
        period, now = self.contract.control_period, steady()
        if not self.acted - period < self._deadline <= self.acted:
            self._deadline = self.acted
        self._deadline += period
        if self._deadline < now - period:  # missed ticks are skipped
            self._deadline = now
        time.sleep(max(self._deadline - now, 0.0))

    def withheld(self) -> str:
        """Why nothing may be asked for in this period, "" if nothing forbids it; to be asked once in each."""
        cause, self._withheld = self._withheld, ""
        return cause

    def slow(self) -> bool:
        """Whether every joint measures less than the robot's standstill speed."""
        sample = self.plant.read() if self.plant.realtime else self.measurement
        speed = reorder(sample.velocity, sample.joints, self.contract.action.elements)
        return bool(np.abs(speed).max() < self.plant.robot.monitors.standstill)
