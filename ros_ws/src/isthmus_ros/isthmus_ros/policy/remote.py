"""The robot as a policy sees it that another process guards: commands go to `guard/command`, never to the robot's own topics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.guard import CLAMP, HOLD, PASS, STOP, Decision
from isthmus.records import Command, reorder
from isthmus_ros.common import wire
from isthmus_ros.common.setup import Setup
from isthmus_ros.common.states import StateTopic
from isthmus_ros.policy.answers import GuardAnswers

__all__ = ["RemotePlant", "answered"]

_STATUS = 1.0  # s that the guard's status may come after the states that it speaks of


class RemotePlant(StateTopic):
    """One robot behind a guard.

    Attributes:
        epoch: of this policy process since it was armed for, in the frame_id of its commands.
        guard: what the guard says.
    """

    def __init__(self, node: Any, setup: Setup) -> None:
        """Create the topics."""
        contract = setup.contract
        super().__init__(node, setup.robot, contract.control_period, **setup.listening)
        self.epoch = wire.new_epoch()
        self._arming = ""
        self._digest = setup.digest
        self._commands = node.create_publisher(JointState, "guard/command", wire.COMMAND)
        self.guard = GuardAnswers(node, contract.mode, contract.control_period, self.epoch, self._changed)

    def begin_motion(self) -> None:
        """Commands follow. A guard that was armed since the last ones lets through only who has not sent anything before."""
        if self.guard.arming != self._arming:
            self._arming = self.guard.arming
            self.epoch = self.guard.epoch = wire.new_epoch()

    def begin_decision(self) -> None:
        """Stamp the command that follows with this moment, so that the guard drops it if it comes late."""
        self._decided = self._node.get_clock().now().to_msg()

    def write(self, command: Command) -> None:
        """Ask the guard for a command."""
        self.sequence += 1
        asked = wire.joint_command(command)
        asked.header.stamp = self._decided if self.realtime else self._time()
        asked.header.frame_id = wire.frame_id(self._digest, self.epoch, self.sequence)
        self._commands.publish(asked)

    def stop(self, reason: str) -> None:
        """Ask for nothing any more; the guard brakes when no command comes."""
        self._node.get_logger().warning(f"no more commands are sent: {reason}")

    def close(self) -> None:
        """Release the topics."""
        super().close()
        self.guard.close()
        self._node.destroy_publisher(self._commands)

    def _advanced(self, before: int | None) -> bool:
        if self.guard.rung == STOP:  # the guard brakes by itself, and then time stands still
            return not self.guard.armed or self.stamp != before
        return super()._advanced(before) and (before is None or self.guard.sent_on >= before)

    def _paced_by_others(self) -> bool:
        """After a stop the guard answers each state by itself; its status may come a moment later than the states."""
        with self._changed:
            return self._changed.wait_for(lambda: self.guard.rung == STOP, _STATUS)


def answered(decision: Decision, executed: Command | None) -> Decision:
    """What was asked for, together with what the guard sent for it; as it is if nothing was sent."""
    if executed is None or decision.command is None:
        return decision
    same = np.array_equal(reorder(executed.values, executed.joints, decision.command.joints), decision.command.values)
    rung = decision.rung if decision.rung[0] >= HOLD else np.array([PASS if same else CLAMP], dtype=np.int8)
    return dataclasses.replace(decision, command=executed, rung=rung)
