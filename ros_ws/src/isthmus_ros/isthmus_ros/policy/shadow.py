"""A policy that decides beside whoever really drives the robot: decisions go to `policy/shadow`, and nothing is commanded.

Nothing here can publish on the robot's command topic or on `guard/command`: there are no publishers for them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.contract import Contract
from isthmus.guard import HOLD, RUNGS, STOP, Decision, GuardState
from isthmus.records import Array, Command, Measurement, reorder
from isthmus_ros.common import wire
from isthmus_ros.common.setup import Setup
from isthmus_ros.common.states import StateTopic
from isthmus_ros.policy.drive import Drive

__all__ = ["ShadowDrive", "ShadowPlant"]


class ShadowPlant(StateTopic):
    """The robot as a policy sees it that only looks on.

    Attributes:
        epoch: of this policy process, in the frame_id of its decisions.
    """

    def __init__(self, node: Any, setup: Setup) -> None:
        """Create the topics.

        Raises:
            ValueError: time is stepped, so that it would wait for commands for ever.
        """
        if not setup.realtime:
            raise ValueError("shadow:=true needs clock:=wall: a stepped robot waits for commands, and a shadow sends none")
        super().__init__(node, setup.robot, setup.contract.control_period, **setup.listening)
        self.epoch = wire.new_epoch()
        self._digest = setup.digest
        self._decisions = node.create_publisher(JointState, "policy/shadow", wire.EXECUTED)

    def write(self, command: Command) -> None:
        """Say what would have been asked of the guard."""
        self.sequence += 1
        decided = wire.joint_command(command)
        decided.header.stamp = self._time()
        decided.header.frame_id = wire.frame_id(self._digest, self.epoch, self.sequence)
        self._decisions.publish(decided)

    def stop(self, reason: str) -> None:
        """Nothing to do: nothing is commanded."""

    def close(self) -> None:
        """Release the topics."""
        super().close()
        self._node.destroy_publisher(self._decisions)


class ShadowDrive(Drive):
    """Says what it would ask for; a guard only gives its opinion of it, as if it had just been armed on the robot as it moves.

    What another controller makes the robot do counts as the previous action, as measured: its velocity, position or effort.

    Attributes:
        opinions: how often each rung was the guard's opinion in the newest run.
    """

    plant: ShadowPlant

    def __init__(self, plant: ShadowPlant, contract: Contract) -> None:
        """See `ControlStep`."""
        super().__init__(plant, contract)
        self.opinions: Counter[str] = Counter()
        self._armed = self.guard.arm(self.guard.initial(plant.batch))

    def at_rest(self) -> bool:
        """Whoever drives the robot may go on: there is nothing to wait for."""
        return True

    def resting(self) -> Array | None:
        """Nothing is asked for."""
        return None

    def begin(self) -> None:
        """As `ControlStep.begin`; opinions are counted anew."""
        super().begin()
        self.opinions.clear()

    def sense(self) -> Measurement:
        """As `Drive.sense`; the previous action is what the robot does."""
        self._executed = self._driven(self.plant.read())
        return super().sense()

    def decide(self, action: Array | None) -> Decision:
        """Say what would be asked of the guard, and return what it would make of it; the robot gets neither."""
        joints = self.contract.action.elements
        withheld, alarm = self.withheld(), self.plant.alarm()
        cause = alarm or withheld or self.plant.fault()
        if action is None or cause:
            nothing = Command(self.contract.mode, joints, np.zeros((1, len(joints))))
            rung = np.array([STOP if alarm else HOLD], dtype=np.int8)
            decision = Decision(nothing, rung, np.array([False]), (cause or "no decision",))
        else:
            asked = Command(self.contract.mode, joints, action)
            decision, _ = self.guard.check(self._as_it_moves(), asked, self.measurement, self.contract.control_period)
            self.plant.write(asked)
        self.opinions[RUNGS[int(decision.rung[0])]] += 1
        return decision

    def _as_it_moves(self) -> GuardState:
        measured = self.measurement
        velocity = reorder(measured.velocity, measured.joints, self.guard.joints)
        executed = self._driven(measured).values
        return dataclasses.replace(self._armed, executed=executed, rate=executed if self.guard.mode == "effort" else velocity)

    def _driven(self, measurement: Measurement) -> Command:
        mode, joints = self.contract.mode, self.contract.action.elements
        effort = measurement.effort if measurement.effort is not None else np.zeros_like(measurement.position)
        values = {"position": measurement.position, "effort": effort}.get(mode, measurement.velocity)
        return Command(mode, joints, reorder(values, measurement.joints, joints))
