"""How motion starts and ends: IDLE, RAMP to the start pose, RUN the policy, STOPPING until standstill is confirmed.

One thread per motion drives the control step from `start` to standstill. On a plant whose time passes by itself a second one watches it: when no
command was decided in time it brakes in its place, and it ends the motion if the first one never comes back. Nothing here knows ROS.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.guard import HOLD, STOP, Decision, GuardState
from isthmus.policy import Policy
from isthmus.records import Array, reorder
from isthmus.rungs import passing
from isthmus.runner import Runner, Tick
from isthmus_ros.policy.ramp import PEAK_SPEED, Ramp
from isthmus_ros.policy.supervision import MotionEnded, SupervisedStep

__all__ = ["IDLE", "RAMP", "RUN", "STOPPING", "Motion", "SupervisedStep"]

IDLE, RAMP, RUN, STOPPING = "idle", "ramp", "run", "stopping"

_LOG = logging.getLogger("isthmus")
_SETTLING = 3.0  # s after the ramp's end within which the start pose must be reached
_STILL_TICKS = 2  # control periods at rest in a row that confirm standstill
_WATCH = 0.005  # s between two looks of the watching thread


class Motion:
    """Runs one policy on one robot, once or many times.

    Attributes:
        state: `IDLE`, `RAMP`, `RUN` or `STOPPING`.
        step: the control step.
        runner: owns the loop while the policy runs.
        starts: number of motions begun.
        first: sequence number of the first command of the newest RUN; -1 before it.
        stopped: sequence number of the command with which the guard stopped the newest motion; -1 if it did not.
        failure: why the newest motion ended by itself; empty if it did not.
    """

    def __init__(
        self,
        step: SupervisedStep,
        policy: Policy,
        *,
        sequence: Callable[[], int],
        inputs: Callable[[], Mapping[str, Array]],
        replan: int | None = None,
        longest: int | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_tick: Callable[[Tick], None] = lambda tick: None,
        on_end: Callable[[], None] = lambda: None,
        log: Callable[[str], object] = _LOG.error,
    ) -> None:
        """Bind policy and control step.

        Args:
            step: control step of the robot.
            policy: what decides.
            sequence: number of the last command sent.
            inputs: external signals, `[1, n]` per name.
            replan: see `Runner`.
            longest: control periods after which a run ends by itself; None for no end.
            on_change: called when the state or the guard's rung has changed; from the motion's threads too.
            on_tick: called after each control period of a run; with index -1 for those in which the guard acted because nothing was decided.
            on_end: called after the last control period of a run.
            log: takes what the three above raise; it never disturbs the motion.
        """
        self.step = step
        self.state = IDLE
        self.first = self.stopped = -1
        self.failure = ""
        self.starts = 0
        self.runner = Runner(policy, step, inputs=inputs, replan=replan, on_tick=self._ticked)
        self._sequence = sequence
        self._longest = longest
        self._on_change, self._on_tick, self._on_end = on_change, on_tick, on_end
        self._log = log
        self._logged: set[str] = set()
        self._halt, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._left: threading.Thread | None = None
        self._deadline = 0.0
        self._rung = 0

    @property
    def moving(self) -> bool:
        """Whether commands are being sent."""
        return self.state != IDLE

    @property
    def hung(self) -> bool:
        """Whether a motion had to be ended without its thread, which still has not come back from the policy."""
        return self._left is not None and self._left.is_alive()

    def start(self, goal: Mapping[str, float] | None = None) -> None:
        """Begin: ramp to `goal` (joint → position, rad or m; None to stay), then run the policy. Returns at once."""
        self._halt.clear()
        self.first = self.stopped = -1
        self.failure = ""
        self._rung = 0
        self.state = RAMP if goal else RUN
        self.starts += 1
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drive, args=(goal,), name="control loop", daemon=True)
        self.step.drive(self._thread)
        if self.step.plant.realtime:
            threading.Thread(target=self._watch, args=(self._over,), name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Ask for braking to standstill; the guard stays armed. Returns at once."""
        self._halt.set()

    def hold(self, cause: str) -> None:
        """Ask the guard for a hold, which clears by itself as every hold does."""
        self.step.demand(lambda state: self.step.guard.hold(state, cause))
        self._call(self._on_change)

    def latch(self, cause: str) -> None:
        """Ask the guard for a latched stop; braking to standstill follows if there is motion."""
        self.step.demand(lambda state: self.step.guard.stop(state, cause))
        self._halt.set()
        self._call(self._on_change)

    def give_up(self, cause: str) -> None:
        """End the motion without braking: the plant is told to rest, and the guard latches."""
        if not self.moving:
            return
        self._halt.set()
        self.failure = self.failure or cause
        self.stopped = self._sequence() if self.stopped < 0 else self.stopped
        if problem := self.step.give_up(cause):
            self._log(f"the resting command could not be sent either: {problem}")
        self._finish()

    def _drive(self, goal: Mapping[str, float] | None) -> None:
        try:
            try:
                self.step.sample()
                if goal:
                    self._ramp(goal)
                if not self._halt.is_set():
                    self._run()
            except (TimeoutError, MotionEnded):
                raise
            except Exception as error:  # whatever went wrong, the robot is braked
                self._fail(f"{type(error).__name__}: {error}")
            self._brake()
        except MotionEnded:
            return
        except TimeoutError as error:  # time stands still, and so does the robot
            self._fail(str(error))
        except Exception as error:
            self.give_up(f"braking failed: {type(error).__name__}: {error}")
        self._finish()

    def _watch(self, over: threading.Event) -> None:
        """Brake when nothing was decided in time; end the motion at standstill after a stop if its own thread does not."""
        still = 0
        while not over.wait(_WATCH):
            try:
                decision = self.step.overtake()
                at_rest = decision is not None and self.step.at_rest()
            except Exception as error:
                self.give_up(f"braking failed: {type(error).__name__}: {error}")
                return
            if decision is None:
                still = still if self.step.taken else 0
                continue
            self._judge(decision)
            if self.state == RUN:
                self._call(self._on_tick, Tick(-1, self.step.measurement, {}, None, None, None, decision))
            still = still + 1 if at_rest and (decision.rung == STOP).any() else 0
            if still >= _STILL_TICKS:
                self._finish()
                return

    def _finish(self) -> None:
        """Nothing is commanded any more; for whichever thread comes first."""
        ran = self.state == RUN
        if not self.step.release(self._settle):
            return
        if threading.current_thread() is not self._thread:
            self._left = self._thread
            if ran:
                self._call(self._on_end)
        self._over.set()
        self._enter(IDLE)

    def _settle(self, state: GuardState) -> GuardState:
        return self.step.guard.disarm(state) if (state.rung == STOP).any() else passing(state)

    def _fail(self, cause: str) -> None:
        self.failure = cause
        self.step.demand(lambda state: self.step.guard.stop(state, cause))
        self.stopped = self._sequence() if self.stopped < 0 else self.stopped

    def _call(self, callback: Callable[..., object], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            if problem not in self._logged:
                self._logged.add(problem)
                self._log(f"a callback of the motion raised {problem}")

    def _ramp(self, goal: Mapping[str, float]) -> None:
        joints, tolerance = self.step.guard.joints, {name: bound for name, (_, bound) in self.step.contract.start.items()}
        position = self._position(joints)
        target = np.array([goal.get(joint, value) for joint, value in zip(joints, position, strict=True)])
        ramp = Ramp(position, target)
        allowed = np.array([tolerance.get(joint, np.inf) for joint in joints])
        elapsed, period = 0.0, self.step.contract.control_period
        sent = self.step.state.executed[0] if self.step.state.started[0] else position
        while not self._halt.is_set():
            position = self._position(joints)
            if elapsed >= ramp.duration and (np.abs(target - position) <= allowed).all():
                return
            if elapsed > ramp.duration + _SETTLING:
                raise RuntimeError(f"the start pose was not reached within {elapsed:.1f} s")
            wanted = ramp.command(self.step.guard.mode, elapsed, position)
            if self.step.guard.mode == "position":
                wanted = np.clip(wanted, sent - PEAK_SPEED * period, sent + PEAK_SPEED * period)
            decision = self._cycle(wanted[None])
            sent = sent if decision.command is None else decision.command.values[0]
            if (decision.rung < HOLD).all():  # the plan waits while the guard holds
                elapsed += period

    def _run(self) -> None:
        self.first = self._sequence() + 1
        self._enter(RUN)
        self.step.begin()
        self.runner.begin()
        self._pace()
        try:
            if not self.step.plant.realtime:
                self.step.sense()
            self.runner.run(self._longest, self._halt)
        finally:
            self._call(self._on_end)

    def _brake(self) -> None:
        self._enter(STOPPING)
        still = 0
        while still < _STILL_TICKS:
            self._cycle(self.step.resting())
            still = still + 1 if self.step.at_rest() else 0

    def _cycle(self, action: Array | None) -> Decision:
        """One control period outside a run: without observations, which may be what has failed."""
        self._pace()
        if self.step.plant.realtime:
            self.step.sample()
        decision = self.step.act(action)
        self._judge(decision)
        if not self.step.plant.realtime:
            self.step.sample()
        return decision

    def _position(self, joints: tuple[str, ...]) -> Array:
        return np.asarray(reorder(self.step.measurement.position, self.step.measurement.joints, joints)[0])

    def _pace(self) -> None:
        """Wait for the next deadline; the first one of a phase follows the last command by one period."""
        if not self.step.plant.realtime:
            return
        period, now = self.step.contract.control_period, time.monotonic()
        if not self.step.acted - period < self._deadline <= self.step.acted:
            self._deadline = self.step.acted
        self._deadline += period
        if self._deadline < now - period:  # missed ticks are skipped
            self._deadline = now
        time.sleep(max(self._deadline - now, 0.0))

    def _ticked(self, tick: Tick) -> None:
        if not self.step.overtaken:  # else the watching thread has reported what was sent
            self._call(self._on_tick, tick)
            self._judge(tick.decision)

    def _judge(self, decision: Decision) -> None:
        rung = int(decision.rung[0])
        if rung == STOP and self.stopped < 0:
            self.stopped = self._sequence()
            self._halt.set()
        if rung != self._rung and max(rung, self._rung) >= HOLD:
            self._call(self._on_change)
        self._rung = rung

    def _enter(self, state: str) -> None:
        if self.state != state or state == RUN:
            self.state = state
            self._call(self._on_change)
