"""What arrives on `guard/command`: read together, told from what is no command, and handed to the stream, which carries out the newest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sensor_msgs.msg import JointState

from isthmus.senders import Asked
from isthmus.stream import GuardedStream
from isthmus_ros.common import wire
from isthmus_ros.common.setup import Setup

__all__ = ["CommandTopic"]


class CommandTopic:
    """The guard's ear for policies."""

    def __init__(self, node: Any, setup: Setup, stream: GuardedStream) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscription.
            setup: contract of what is asked for.
            stream: takes the commands.
        """
        self._node, self._setup, self._stream = node, setup, stream
        self._subscription = node.create_subscription(JointState, "guard/command", self._receive, wire.ASKED)

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Any) -> None:
        self._stream.accept(*filter(None, map(self._asked, [message, *self._waiting()])))

    def _waiting(self) -> Iterator[Any]:
        """The messages that wait behind the one that is being received."""
        reader = self._subscription.handle
        with reader:
            for _ in range(wire.ASKED.depth):
                if (taken := reader.take_message(JointState, False)) is None:
                    return
                yield taken[0]

    def _asked(self, message: Any) -> Asked | None:
        """A command; None for what is none, which counts, and stops an armed guard."""
        contract, stream = self._setup.contract, self._stream
        try:
            epoch, sequence, command = wire.asked(message, self._setup.digest, contract.mode, contract.action.elements)
        except ValueError as error:
            stream.ignore("not a command")
            if stream.armed:
                stream.stop(str(error))
            return None
        stamp = wire.nanoseconds_of(message.header.stamp)
        return Asked(epoch, sequence, stamp, (self._node.get_clock().now().nanoseconds - stamp) / 1e9, command)
