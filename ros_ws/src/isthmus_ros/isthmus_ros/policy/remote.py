"""A control step whose guard is another process: commands go to `guard/command`, and what was really sent comes back on `guard/executed`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState

from isthmus.contract import Contract
from isthmus.guard import CLAMP, HOLD, PASS, RUNGS, STOP, Decision, GuardState, LimitGuard
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot
from isthmus_ros.common import wire
from isthmus_ros.common.states import StateTopic
from isthmus_ros.policy.supervision import Change, SupervisedStep

__all__ = ["GuardSilentError", "RemotePlant", "RemoteStep", "answered"]

_REMEMBERED = 10  # answers
_MISSED = 3  # commands in a row without an answer, after which the guard is given up
_PATIENCE = 0.050  # s that this takes at least: at 100 Hz a computer that stands still for 30 ms has lost nothing
_STATUS = 1.0  # s without a status, which comes ten times as often, after which the guard counts as unknown


class GuardSilentError(TimeoutError):
    """The guard's process does not answer; nothing can be done to the robot through it."""


class RemotePlant(StateTopic):
    """The robot as a policy sees it that another process guards. It never publishes on the robot's own topics.

    Attributes:
        epoch: of this policy process, in the frame_id of its commands.
        executed: what the guard sent last, `[1, J]`; None before the first.
        answered: sequence number of the newest command that the guard has sent on; -1 before the first.
        heard: when the guard's process was heard last, on the steady clock, s.
    """

    def __init__(self, node: Any, robot: Robot, contract: Contract, *, realtime: bool, **listening: Any) -> None:
        """Create the topics; see `StateTopic` for `listening`."""
        self.epoch = wire.new_epoch()
        self.executed: Command | None = None
        self.answered = -1
        self.heard = -np.inf
        self._answers: dict[int, Command] = {}
        self._before: Array | None = None
        self._status: dict[str, str] = {}
        self._told = -np.inf
        self._sent_on = -1
        self._mode = contract.mode
        self._digest = contract.digest()
        super().__init__(node, robot, contract.control_period, realtime=realtime, **listening)
        self._commands = node.create_publisher(JointState, "guard/command", wire.COMMAND)
        self._echo = node.create_subscription(JointState, "guard/executed", self._receive_executed, wire.EXECUTED)
        self._told_by = node.create_subscription(DiagnosticArray, "guard/status", self._receive_status, wire.LATCHED)

    @property
    def known(self) -> bool:
        """Whether the guard's status is known and new."""
        return time.monotonic() - self._told < max(_STATUS, (_MISSED + 2) * self.period)

    @property
    def armed(self) -> bool:
        """Whether the guard lets commands through, as it last said."""
        return self._status.get("armed") == "true"

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
    def rate(self) -> Array | None:
        """Commanded velocity of what the guard sent last, `[1, J]`."""
        if self.executed is None or self._mode != "position":
            return None if self.executed is None else self.executed.values
        return np.zeros_like(self.executed.values) if self._before is None else (self.executed.values - self._before) / self.period

    def answer(self, sequence: int) -> Command | None:
        """What the guard sent for one of the newest commands; None if it sent nothing for it."""
        return self._answers.get(sequence)

    def write(self, command: Command) -> None:
        """Ask the guard for a command."""
        self.sequence += 1
        asked = wire.joint_command(command)
        asked.header.stamp = self._decided if self.realtime else self._time()
        asked.header.frame_id = wire.frame_id(self._digest, self.epoch, self.sequence)
        self._commands.publish(asked)

    def read(self) -> Measurement:
        """See `StateTopic.read`; the decision that follows carries the time of the reading, so that the guard drops it if it comes late."""
        self._decided = self._node.get_clock().now().to_msg()
        return super().read()

    def stop(self, reason: str) -> None:
        """Ask for nothing any more; the guard brakes when no command comes."""
        self._node.get_logger().warning(f"no more commands are sent: {reason}")

    def close(self) -> None:
        """Release the topics."""
        super().close()
        self._node.destroy_publisher(self._commands)
        self._node.destroy_subscription(self._echo)
        self._node.destroy_subscription(self._told_by)

    def _advanced(self, before: int | None) -> bool:
        if self.rung == STOP:  # the guard brakes by itself, and then time stands still
            return not self.armed or self.stamp != before
        return super()._advanced(before) and (before is None or self._sent_on >= before)

    def _paced_by_others(self) -> bool:
        """After a stop the guard answers each state by itself; its status may come a moment later than the states."""
        with self._changed:
            return self._changed.wait_for(lambda: self.rung == STOP, _STATUS)

    def _receive_executed(self, message: Any) -> None:
        with self._changed:
            self.heard = time.monotonic()
            self._before = None if self.executed is None else self.executed.values
            field = wire.COMMANDED.get(self._mode, self._mode)
            self.executed = Command(self._mode, tuple(message.name), np.array([getattr(message, field)]))
            self.answered = wire.sequence_of(message)
            self._answers.setdefault(self.answered, self.executed)  # what follows under the same number is the guard's own braking
            if len(self._answers) > _REMEMBERED:
                del self._answers[next(iter(self._answers))]
            self._sent_on = wire.nanoseconds_of(message.header.stamp)
            self._changed.notify_all()

    def _receive_status(self, message: Any) -> None:
        with self._changed:
            self.heard = self._told = time.monotonic()
            self._status = {pair.key: pair.value for status in message.status for pair in status.values}
            self._changed.notify_all()


