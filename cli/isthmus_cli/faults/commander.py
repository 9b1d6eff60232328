"""Somebody who commands in the policy's place, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_ros.common import wire

__all__ = ["Commander"]


class Commander:
    """Publishes on `guard/command` once per period, like a policy.

    Attributes:
        values: number of the command → its values, `[J]`; may be replaced at any time.
        change: what is done to each message; None for one that is not sent.
        sequence: number of the newest command.
        epoch: of the sender.
    """

    def __init__(self, domain: int, contract: Contract, values: Callable[[int], Array], period: float = 0.0) -> None:
        """Set up; entering begins, once the guard listens.

        Args:
            domain: of ROS.
            contract: whose commands these are.
            values: of each command.
            period: s between them; 0 means the contract's.
        """
        self.values = values
        self.change: Callable[[JointState], JointState | None] = lambda message: message
        self.sequence, self.epoch = -1, wire.new_epoch()
        self._contract, self._period = contract, period or contract.control_period
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("commander", context=context)
        self._publisher = self._node.create_publisher(JointState, "/guard/command", wire.COMMAND)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commander")

    def __enter__(self) -> Commander:
        end = time.monotonic() + 10
        while not self._publisher.get_subscription_count() and time.monotonic() < end:
            time.sleep(0.02)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        context = self._node.context
        self._node.destroy_node()
        rclpy.try_shutdown(context=context)

    def command(self, sequence: int, values: Array, *, ahead: float = 0.0) -> JointState:
        """A command as it stands on the wire, stamped `ahead` seconds from now."""
        field = wire.COMMANDED.get(self._contract.mode, self._contract.mode)
        message = JointState(name=list(self._contract.action.elements), **{field: [float(value) for value in values]})
        message.header.stamp = wire.time_of(self._node.get_clock().now().nanoseconds + round(ahead * 1e9))
        message.header.frame_id = wire.frame_id(self._contract.digest(), self.epoch, sequence)
        return message

    def send(self, message: Any) -> None:
        """Publish a message out of turn."""
        self._publisher.publish(message)

    def _run(self) -> None:
        due = time.monotonic()
        while threading.main_thread().is_alive() and not self._ended.wait(max(due - time.monotonic(), 0.0)):
            due += self._period
            self.sequence += 1
            message = self.change(self.command(self.sequence, self.values(self.sequence)))
            if message is not None:
                self._publisher.publish(message)
