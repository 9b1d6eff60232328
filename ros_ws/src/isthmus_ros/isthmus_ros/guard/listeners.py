"""Who listens to commands in order to obey: the robot's controller. Recorders, bridges and people at a terminal hear them too, but move nothing."""

from __future__ import annotations

from typing import Any

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from isthmus_ros.common.attributed import node_of
from isthmus_ros.common.definitions import type_name

__all__ = ["ANY", "Listeners"]

ANY = "*"
"""In place of a controller's name: whoever does more than look on."""

_SIMULATED = "sim_node"
"""The simulated robot, in place of any controller. Beside a real driver it is a second publisher of the joint states, which refuses arming."""

_ONLOOKERS = (
    "record_node",
    "monitor_node",
    "rosbag2",
    "_",  # hidden nodes: ros2cli and others
    "ros_gz_bridge",
    "parameter_bridge",
    "rosbridge",
    "foxglove",
    "ros_bridge",
    "ros1_bridge",
    "domain_bridge",
    "zenoh_bridge",
    "mqtt",
    "rviz",
    "rqt",
    "plotjuggler",
    "PlotJuggler",
)
"""How the names of nodes begin that only look on or pass on."""


class Listeners:
    """The subscriptions that receive what a publisher sends.

    Attributes:
        controller: name of the node that obeys; `ANY` for whoever does more than look on.
    """

    def __init__(self, node: Any, publisher: Any, controller: str) -> None:
        """Look at nothing yet.

        Args:
            node: rclpy node of the publisher.
            publisher: of commands.
            controller: name of the node that obeys, exactly, or `ANY`.
        """
        self._node, self._publisher, self.controller = node, publisher, controller

    def problem(self) -> str:
        """Why nobody obeys, in one sentence; "" if somebody does."""
        obeys, others = self._sort()
        if obeys:
            return ""
        controller = "" if self.controller == ANY else f" {self.controller}"
        cure = "; if it is the controller, name it in the profile, ros: controllers:" if controller else ""
        rest = f" ({', '.join(sorted(set(others)))}: listening, but does not count{cure})" if others else ""
        return f"nobody subscribes {self._publisher.topic_name} with a matching QoS; is the robot's controller{controller} running?{rest}"

    def _sort(self) -> tuple[list[str], list[str]]:
        """Full names of the nodes that receive commands: those that obey, and others."""
        obeys: list[str] = []
        others: list[str] = []
        if self._publisher.get_subscription_count():  # what is discovered is not yet matched
            kind = type_name(self._publisher.msg_type)
            for info in self._node.get_subscriptions_info_by_topic(self._publisher.topic_name):
                if info.topic_type == kind and _reached(self._publisher.qos_profile, info.qos_profile):
                    (obeys if self._counts(info.node_name) else others).append(node_of(info))
        return obeys, others

    def _counts(self, name: str) -> bool:
        if self.controller == ANY:
            return not name.startswith(_ONLOOKERS)
        return name in (self.controller, _SIMULATED)


def _reached(offered: Any, requested: Any) -> bool:
    """Whether a subscription's quality of service lets it hear a publisher, as far as robots ask for any: deadlines and leases are left out."""
    reliable = requested.reliability != ReliabilityPolicy.RELIABLE or offered.reliability == ReliabilityPolicy.RELIABLE
    durable = requested.durability != DurabilityPolicy.TRANSIENT_LOCAL or offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return bool(reliable and durable)
