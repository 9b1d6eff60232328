"""A policy that asks another process, which learns, for each action. Nothing here knows ROS.

In passing time the learner's first action must come as soon as any motion must begin (`isthmus_ros.policy.asking.patience`); until then the robot
stands still. From then on it has one control period for each action. One that is later ends the episode: the robot is braked as by `policy/stop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import HOLD, PASS
from isthmus.records import ActionChunk, Array, reorder
from isthmus.runner import Tick
from isthmus.timing import steady
from isthmus_ros.policy.asking import patience
from isthmus_ros.policy.motion import Motion
from isthmus_ros.training.exchange import ASKED, ENDED, OVER, Channel, arrays_of, packed, unpacked

__all__ = ["AskedPolicy"]

_SENDING = 0.1  # s within which a learner must take a message; callbacks of the node wait for it
_STEPPED = 600.0  # s that a learner may take where time waits for it


class AskedPolicy:
    """See `Policy`; whoever owns the motion calls `begin`, `watch` and `end` with it.

    Attributes:
        contract: of the learner's policy.
        motion: whose policy this is; set before it starts.
    """

    def __init__(
        self, contract: Contract, learner: Channel, steps: int, *, realtime: bool, take_over: Callable[[], None] = lambda: None
    ) -> None:
        """Nothing is asked yet.

        Args:
            contract: of the learner's policy; decides one action at a time.
            learner: the way to its process.
            steps: control periods of an episode.
            realtime: whether time passes while the learner thinks.
            take_over: called with the learner's first action of an episode, which begins slowly.
        """
        self.contract = contract
        self.motion: Motion | None = None
        self._learner, self._steps, self._realtime, self._take_over = learner, steps, realtime, take_over
        self._running = self._gone = False
        self._number = self._run = 0  # actions decided in this run, and which run it is
        self._first = 0.0  # steady time, s, before which the first action must come
        self._pending = -1  # action that the learner was asked for last
        self._told: dict[str, Any] = {}
        self._executed: Array | None = None
        self._forget()

    @property
    def standing(self) -> bool:
        """Whether time passes and the learner has decided nothing in this run."""
        return self._number == 0 and self._realtime

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """See `Policy`."""

    def begin(self) -> None:
        """A run begins."""
        self._number, self._pending, self._run = 0, -1, self._run + 1
        self._forget()
        self._running, self._gone = True, False
        self._first = steady() + patience(self.contract.control_period)

    def watch(self, tick: Tick) -> None:
        """What became of a control period; there may be several since the learner's last action, as when a camera showed nothing meanwhile."""
        decision, rung = tick.decision, int(tick.decision.rung[0])
        if rung >= self._told["rung"]:
            self._told = {"rung": rung, "cause": decision.cause[0]}
        if decision.command is None or tick.asked is None:
            return
        softened = self._realtime and rung < HOLD and not np.array_equal(decision.command.values, tick.asked, equal_nan=True)
        if tick.corrected or softened:
            self._executed = decision.command.values

    def end(self) -> None:
        """The run has ended; the learner is told, unless it knows. Any thread may call this, more than once."""
        if self._running and self.motion is not None:
            self._running = False
            self._send(ENDED, arrays_of(self.motion.step.plant.read()))

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy`; what keeps the robot where it is, while nobody has decided anything."""
        motion = self.motion
        if motion is None or not self._running:
            return self._chunk(np.zeros((1, len(self.contract.action.elements))))
        seen = arrays_of(motion.step.measurement) | {f"observation/{name}": values for name, values in observation.items()}
        if self._number == self._steps:
            self._running = False
            self._send(OVER, seen)
            motion.stop()
            return self._chunk(self._rest(motion))
        if self._pending != self._number:
            self._pending = self._number
            self._send(ASKED, seen)
        standing = self.standing
        if standing and steady() > self._first:
            motion.stop(f"the learner decided nothing within {patience(self.contract.control_period):.3f} s of policy/start")
            return self._chunk(self._rest(motion))
        action = self._answer(0.0 if standing else self.contract.control_period if self._realtime else _STEPPED)
        if action is None:
            if self._gone or not standing:
                motion.stop("" if self._gone else "the learner's action took longer than a control period")
            return self._chunk(self._rest(motion))
        if standing:  # the episode begins with this sample
            self._take_over()
            motion.step.begin()
            motion.step.sense()
        self._forget()
        self._number += 1
        return self._chunk(action)

    def _forget(self) -> None:
        """An action follows, or a run: what became of the one before has been told."""
        self._told, self._executed = {"rung": PASS, "cause": ""}, None

    def _send(self, kind: str, arrays: Mapping[str, Array]) -> None:
        told = {"kind": kind, "run": self._run, "decided": self._number, **self._told}
        executed = {} if self._executed is None else {"executed": self._executed}
        try:
            self._learner.send(packed(told, {**arrays, **executed}), _SENDING)
        except OSError:
            self._gone = True

    def _answer(self, patience: float) -> Array | None:
        """The learner's action, `[1, A]`; None if it does not come within `patience`, s, or the learner wants to end the episode."""
        end = steady() + patience
        try:
            while (message := self._learner.receive(max(end - steady(), 0.0))) is not None:
                told, arrays = unpacked(message)
                if told["run"] == self._run and told["number"] in (self._number, None):
                    self._gone = told["number"] is None
                    return arrays.get("action")
        except OSError:
            self._gone = True
        return None

    def _rest(self, motion: Motion) -> Array:
        """What keeps the robot at rest, `[1, A]`."""
        joints = self.contract.action.elements
        if self.contract.mode != "position":
            return np.zeros((1, len(joints)))
        sent, sample = motion.step.set_point(), motion.step.measurement
        return reorder(sample.position, sample.joints, joints) if sent is None else sent[None]

    def _chunk(self, action: Array) -> ActionChunk:
        return ActionChunk(np.asarray(action, dtype=np.float64)[:, None])
