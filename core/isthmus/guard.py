"""The last step before a command reaches a robot: pass, clamp, hold or stop.

`LimitGuard.check` is a pure function of its state, the command, the measurement and the time, vectorised over the batch, and the same code in
training, in evaluation and on the robot. `LimitGuard.watch` is its first half, without a command, for every sample in between, and
`LimitGuard.again` its second, for the command in force. What it promises:

* No command is ever NaN or beyond a limit of velocity, acceleration or position (`isthmus.envelope`); motion towards a position limit or the
  workspace box brakes in time and is never cut off at the wall. In effort mode the limits are those of effort and velocity.
* Braking is the robot's: a task with a lower `stop_acceleration` looks further ahead, and hold and stop brake no less for it.
* `hold` brakes from the last executed command and then keeps one latched set-point; re-publishing the measured position would let a servo sag.
  It clears by itself after five good commands within half a second, otherwise it becomes `stop`.
* `stop` brakes the same way and latches until `reset`.
* A second pass of its own output with the same state changes nothing.

There is no self-collision or obstacle check.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from isthmus.envelope import EffortEnvelope, Envelope, MotionEnvelope, Situation, commanded, longer_trail, robots_own
from isthmus.holding import Holding
from isthmus.limits import Limits
from isthmus.monitors import RUNAWAY_SHARE, Monitors, MonitorState, finite
from isthmus.records import Array, Command, Measurement, Told, reorder
from isthmus.robot import Robot
from isthmus.rungs import CLAMP, HOLD, PASS, RUNGS, STOP, Decision, Findings, GuardState, demanding, mask, renew
from isthmus.timing import Timing

__all__ = ["CLAMP", "HOLD", "NOTHING", "PASS", "RUNGS", "STOP", "Decision", "GuardState", "LimitGuard", "Timing"]


NOTHING = "no command"
"""Cause of a hold for which nothing but the lack of a command is the reason."""


class LimitGuard:
    """Filters the commands of one robot in one command mode.

    Attributes:
        limits: what it lets pass; never looser than the robot's own.
        wire_limits: what everything that is sent keeps, `rate_scale` included; its braking is the robot's own.
        joints: commanded joints, in the order of the commands it emits.
        mode: command mode.
        thresholds: of its monitors, from the robot's profile.
        profile: the robot's joints by name, also those that are not commanded.
    """

    def __init__(self, robot: Robot, limits: Limits, mode: str, rate_scale: float = 1.0) -> None:
        """Prepare the arrays.

        Args:
            robot: profile of the guarded robot.
            limits: limits to enforce; `velocity`, `acceleration` and `stop_acceleration` are multiplied by `rate_scale`.
            mode: command mode.
            rate_scale: 0 < scale <= 1, for first runs on hardware.

        Raises:
            ValueError: the mode or a joint is not the robot's, limits are looser than the robot's, or the scale is out of range.
        """
        if mode not in robot.command_modes:
            raise ValueError(f"robot {robot.name!r} has no command mode {mode!r}; it has: {', '.join(robot.command_modes)}")
        if not 0 < rate_scale <= 1:
            raise ValueError(f"rate_scale must be in (0, 1], got {rate_scale}")
        own = robot.limits()
        for joint in limits.joints:
            if joint not in own.joints:
                raise ValueError(
                    f"limits name joint {joint!r}, which robot {robot.name!r} does not have (its joints: {', '.join(own.joints)})"
                )
        if problems := limits.looser_than(own):
            raise ValueError(f"guard limits are looser than those of robot {robot.name!r}: {'; '.join(problems)}")
        self.limits = limits
        own_braking = tuple(robots_own(robot, limits, "stop_acceleration").tolist())
        self.wire_limits = dataclasses.replace(limits, stop_acceleration=own_braking).scaled(rate_scale)
        self.joints = limits.joints
        self.mode = mode
        self.thresholds = robot.monitors
        self.profile = {joint.name: joint for joint in robot.joints}
        self._standstill = robot.monitors.standstill
        self._envelope: Envelope
        if mode == "effort":
            self._envelope = EffortEnvelope(robot, limits, rate_scale)
        else:
            self._envelope = MotionEnvelope(robot, limits, mode, rate_scale)
        runaway = [self.profile[joint].within(robot.monitors.runaway_travel, RUNAWAY_SHARE) for joint in self.joints]
        self._monitors = Monitors(robot.monitors, mode, self.joints, robots_own(robot, limits, "velocity"), runaway)
        self._holding = Holding(robot, limits, runaway) if mode == "effort" else None
        self._fresh = {armed: self.initial(1, armed=armed) for armed in (False, True)}

    def initial(self, batch: int, *, armed: bool = False) -> GuardState:
        """State of `batch` rows at rest; environments arm at once, robots through `arm`."""
        zeros = np.zeros((batch, len(self.joints)))
        no = np.zeros(batch, dtype=bool)
        return GuardState(
            armed=np.full(batch, armed),
            rung=np.zeros(batch, dtype=np.int8),
            executed=zeros,
            rate=zeros,
            anchor=np.full_like(zeros, np.nan),
            braking=no,
            started=no,
            good=np.zeros(batch, dtype=np.int64),
            held=np.zeros(batch),
            runaway=no,
            cause=("",) * batch,
            monitors=self._monitors.initial(batch),
        )

    def reset(self, state: GuardState, rows: Array | None = None, *, armed: bool = False) -> GuardState:
        """Clear the latch and all memory of the rows of a mask `[B]` (None: all); they are armed only if `armed`.

        Raises:
            ValueError: `rows` is no mask.
        """
        if rows is None:
            return self.initial(state.armed.shape[0], armed=armed)
        return renew(state, self._fresh[armed], mask(rows, state))

    def arm(self, state: GuardState) -> GuardState:
        """Let commands through from now on; rows that are stopped stay unarmed until `reset`."""
        return renew(state, self._fresh[True], ~state.armed & (state.rung != STOP))

    def disarm(self, state: GuardState) -> GuardState:
        """Let nothing through any more; only sensible at standstill."""
        return dataclasses.replace(state, armed=np.zeros_like(state.armed))

    def hold(self, state: GuardState, cause: str, rows: Array | None = None) -> GuardState:
        """Ask for a hold, for a reason that the guard itself cannot see; `rows` is a mask `[B]`, None means all. Only armed rows can hold.

        Raises:
            ValueError: `rows` is no mask.
        """
        return demanding(state, HOLD, cause, state.armed if rows is None else state.armed & mask(rows, state))

    def stop(self, state: GuardState, cause: str) -> GuardState:
        """Ask for a latched stop of all rows."""
        return demanding(state, STOP, cause, True)

    def watch(self, state: GuardState, measurement: Measurement, timing: float | Timing, told: Told | None = None) -> GuardState:
        """Look at a sample without judging a command: whatever is wrong raises the rung of the armed rows, as `check` would.

        For samples that come between two commands, and for a robot that is armed and idle. Looks and checks may follow each other in any order, as
        long as `timing.looked` is the time since the one before.

        Args:
            state: what this guard returned last.
            measurement: the newest sample of the sensors, or the last one again.
            timing: of this look; a number is the control period of a loop that looks once in each.
            told: where the robot is told to be, by whoever turns commands into motion; None where the commands alone tell.

        Returns:
            the next state; `executed` and `rate` are those of before, and so is the count of good commands, unless the look is a bad one.

        Raises:
            KeyError: as `check`.
            ValueError: a time is not finite or not positive.
        """
        timing, findings = Timing.of(timing), Findings(state)
        monitors, _, runaway = self._look(state, measurement, timing, findings, told)
        rung, good, held = findings.settle(timing.looked, commanded=False)
        cause = findings.explain(rung)
        anchor = self._holding.doubted(state.anchor, state.monitors, monitors, timing) if self._holding else state.anchor
        return dataclasses.replace(state, rung=rung, good=good, held=held, runaway=runaway, cause=cause, monitors=monitors, anchor=anchor)

    def again(self, state: GuardState, measurement: Measurement, timing: Timing) -> tuple[Command | None, GuardState]:
        """Judge the command in force once more: a velocity goes on until the next command, however late that is.

        Args:
            state: what `watch` returned for this measurement.
            measurement: the newest sample of the sensors.
            timing: of that look.

        Returns:
            the command in its place and the next state; None where it still keeps every limit, and no hold or stop asks for less.
        """
        velocity = np.nan_to_num(reorder(measurement.velocity, measurement.joints, self.joints))
        now = self._situation(state, state.monitors, velocity, timing, None)
        emitted = self._envelope.clamp(state.executed, now)
        braking = state.rung >= HOLD
        if np.count_nonzero(braking):
            emitted = np.where(braking[:, None], self._envelope.brake(now), emitted)
        emitted = np.where(state.armed[:, None], emitted, state.executed)
        if np.array_equal(emitted, state.executed):
            return None, state
        following = dataclasses.replace(
            state, executed=emitted, rate=emitted, trail=longer_trail(state.trail, state.rate, timing) if timing.late else ()
        )
        return Command(self.mode, self.joints, np.where(state.armed[:, None], emitted, np.nan)), following

    def check(
        self, state: GuardState, command: Command | None, measurement: Measurement, timing: float | Timing, told: Told | None = None
    ) -> tuple[Decision, GuardState]:
        """Look at a sample, and judge one command per row.

        Args:
            state: what this guard returned last.
            command: what is asked for, `[B, J]`; None where no fresh command came, which is a reason to hold.
            measurement: the newest sample of the sensors.
            timing: of this check; a number is the control period of a loop that checks once in each.
            told: as in `watch`.

        Returns:
            the decision and the next state.

        Raises:
            KeyError: the measurement lacks a joint; a plant that lost one says so with NaN.
            ValueError: a time is not finite or not positive; or, for position commands, a position is unknown although nothing was executed since
                arming: any set-point would be a jump.
        """
        timing, findings = Timing.of(timing), Findings(state)
        asked = self._asked(command, findings)
        monitors, velocity, runaway = self._look(state, measurement, timing, findings, told)
        now = self._situation(state, monitors, velocity, timing, told)
        demand, good, held = findings.settle(timing.looked, commanded=True)
        braking = demand >= HOLD
        emitted = self._envelope.clamp(asked, now)
        rung = np.logical_or.reduce(emitted != asked, axis=1).view(np.int8)  # CLAMP where something was changed, else PASS
        if np.count_nonzero(braking):
            rung = np.where(braking, demand, rung).astype(np.int8)
            if self._holding:
                now.anchor = self._holding.doubted(self._holding.latched(state, braking, now), state.monitors, monitors, timing)
            emitted = np.where(braking[:, None], self._envelope.brake(now), emitted)
        values, executed = emitted, emitted
        armed = np.count_nonzero(state.armed)
        if armed < len(state.armed):
            ready = state.armed[:, None]
            values = np.where(ready, emitted, np.nan)
            executed = np.where(ready, emitted, now.executed if self.mode == "position" else 0.0)
            rung = np.where(state.armed, rung, np.maximum(demand, HOLD)).astype(np.int8)
        following = GuardState(
            armed=state.armed,
            rung=demand,
            executed=executed,
            rate=(executed - now.executed) / timing.period if self.mode == "position" else executed,
            anchor=now.anchor,
            braking=braking,
            started=state.started | state.armed,
            good=good,
            held=held,
            runaway=runaway,
            cause=findings.explain(demand),
            monitors=monitors,
            trail=longer_trail(state.trail, state.rate, timing) if timing.late else (),
        )
        sent = Command(self.mode, self.joints, values) if armed else None
        halts = self.mode == "velocity" and now.leaves is not None and bool(now.leaves.any())
        return Decision(sent, rung, state.armed, following.cause, halts), following

    def at_rest(self, state: GuardState, measurement: Measurement) -> Array:
        """Rows `[B]` whose command has reached rest and whose measured speed is below standstill; never in effort mode, see `resting`."""
        return self.still(measurement) & self.resting(state)

    def still(self, measurement: Measurement) -> Array:
        """Rows `[B]` whose measured speed is below standstill, whatever is commanded."""
        velocity = reorder(measurement.velocity, measurement.joints, self.joints)
        return np.asarray(np.abs(velocity).max(axis=1) < self._standstill)

    def resting(self, state: GuardState) -> Array:
        """Rows `[B]` whose command has reached rest, so that it may end; never in effort mode, where a joint that is no longer held falls."""
        return np.zeros_like(state.armed) if self.mode == "effort" else np.asarray((state.rate == 0).all(axis=1))

    def _asked(self, command: Command | None, findings: Findings) -> Array:
        """The asked values in the guard's joint order; NaN where nothing usable was asked for."""
        shape = findings.state.executed.shape
        rung = STOP
        if command is None:
            rung, reason = HOLD, NOTHING
        elif command.mode != self.mode:
            reason = f"command is {command.mode}, the guard expects {self.mode}"
        elif command.joints != self.joints and sorted(command.joints) != sorted(self.joints):
            wrong = sorted(set(command.joints) ^ set(self.joints)) or ["a joint twice"]
            reason = f"command names other joints than the guard: {', '.join(wrong)}"
        elif command.values.shape != shape:
            reason = f"command has shape {list(command.values.shape)}, the guard expects {list(shape)}"
        else:
            asked = reorder(command.values, command.joints, self.joints)
            if not finite(asked):
                self._find_bad("command", asked, findings)
            return asked
        findings.add(np.ones(shape[0], dtype=bool), rung, [reason] * shape[0])
        return np.full(shape, np.nan)

    def _find_bad(self, what: str, values: Array, findings: Findings) -> None:
        bad = ~np.isfinite(values)
        rows = np.asarray(bad.any(axis=1))
        findings.add(rows, HOLD, [f"{what} of {self.joints[joint]} is not finite" for joint in bad.argmax(axis=1)])

    def _look(
        self, state: GuardState, measurement: Measurement, timing: Timing, findings: Findings, told: Told | None
    ) -> tuple[MonitorState, Array, Array]:
        """What both halves of a check need of a sample: the monitors' memory, velocities `[B, J]`, and runaway rows `[B]`.

        An unknown velocity is 0, but NaN to an effort: a spring without its damper would make a joint swing.
        """
        position = np.asarray(reorder(measurement.position, measurement.joints, self.joints), dtype=np.float64)
        velocity = np.asarray(reorder(measurement.velocity, measurement.joints, self.joints), dtype=np.float64)
        if not finite(position):
            self._find_bad("joint position", position, findings)
        if not finite(velocity):
            self._find_bad("joint velocity", velocity, findings)
            velocity = np.where(np.isfinite(velocity), velocity, np.nan if self._holding else 0.0)
        executed, runaway = self._set_point(state, timing), state.runaway
        if self.mode == "position" and not state.started.all():
            executed = np.where(state.started[:, None], executed, np.nan)
        coming, then = None, told.then if told is not None else None
        if told is None and timing.late and self.mode != "effort":
            lasting = timing.period if self.mode == "position" else math.inf
            coming = commanded(state.rate, np.reshape(np.maximum(timing.delay, 0.0), (-1, 1)), timing, state.trail, lasting)
        monitors, alarms = self._monitors.update(
            state.monitors, measurement.stamp, executed, state.rate, position, velocity, timing, coming=coming, told=then
        )
        for alarm in alarms:
            findings.add(alarm.rows, STOP if alarm.fatal else HOLD, alarm.causes)
            if alarm.runaway:
                runaway = runaway | (alarm.rows & state.armed)
        if self._holding and np.count_nonzero(torn := self._holding.torn(state, monitors, velocity)):
            rows = np.asarray(torn.any(axis=1))
            findings.add(rows, STOP, [f"{self.joints[joint]} runs away from where it is held" for joint in torn.argmax(axis=1)])
            runaway = runaway | (rows & state.armed)
        return monitors, velocity, runaway

    def _set_point(self, state: GuardState, timing: Timing) -> Array:
        """The last executed command; of positions, how far it has come by now on its way of one period."""
        if self.mode != "position" or timing.since >= timing.period:
            return state.executed
        return np.asarray(state.executed - state.rate * (timing.period - timing.since))

    def _situation(self, state: GuardState, monitors: MonitorState, velocity: Array, timing: Timing, told: Told | None) -> Situation:
        """What bounds the next command; measured positions seed the set-point only where nothing has been executed since arming."""
        executed, waiting = self._set_point(state, timing), ~state.started
        if self.mode == "position" and np.count_nonzero(waiting):
            known = np.isfinite(monitors.position)
            blind = np.logical_or.reduce((state.armed & waiting)[:, None] & ~known)
            if np.count_nonzero(blind):
                unknown = self.joints[int(np.argmax(blind))]
                raise ValueError(f"position of {unknown} is unknown and nothing was executed since arming, so there is nothing to hold")
            executed = np.where(waiting[:, None] & known, monitors.position, executed)
        age = np.maximum(monitors.unseen, np.reshape(timing.delay, (-1, 1))) if timing.late else monitors.unseen
        place = told.now if told is not None else None
        return Situation(executed, state.rate, state.anchor, monitors.position, velocity, age, timing, state.trail, place)
