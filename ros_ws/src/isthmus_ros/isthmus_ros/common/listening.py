"""Subscriptions that hear everybody who publishes on a topic, whatever quality of service is offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy

__all__ = ["hear_everybody"]


def hear_everybody(node: Any, kind: Any, topic: str, callback: Callable[[Any], None], quality: Any, *, raw: bool = False) -> list[Any]:
    """Subscribe, and a second time with the least demanding quality once somebody publishes who offers less than `quality`.

    rclpy would warn that messages will not come. From then on, what both subscriptions hear comes twice.

    Args:
        node: rclpy node that owns them.
        kind: class of the messages.
        topic: its name.
        callback: takes a message, or its bytes.
        quality: of the first subscription.
        raw: leave the messages as bytes.

    Returns:
        the subscriptions, for whoever destroys them; the second is added when it is made.
    """
    found: list[Any] = []
    least = QoSProfile(depth=quality.depth, reliability=ReliabilityPolicy.BEST_EFFORT)

    def listen_again(_: Any) -> None:
        if len(found) == 1:
            found.append(node.create_subscription(kind, topic, callback, least, raw=raw))

    events = SubscriptionEventCallbacks(incompatible_qos=listen_again)
    found.append(node.create_subscription(kind, topic, callback, quality, event_callbacks=events, raw=raw))
    return found
