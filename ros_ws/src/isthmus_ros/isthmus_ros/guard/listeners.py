"""Who listens to commands in order to obey: recorders and people at a terminal hear them too, but move nothing."""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from isthmus_ros.common.definitions import type_name

__all__ = ["obeying"]

_ONLOOKERS = ("record_node", "monitor_node", "rosbag2_recorder", "_ros2cli")
"""How the names of nodes begin that only look on."""


def obeying(node: Any, publisher: Any) -> int:
    """How many subscriptions receive what a publisher sends and may act on it.

    Args:
        node: rclpy node of the publisher.
        publisher: of commands.
    """
    if not publisher.get_subscription_count():  # what is discovered is not yet matched
        return 0
    offered, kind = publisher.qos_profile, type_name(publisher.msg_type)
    return sum(
        info.topic_type == kind and _reached(offered, info.qos_profile) and not info.node_name.startswith(_ONLOOKERS)
        for info in node.get_subscriptions_info_by_topic(publisher.topic_name)
    )


def _reached(offered: Any, requested: Any) -> bool:
    """Whether a subscription's quality of service lets it hear a publisher, as far as robots ask for any: deadlines and leases are left out."""
    reliable = requested.reliability != ReliabilityPolicy.RELIABLE or offered.reliability == ReliabilityPolicy.RELIABLE
    durable = requested.durability != DurabilityPolicy.TRANSIENT_LOCAL or offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return bool(reliable and durable)
