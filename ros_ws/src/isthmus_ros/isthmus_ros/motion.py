"""How motion starts and ends: IDLE, RAMP to the start pose, RUN the policy, STOPPING until standstill is confirmed.

One thread per motion owns the control step from `start` to standstill; other threads only leave demands. Nothing here knows ROS.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.control import ControlStep
from isthmus.guard import HOLD, STOP, Decision, GuardState, LimitGuard
from isthmus.plant import Plant
from isthmus.policy import Policy
from isthmus.records import Array, reorder
from isthmus.runner import Runner, Tick
from isthmus_ros.ramp import Ramp

__all__ = ["IDLE", "RAMP", "RUN", "STOPPING", "Motion", "SupervisedStep"]

IDLE, RAMP, RUN, STOPPING = "idle", "ramp", "run", "stopping"

_SETTLING = 3.0  # s after the ramp's end within which the start pose must be reached
_STILL_TICKS = 2  # control periods at rest in a row that confirm standstill


class SupervisedStep(ControlStep):
    """A control step whose guard other threads may ask to hold or stop.

    Attributes:
        decision: the last one; None before the first.
        acted: when it was made, on the steady clock, s.
    """

    def __init__(self, plant: Plant, contract: Contract, guard: LimitGuard | None = None) -> None:
        """See `ControlStep`."""
        super().__init__(plant, contract, guard)
        self.decision: Decision | None = None
        self.acted = -np.inf
        self._demands: deque[Callable[[GuardState], GuardState]] = deque()

    def demand(self, change: Callable[[GuardState], GuardState]) -> None:
        """Have the guard's state changed before the next command is judged."""
        self._demands.append(change)

    def act(self, action: Array | None) -> Decision:
        """As `ControlStep.act`, after what has been demanded."""
        self.apply_demands()
        self.acted = time.monotonic()
        self.decision = super().act(action)
        return self.decision

    def apply_demands(self) -> None:
        """Change the guard's state as demanded; only for the thread that owns the step."""
        while self._demands:
            self.state = self._demands.popleft()(self.state)


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
    ) -> None:
        """Bind policy and control step.

        Args:
            step: control step of the robot.
            policy: what decides.
            sequence: number of the last command sent.
            inputs: external signals, `[1, n]` per name.
            replan: see `Runner`.
            longest: control periods after which a run ends by itself; None for no end.
            on_change: called when the state or the guard's rung has changed; from the motion's thread too.
            on_tick: called after each control period of a run.
            on_end: called after the last control period of a run.
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
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline = 0.0
        self._rung = 0

    @property
    def moving(self) -> bool:
        """Whether commands are being sent."""
        return self.state != IDLE

    def start(self, goal: Mapping[str, float] | None = None) -> None:
        """Begin: ramp to `goal` (joint → position, rad or m; None to stay), then run the policy. Returns at once."""
        self._halt.clear()
        self.first = self.stopped = -1
        self.failure = ""
        self._rung = 0
        self.state = RAMP if goal else RUN
        self.starts += 1
        self._thread = threading.Thread(target=self._drive, args=(goal,), name="control loop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for braking to standstill; the guard stays armed. Returns at once."""
        self._halt.set()

    def hold(self, cause: str) -> None:
        """Ask the guard for a hold, which clears by itself as every hold does."""
        self._demand(lambda state: self.step.guard.hold(state, cause))

    def latch(self, cause: str) -> None:
        """Ask the guard for a latched stop; braking to standstill follows if there is motion."""
        self._demand(lambda state: self.step.guard.stop(state, cause))
        self._halt.set()

    def _demand(self, change: Callable[[GuardState], GuardState]) -> None:
        self.step.demand(change)
        if not self.moving:
            self.step.apply_demands()
            self._on_change()

    def _drive(self, goal: Mapping[str, float] | None) -> None:
        try:
            try:
                if goal:
                    self._ramp(goal)
                if not self._halt.is_set():
                    self._run()
            except TimeoutError:
                raise
            except Exception as error:  # whatever went wrong, the robot is braked
                self._fail(f"{type(error).__name__}: {error}")
            self._brake()
        except TimeoutError as error:  # time stands still, and so does the robot
            self._fail(str(error))
        if (self.step.state.rung == STOP).any():
            self.step.state = self.step.guard.disarm(self.step.state)
        else:
            self._unlatch()
        self._enter(IDLE)

    def _fail(self, cause: str) -> None:
        self.failure = cause
        self.step.state = self.step.guard.stop(self.step.state, cause)
        self.stopped = self._sequence() if self.stopped < 0 else self.stopped

    def _ramp(self, goal: Mapping[str, float]) -> None:
        joints, tolerance = self.step.guard.joints, {name: bound for name, (_, bound) in self.step.contract.start.items()}
        self._sample()
        position = self._position(joints)
        target = np.array([goal.get(joint, value) for joint, value in zip(joints, position, strict=True)])
        ramp = Ramp(position, target)
        allowed = np.array([tolerance.get(joint, np.inf) for joint in joints])
        elapsed = 0.0
        while not self._halt.is_set():
            position = self._position(joints)
            if elapsed >= ramp.duration and (np.abs(target - position) <= allowed).all():
                return
            if elapsed > ramp.duration + _SETTLING:
                raise RuntimeError(f"the start pose was not reached within {elapsed:.1f} s")
            self._cycle(ramp.command(self.step.guard.mode, elapsed, position)[None])
            elapsed += self.step.contract.control_period

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
            self._on_end()

    def _brake(self) -> None:
        self._enter(STOPPING)
        still = 0
        while still < _STILL_TICKS:
            if not (self.step.state.rung == STOP).any():
                # A hold that was asked for is no fault, so it does not expire.
                held = self.step.guard.hold(self.step.state, "policy/stop")
                self.step.state = dataclasses.replace(held, held=np.zeros_like(held.held))
            self._cycle(None)
            at_rest = self.step.guard.at_rest(self.step.state, self.step.measurement)
            still = still + 1 if at_rest.all() else 0

    def _unlatch(self) -> None:
        """End the hold that braking asked for; the set-point stays, and the guard stays armed."""
        state = self.step.state
        passing = np.zeros_like(state.rung)
        self.step.state = dataclasses.replace(state, rung=passing, good=np.zeros_like(state.good), cause=("",) * len(state.cause))

    def _cycle(self, action: Array | None) -> None:
        """One control period outside a run: without observations, which may be what has failed."""
        self._pace()
        if self.step.plant.realtime:
            self._sample()
        self._judge(self.step.act(action))
        if not self.step.plant.realtime:
            self._sample()

    def _sample(self) -> None:
        self.step.measurement = self.step.plant.read()

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
        self._on_tick(tick)
        self._judge(tick.decision)

    def _judge(self, decision: Decision) -> None:
        rung = int(decision.rung[0])
        if rung == STOP and self.stopped < 0:
            self.stopped = self._sequence()
            self._halt.set()
        if rung != self._rung and max(rung, self._rung) >= HOLD:
            self._on_change()
        self._rung = rung

    def _enter(self, state: str) -> None:
        if self.state != state or state == RUN:
            self.state = state
            self._on_change()
