"""How motion starts and ends: IDLE, RAMP to the start pose, RUN the policy, STOPPING until standstill is confirmed.

One thread per motion drives the control step from `start` to standstill. Whoever owns the motion calls `look` often: it ends one whose thread hangs
in the policy, once the guard has stopped the robot without it. Nothing here knows ROS.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.guard import HOLD, STOP, Decision
from isthmus.policy import Policy
from isthmus.records import Array, reorder
from isthmus.runner import Runner, Tick
from isthmus_ros.policy.drive import Drive, MotionEnded
from isthmus_ros.policy.ramp import PEAK_SPEED, Ramp
from isthmus_ros.policy.transitions import IDLE, RAMP, RUN, STOPPING, TRANSITIONS

__all__ = ["Motion"]

_LOG = logging.getLogger("isthmus")
_STILL_TICKS = 2  # control periods at rest in a row that confirm standstill


class Motion:
    """Runs one policy on one robot, once or many times.

    Attributes:
        transitions: every change of state that it makes, (from, to) → why.
        state: `IDLE`, `RAMP`, `RUN` or `STOPPING`.
        step: the control step.
        runner: owns the loop while the policy runs.
        starts: number of motions begun.
        first: sequence number of the first command of the newest RUN; -1 before it.
        stopped: sequence number of the last command when the guard stopped the newest motion, or it failed; -1 if neither happened.
        failure: why the newest motion ended by itself; empty if it did not.
    """

    transitions: Mapping[tuple[str, str], str] = TRANSITIONS

    def __init__(
        self,
        step: Drive,
        policy: Policy,
        *,
        sequence: Callable[[], int],
        inputs: Callable[[], Mapping[str, Array]],
        replan: int | None = None,
        longest: int | None = None,
        correction: Callable[[], Array | None] = lambda: None,
        on_begin: Callable[[], None] = lambda: None,
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
            correction: see `Runner`.
            on_begin: called before the first control period of a run.
            on_change: called when the state or the rung of the decisions has changed; from the motion's thread too.
            on_tick: called after each control period of a run.
            on_end: called after the last control period of a run; from any thread, and sometimes twice.
            log: takes what the four above raise; it never disturbs the motion.
        """
        self.step = step
        self.state = IDLE
        self.first = self.stopped = -1
        self.failure = ""
        self.starts = 0
        self.runner = Runner(policy, step, inputs=inputs, replan=replan, on_tick=self._ticked, correction=correction)
        self._sequence = sequence
        self._longest = longest
        self._on_begin, self._on_change, self._on_tick, self._on_end = on_begin, on_change, on_tick, on_end
        self._log = log
        self._logged: set[str] = set()
        self._halt = threading.Event()
        self._turn = threading.Lock()  # held while it is decided whose motion it is
        self._thread: threading.Thread | None = None
        self._left: threading.Thread | None = None
        self._rung = 0

    @property
    def moving(self) -> bool:
        """Whether a motion is under way."""
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
        self.starts += 1
        self._change(RAMP if goal else RUN)
        self._thread = threading.Thread(target=self._drive, args=(goal,), name="control loop", daemon=True)
        self.step.drive(self._thread)

    def stop(self, failure: str = "") -> None:
        """Ask for braking to standstill; the guard stays armed. Returns at once. With a `failure`, this is why the motion ends by itself."""
        if failure and self.moving:
            self._fail(failure)
        self._halt.set()

    def look(self) -> None:
        """End a motion whose thread hangs once nothing moves any more, if it has been stopped: nobody else would."""
        stopped = self.step.plant.realtime and self.moving and (self._halt.is_set() or self.step.stopped)
        if stopped and self.step.hanging and self.step.at_rest():
            self.stopped = self._sequence() if self.stopped < 0 else self.stopped
            self._finish()

    def end(self, cause: str) -> None:
        """End the motion at once: nothing is asked for any more, and the guard brakes."""
        if self.moving:
            self._fail(cause)
            self.step.plant.stop(cause)
            self._finish()

    def _drive(self, goal: Mapping[str, float] | None) -> None:
        try:
            self._move(goal)
            self._brake()
        except MotionEnded:
            return
        except TimeoutError as error:  # time stands still, or the guard executes nothing: so does the robot
            self._fail(str(error))
        except Exception as error:
            self.end(f"braking failed: {type(error).__name__}: {error}")
        self._finish()

    def _move(self, goal: Mapping[str, float] | None) -> None:
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

    def _finish(self) -> None:
        """Nothing is asked for any more; for whichever thread comes first."""
        with self._turn:
            if not self.step.release():
                return
        if threading.current_thread() is not self._thread:
            self._left = self._thread
        self._halt.set()
        self._call(self._on_end)
        self._change(IDLE)
        self._call(self._on_change)

    def _fail(self, cause: str) -> None:
        self.failure = self.failure or cause
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
        contract = self.step.contract
        ramp = Ramp.to(goal, contract, self._position())
        elapsed, sent = 0.0, self.step.set_point()
        while not (self._halt.is_set() or ramp.reached(elapsed, self._position())):
            position = self._position()
            wanted = ramp.command(contract.mode, elapsed, position)
            if contract.mode == "position":
                sent = position if sent is None else sent
                furthest = PEAK_SPEED * contract.control_period
                wanted = np.clip(wanted, sent - furthest, sent + furthest)
            decision = self._cycle(wanted[None])
            sent = sent if decision.command is None else decision.command.values[0]
            if (decision.rung < HOLD).all():  # the plan waits while the guard holds
                elapsed += contract.control_period

    def _run(self) -> None:
        self.first = self._sequence() + 1
        self._enter(RUN)
        self._call(self._on_begin)
        self.step.begin()
        self.runner.begin()
        self.step.pace()
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
        decision = self.step.cycle(action)
        self._judge(decision)
        return decision

    def _position(self) -> Array:
        sample = self.step.measurement
        return np.asarray(reorder(sample.position, sample.joints, self.step.contract.action.elements)[0])

    def _ticked(self, tick: Tick) -> None:
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
        """Change the state, as the thread that drives; one that was left behind changes nothing."""
        with self._turn:
            if not self.step.driving:
                raise MotionEnded("the motion has ended without this thread")
            self._change(state)
        self._call(self._on_change)

    def _change(self, state: str) -> None:
        if state != self.state and (self.state, state) not in self.transitions:
            raise RuntimeError(f"a motion does not go from {self.state} to {state}")
        self.state = state