class RemoteStep(SupervisedStep):
    """As `SupervisedStep`, but no guard acts here: the `guard` only gives names to what the other process says.

    A demand to hold or stop means that nothing is asked for in that period; the guard's process brakes when nothing comes.

    Attributes:
        lost: why the guard's process had to be given up; "" if it was not.
    """

    plant: RemotePlant

    def __init__(
        self, plant: RemotePlant, contract: Contract, guard: LimitGuard, *, on_lost: Callable[[str], object] = lambda cause: None
    ) -> None:
        """See `ControlStep`; `on_lost` is called once when the guard has left three commands in a row, for 50 ms, without an answer."""
        self.lost = ""
        self._on_lost = on_lost
        self._first = self._missed = 0
        self._answered = -np.inf
        self._asked = False
        self._rest: Array | None = None
        super().__init__(plant, contract, guard)
        self._fresh = self._state

    @property
    def state(self) -> GuardState:
        """What the guard's process has said, and what was demanded here."""
        plant, own = self.plant, self._state
        remote = plant.rung if plant.rung >= HOLD else 0
        cause = plant.cause if remote > own.rung[0] else own.cause[0]
        executed, rate = plant.executed, plant.rate
        return dataclasses.replace(
            own,
            armed=np.array([plant.armed and plant.known]),
            rung=np.maximum(own.rung, remote).astype(np.int8),
            cause=(cause,),
            started=np.array([executed is not None]),
            executed=own.executed if executed is None else executed.values,
            rate=own.rate if rate is None else rate,
        )

    @state.setter
    def state(self, state: GuardState) -> None:
        with self._lock:
            self._state = state

    def begin(self) -> None:
        """As `ControlStep.begin`: what was executed before counts no more."""
        super().begin()
        self._first = self.plant.sequence + 1
        self._missed, self._asked = 0, False

    def sense(self) -> Measurement:
        """As `ControlStep.sense`; the previous action is the newest that the guard has sent."""
        with self._lock:
            answered = self.plant.answered >= self._first
            self._executed = self.plant.executed if answered else None
            return super().sense()

    def decide(self, action: Array | None) -> Decision:
        """Ask the guard's process for an action.

        Raises:
            GuardSilentError: it has left three commands in a row, for 50 ms, without an answer.
        """
        self._count_answers()
        own, self._state = self._state, self._fresh
        plant = self.plant
        rung, cause = (plant.rung if plant.rung >= HOLD else 0), plant.cause
        values = action if action is not None else np.zeros((1, len(self.contract.action.elements)))
        asked = Command(self.contract.mode, self.contract.action.elements, values)
        if not (plant.armed and plant.known):
            rung, cause = STOP, cause or "the guard is not armed"
        if own.rung[0] >= HOLD or action is None:
            rung, cause = max(rung, HOLD), cause or own.cause[0] or "no decision"
        elif rung < STOP:
            plant.write(asked)
            self._asked = True
        return Decision(asked, np.array([rung], dtype=np.int8), np.array([plant.armed]), (cause if rung >= HOLD else "",))

    def act(self, action: Array | None) -> Decision:
        """As `ControlStep.act`; in stepped time the answer has come meanwhile, and the decision is the guard's own."""
        decision = super().act(action)
        return decision if self.plant.realtime else answered(decision, self.plant.answer(self.plant.sequence))

    def resting(self) -> Array | None:
        """What to ask for on the way to standstill: no velocity, or one place; an effort-controlled robot is left to the guard.

        The place is where the set-points come to rest if they brake now, and it is kept until the motion is over: the newest answer is that to the
        command before the last, and to ask for the newest each time would let the guard swing between two of them for ever.
        """
        if self.contract.mode == "effort":
            return None
        if self.contract.mode != "position":
            return np.zeros((1, len(self.contract.action.elements)))
        executed, rate = self.plant.executed, self.plant.rate
        if self._rest is None and executed is not None and rate is not None:
            joints, limits = self.contract.action.elements, self.guard.limits
            braking = reorder(np.array([limits.stop_acceleration]), limits.joints, joints)
            speed = reorder(rate, executed.joints, joints)
            self._rest = reorder(executed.values, executed.joints, joints) + speed * np.abs(speed) / (2 * braking)
        return self._rest

    def demand(self, change: Change) -> None:
        """Ask for nothing in the coming period if the change is to a hold or a stop."""
        with self._lock:
            self._state = change(self._state)

    def release(self, settle: Change) -> bool:
        """As `SupervisedStep.release`; demands are over."""
        self._rest = None
        return super().release(lambda state: self._fresh)

    def overtake(self) -> Decision | None:
        """Nothing is sent in the driver's place; but if the guard has stopped, and the driver does not come, that is the decision."""
        with self._lock:
            now = time.monotonic()
            if self._driver is None or now - max(self.acted, self._began) < self._time_out or self.plant.rung < STOP:
                return None
            self._generation += 1
            self.taken, self.acted = True, now
            self.measurement = self.plant.read()
            zeros = np.zeros((1, len(self.guard.joints)))
            self.decision = Decision(
                Command(self.guard.mode, self.guard.joints, zeros), np.array([STOP], dtype=np.int8), np.array([False]), (self.plant.cause,)
            )
            return self.decision

    def _count_answers(self) -> None:
        now, missed = time.monotonic(), self._asked and self.plant.answered < self.plant.sequence
        self._missed = self._missed + 1 if missed else 0
        self._answered = self._answered if missed else now
        self._asked = False
        patient = self.plant.realtime and now - self._answered < _PATIENCE
        if self._missed >= _MISSED and not patient and self.plant.rung < STOP:
            silent = now - self.plant.heard
            self.lost = f"the guard left {self._missed} commands in a row without an answer; it was last heard {silent:.2f} s ago"
            self._on_lost(self.lost)
            raise GuardSilentError(self.lost)

    def _look_for_faults(self) -> None:
        """The guard's process looks at the same samples."""


def answered(decision: Decision, executed: Command | None) -> Decision:
    """What was asked for, together with what the guard sent for it; as it is if nothing was sent."""
    if executed is None or decision.command is None:
        return decision
    same = np.array_equal(reorder(executed.values, executed.joints, decision.command.joints), decision.command.values)
    rung = decision.rung if decision.rung[0] >= HOLD else np.array([PASS if same else CLAMP], dtype=np.int8)
    return dataclasses.replace(decision, command=executed, rung=rung)
