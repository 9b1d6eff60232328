"""A control step that two threads share: one decides, the other watches and brakes in its place."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np

from isthmus.contract import Contract
from isthmus.control import ControlStep
from isthmus.guard import STOP, Decision, GuardState, LimitGuard
from isthmus.monitors import time_out
from isthmus.plant import Plant
from isthmus.records import Array, Measurement

__all__ = ["BlindError", "Change", "MotionEnded", "SupervisedStep"]

Change = Callable[[GuardState], GuardState]

_NOBODY = -1  # no thread has this identity
_MARGIN = 0.010  # s beyond a period that a deciding thread is given before a demand is carried out in its place
_PATIENCE = 0.5  # s to wait for a thread that may hang inside a write


class BlindError(RuntimeError):
    """The policy may not be asked on the newest sample."""


class MotionEnded(RuntimeError):
    """A thread wanted to act in a motion that has been ended without it."""


class SupervisedStep(ControlStep):
    """A control step with one guard, one lock around it, and at most one thread that drives.

    The driving thread calls `sense` or `sample`, and then `act`. Any thread may call the rest. When no command was decided for longer than
    `isthmus.monitors.time_out`, `overtake` lets the guard act on nothing; what the driver then brings for that tick is too late and is dropped.

    Attributes:
        decision: the last one; None before the first.
        acted: when it was made, on the steady clock, s.
        taken: whether it was made by `overtake`.
        overtaken: whether the driver's last action came too late and was dropped.
        sight: says why the policy may not be asked on a sample, as when a camera shows nothing new; "" if it may.
    """

    def __init__(self, plant: Plant, contract: Contract, guard: LimitGuard | None = None, *, fault: Callable[[], str] = lambda: "") -> None:
        """See `ControlStep`; `fault` says what is wrong with the newest sample's time, which makes the guard hold, and stop if it stays."""
        self._lock = threading.RLock()
        self._driver: int | None = None
        self._ticket = self._generation = 0
        self._demands: list[Change] = []
        self._fault = fault
        self._faults = 0
        self._began = self._sensed = self.acted = -np.inf
        self._hurry = self.taken = self.overtaken = False
        self.decision: Decision | None = None
        self.sight: Callable[[Measurement], str] = lambda measurement: ""
        super().__init__(plant, contract, guard)
        self._time_out = time_out(contract.control_period)

    @property
    def state(self) -> GuardState:
        """The guard's state; a driver that was overtaken cannot set it."""
        return self._state

    @state.setter
    def state(self, state: GuardState) -> None:
        with self._lock:
            if threading.get_ident() != self._driver or self._ticket == self._generation:
                self._state = state

    def drive(self, thread: threading.Thread) -> None:
        """Start the thread that drives from now on."""
        with self._lock:
            self._ticket, self._faults, self._hurry, self.taken = self._generation, 0, False, False
            self._began = time.monotonic()
            thread.start()
            self._driver = thread.ident

    def release(self, settle: Change) -> bool:
        """Nobody drives any more, and the guard's state is settled; False if that was so already."""
        with self._lock:
            if self._driver is None:
                return False
            self._driver = None
            self._apply_demands()
            self._state = settle(self._state)
            return True

    def demand(self, change: Change) -> None:
        """Change the guard's state, at once and again before the next command is judged; the change must be one that may be made twice."""
        with self._lock:
            self._state = change(self._state)
            if self._driver is not None:
                self._demands.append(change)  # the driver may just be replacing the state
                self._hurry = True
            elif (self._state.rung == STOP).any():
                self._state = self.guard.disarm(self._state)

    def at_rest(self) -> bool:
        """Whether the robot stands still on the newest sample, so that nothing needs to be commanded any more."""
        return bool(self.guard.at_rest(self.state, self.measurement).all())

    def resting(self) -> Array | None:
        """What to ask for on the way to standstill: nothing, as the guard brakes in a hold, which does not expire because it was asked for."""
        with self._lock:
            if not (self._state.rung == STOP).any():
                held = self.guard.hold(self._state, "policy/stop")
                self._state = dataclasses.replace(held, held=np.zeros_like(held.held))
        return None

    def sense(self) -> Measurement:
        """As `ControlStep.sense`; begins a tick of the driver.

        Raises:
            BlindError: the sample has been remembered, but no decision may be made on it.
        """
        with self._lock:
            self._begin_tick()
            sample = super().sense()
            if cause := self.sight(sample):
                raise BlindError(cause)
            return sample

    def sample(self) -> Measurement:
        """Read the plant without remembering the sample, which may be what is wrong; begins a tick of the driver."""
        with self._lock:
            self._begin_tick()
            self.measurement = self.plant.read()
            return self.measurement

    def act(self, action: Array | None) -> Decision:
        """As `ControlStep.act`, unless the tick was overtaken: then nothing is written, and the decision is the one made meanwhile.

        Raises:
            MotionEnded: the calling thread does not drive (any more).
        """
        with self._lock:
            if threading.get_ident() != self._driver:
                raise MotionEnded("the motion has ended without this thread")
            self.overtaken = self._ticket != self._generation
            if self.overtaken and self.decision is not None:
                return self.decision
            decision = self._judge(action)
            self.taken = False
        self.plant.advance()
        return decision

    def overtake(self) -> Decision | None:
        """Let the guard act on nothing if no command was decided in time; None if there was no need."""
        with self._lock:
            now, period = time.monotonic(), self.contract.control_period
            ticking = self._ticket == self._generation and self._sensed > self.acted
            allowed = self._time_out
            if self.taken and not ticking:
                allowed = period
            elif self._hurry:
                allowed = min(period + _MARGIN, allowed)
            if self._driver is None or now - max(self.acted, self._began) < allowed:
                return None
            self._generation += 1
            self.taken = True
            self.measurement = self.plant.read()
            cause = f"no command was decided within {self._time_out:.3f} s"
            if not self._hurry:
                self._state = self.guard.hold(self._state, cause, self._state.rung == 0)
            return self._judge(None)

    def give_up(self, cause: str) -> str:
        """Have the plant stop without braking, and latch; what went wrong with that, "" if nothing."""
        locked = self._lock.acquire(timeout=_PATIENCE)
        try:
            self._driver = self._driver and _NOBODY
            self._state = self.guard.stop(self._state, cause)
            self.plant.stop(cause)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            if locked:
                self._lock.release()
        return ""

    def _begin_tick(self) -> None:
        if threading.get_ident() == self._driver:
            self._ticket, self._sensed = self._generation, time.monotonic()

    def _judge(self, action: Array | None) -> Decision:
        self._apply_demands()
        self._hurry = False
        self._look_for_faults()
        self.acted = time.monotonic()
        self.decision = self.decide(action)
        return self.decision

    def _apply_demands(self) -> None:
        for change in self._demands:
            self._state = change(self._state)
        self._demands.clear()

    def _look_for_faults(self) -> None:
        cause = self._fault() if self.plant.realtime else ""
        self._faults = self._faults + 1 if cause else 0
        if self._faults > 1:
            self._state = self.guard.stop(self._state, cause)
        elif cause:
            self._state = self.guard.hold(self._state, cause)
