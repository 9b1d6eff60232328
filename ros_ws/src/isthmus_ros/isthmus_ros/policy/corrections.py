"""A person who takes over while a policy runs: commands on a topic that count in place of the policy's, as long as they come.

They go the way of the policy's own: through this process, under its epoch, to the guard, with the same limits. Pictures and states that may not be
acted on are not acted on by a person either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.lifecycle import without_numbers
from isthmus_ros.policy.hand_over import HandOver

__all__ = ["TOPIC", "Corrections"]

TOPIC = "policy/correction"
_AHEAD = 0.05  # s that a stamp may be ahead


class Corrections:
    """Subscribes `policy/correction`. ROS callbacks only keep the newest message; the motion's thread asks for it.

    Attributes:
        active: whether the newest command of the run was a person's.
    """

    def __init__(self, node: Any, contract: Contract, hand_over: HandOver, patience: float) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscription.
            contract: of the policy; commands are for its joints, in its mode.
            hand_over: told whenever somebody else takes over.
            patience: seconds after its stamp from which a correction does not count any more.
        """
        self._node, self._log = node, node.get_logger()
        self._joints, self._mode = contract.action.elements, contract.mode
        self._field = wire.COMMANDED.get(contract.mode, contract.mode)
        self._low, self._high = np.array(contract.action.low), np.array(contract.action.high)
        self._hand_over, self._patience = hand_over, patience
        # `[1, A]`, and the steady time of its stamp; replaced as a whole by the thread that receives
        self._newest: tuple[Array, float] | None = None
        self._began = -np.inf  # the run, steady time
        self._stamp = 0  # ns, that the next one must be newer than
        self._refused = ""
        self.active = False
        self._topic = str(node.resolve_topic_name(TOPIC))  # as it is remapped: the graph knows no other
        self._subscription = node.create_subscription(JointState, TOPIC, self._receive, wire.COMMAND)

    def begin(self) -> None:
        """A run begins: what was said before it counts no more."""
        self._stamp, self._began = 0, steady()
        self._newest, self.active = None, False

    def newest(self) -> Array | None:
        """What a person asks for at present, `[1, A]` in the contract's order and within its bounds; None if nobody does. Once in each period."""
        newest = self._newest
        fresh = newest is not None and self._began <= newest[1] and steady() - newest[1] <= self._patience
        if fresh != self.active:
            self.active = fresh
            self._hand_over.begin()
        return np.clip(newest[0], self._low, self._high) if fresh and newest is not None else None

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Any) -> None:
        now = steady()
        age = (self._node.get_clock().now().nanoseconds - wire.nanoseconds_of(message.header.stamp)) / 1e9
        problem = self._problem(message, age)
        before, self._refused = self._refused, problem
        if not problem:
            values = dict(zip(message.name, getattr(message, self._field), strict=True))
            self._stamp = wire.nanoseconds_of(message.header.stamp)
            self._newest = (np.array([[values[joint] for joint in self._joints]]), now - max(age, 0.0))
        elif without_numbers(problem) != without_numbers(before):
            self._log.error(f"correction refused: {problem}")

    def _problem(self, message: Any, age: float) -> str:
        if sorted(message.name) != sorted(self._joints):
            return f"it must name {', '.join(self._joints)}, got {', '.join(message.name) or 'nothing'}"
        counts = {field: len(getattr(message, field)) for field in ("position", "velocity", "effort")}
        if counts != {field: len(self._joints) * (field == self._field) for field in counts}:
            return f"it must have {len(self._joints)} values of {self._field} and nothing else, got {counts}"
        if not np.isfinite(getattr(message, self._field)).all():
            return f"its values must be finite, got {list(getattr(message, self._field))}"
        if (publishers := self._node.count_publishers(self._topic)) > 1:
            return f"one node may publish {self._topic}, not {publishers}"
        if not -_AHEAD <= age <= self._patience:
            return f"its stamp must be at most {self._patience:g} s old and {_AHEAD:g} s ahead, it is {age:.3f} s old"
        if wire.nanoseconds_of(message.header.stamp) <= self._stamp:
            return "its stamp must be newer than the one before"
        return ""
