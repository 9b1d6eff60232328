"""The last step before a command reaches a robot: pass, clamp, hold or stop.

`LimitGuard.check` is a pure function of its state, the command, the measurement and the period, vectorised over the batch, and the same code in
training, in evaluation and on the robot. What it promises:

* No command is ever NaN or beyond a limit of velocity, acceleration or position (`isthmus.envelope`); motion towards a position limit or the
  workspace box brakes in time and is never cut off at the wall. In effort mode the limits are those of effort and velocity.
* `hold` brakes from the last executed command and then keeps one latched set-point; re-publishing the measured position would let a servo sag.
  It clears by itself after five good commands within half a second, otherwise it becomes `stop`.
* `stop` brakes the same way and latches until `reset`.
* A second pass of its own output with the same state changes nothing.

There is no self-collision or obstacle check.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from isthmus.envelope import EffortEnvelope, Envelope, MotionEnvelope, Situation
from isthmus.limits import Limits
from isthmus.monitors import Monitors, MonitorState, finite
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot
from isthmus.rungs import CLAMP, HOLD, PASS, RUNGS, STOP, Decision, Findings, GuardState, renew

__all__ = ["CLAMP", "HOLD", "PASS", "RUNGS", "STOP", "Decision", "GuardState", "LimitGuard"]


class LimitGuard:
    """Filters the commands of one robot in one command mode.

    Attributes:
        limits: what it lets pass; never looser than the robot's own.
        joints: commanded joints, in the order of the commands it emits.
        mode: command mode.
    """

    def __init__(self, robot: Robot, limits: Limits, mode: str, rate_scale: float = 1.0) -> None:
        """Prepare the arrays.

        Args:
            robot: profile of the guarded robot.
            limits: limits to enforce; `acceleration` and `velocity` are multiplied by `rate_scale`.
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
        self.joints = limits.joints
        self.mode = mode
        self._standstill = robot.monitors.standstill
        self._braking = np.array(limits.stop_acceleration)
        self._envelope: Envelope
        if mode == "effort":
            self._envelope = EffortEnvelope(robot, limits, rate_scale)
        else:
            self._envelope = MotionEnvelope(robot, limits, mode, rate_scale)
        fastest = np.array([own.velocity[own.joints.index(joint)] for joint in self.joints])
        self._monitors = Monitors(robot.monitors, mode, self.joints, fastest)
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
            cause=("",) * batch,
            monitors=self._monitors.initial(batch),
        )

    def reset(self, state: GuardState, rows: Array | None = None, *, armed: bool = False) -> GuardState:
        """Clear the latch and all memory of the given rows (None: all); they are armed only if `armed`."""
        if rows is None:
            return self.initial(state.armed.shape[0], armed=armed)
        return renew(state, self._fresh[armed], np.asarray(rows))

    def arm(self, state: GuardState) -> GuardState:
        """Let commands through from now on; rows that are stopped stay unarmed until `reset`."""
        rows = np.flatnonzero(~state.armed & (state.rung != STOP))
        return renew(state, self._fresh[True], rows)

    def disarm(self, state: GuardState) -> GuardState:
        """Let nothing through any more; only sensible at standstill."""
        return dataclasses.replace(state, armed=np.zeros_like(state.armed))

    def hold(self, state: GuardState, cause: str, rows: Array | None = None) -> GuardState:
        """Ask for a hold, for a reason that the guard itself cannot see; `rows` is a mask `[B]`, None means all. Only armed rows can hold."""
        return self._demand(state, HOLD, cause, state.armed if rows is None else state.armed & rows)

    def stop(self, state: GuardState, cause: str) -> GuardState:
        """Ask for a latched stop of all rows."""
        return self._demand(state, STOP, cause, True)

    def check(self, state: GuardState, command: Command | None, measurement: Measurement, dt: float) -> tuple[Decision, GuardState]:
        """Judge one command per row.

        Args:
            state: what this guard returned last.
            command: what is asked for, `[B, J]`; None where no fresh command came, which is a reason to hold.
            measurement: the newest sample of the sensors.
            dt: control period in seconds.

        Returns:
            the decision and the next state.

        Raises:
            KeyError: the measurement lacks a joint; a plant that lost one says so with NaN.
            ValueError: position commands, and a position is unknown although nothing was executed since arming: any set-point would be a jump.
        """
        findings = Findings(state)
        asked = self._asked(command, findings)
        position = np.asarray(reorder(measurement.position, measurement.joints, self.joints), dtype=np.float64)
        velocity = np.asarray(reorder(measurement.velocity, measurement.joints, self.joints), dtype=np.float64)
        for what, values in (("joint position", position), ("joint velocity", velocity)):
            if not finite(values):
                self._find_bad(what, values, findings)
        if not finite(velocity):
            velocity = np.where(np.isfinite(velocity), velocity, 0.0)
        monitors, alarms = self._monitors.update(state.monitors, measurement.stamp, state.executed, state.rate, position, velocity, dt)
        for alarm in alarms:
            findings.add(alarm.rows & state.started, STOP if alarm.fatal else HOLD, alarm.causes)

        now = self._situation(state, monitors, velocity, dt)
        demand, good, held = findings.settle(dt)
        braking = demand >= HOLD
        emitted = self._envelope.clamp(asked, now)
        rung = np.logical_or.reduce(emitted != asked, axis=1).view(np.int8)  # CLAMP where something was changed, else PASS
        if np.count_nonzero(braking):
            rung = np.where(braking, demand, rung).astype(np.int8)
            if self.mode == "effort":
                now.anchor = self._latch(state, braking, now)
            emitted = np.where(braking[:, None], self._envelope.brake(now), emitted)
        if np.count_nonzero(~state.armed):
            rest = now.executed if self.mode == "position" else 0.0
            emitted = np.where(state.armed[:, None], emitted, rest)
            rung = np.where(state.armed, rung, np.maximum(demand, HOLD)).astype(np.int8)
        following = GuardState(
            armed=state.armed,
            rung=demand,
            executed=emitted,
            rate=(emitted - now.executed) / dt if self.mode == "position" else emitted,
            anchor=now.anchor,
            braking=braking,
            started=state.started | state.armed,
            good=good,
            held=held,
            cause=findings.explain(demand),
            monitors=monitors,
        )
        return Decision(Command(self.mode, self.joints, emitted), rung, state.armed, following.cause), following

    def at_rest(self, state: GuardState, measurement: Measurement) -> Array:
        """Rows `[B]` whose command has reached rest and whose measured speed is below standstill."""
        velocity = reorder(measurement.velocity, measurement.joints, self.joints)
        return np.asarray(np.abs(velocity).max(axis=1) < self._standstill) & self.resting(state)

    def resting(self, state: GuardState) -> Array:
        """Rows `[B]` whose command has reached rest; an effort says nothing about that, so it always counts as such."""
        return np.ones_like(state.armed) if self.mode == "effort" else np.asarray((state.rate == 0).all(axis=1))

    def _demand(self, state: GuardState, rung: int, cause: str, rows: Array | bool) -> GuardState:
        rises = rows & (state.rung < rung)
        causes = tuple(cause if rises[row] else old for row, old in enumerate(state.cause))
        return dataclasses.replace(
            state, rung=np.where(rises, rung, state.rung).astype(np.int8), cause=causes, good=np.where(rows, 0, state.good)
        )

    def _asked(self, command: Command | None, findings: Findings) -> Array:
        """The asked values in the guard's joint order; NaN where nothing usable was asked for."""
        shape = findings.state.executed.shape
        rung = STOP
        if command is None:
            rung, reason = HOLD, "no command"
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

    def _situation(self, state: GuardState, monitors: MonitorState, velocity: Array, dt: float) -> Situation:
        """What bounds the next command; measured positions seed the set-point only where nothing has been executed since arming."""
        executed, waiting = state.executed, ~state.started
        if self.mode == "position" and np.count_nonzero(waiting):
            known = np.isfinite(monitors.position)
            blind = np.logical_or.reduce((state.armed & waiting)[:, None] & ~known)
            if np.count_nonzero(blind):
                unknown = self.joints[int(np.argmax(blind))]
                raise ValueError(f"position of {unknown} is unknown and nothing was executed since arming, so there is nothing to hold")
            executed = np.where(waiting[:, None] & known, monitors.position, executed)
        return Situation(executed, state.rate, state.anchor, monitors.position, velocity, monitors.age, dt)

    def _latch(self, state: GuardState, braking: Array, now: Situation) -> Array:
        """Where an effort-controlled robot is held: its predicted stopping point, latched when braking begins."""
        stopping_point = now.position + now.velocity * np.abs(now.velocity) / (2 * self._braking)
        begins = (braking & ~state.braking)[:, None] | np.isnan(now.anchor)
        return np.where(begins, stopping_point, now.anchor)
