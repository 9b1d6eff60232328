"""The services with which a robot's driver ends external control, called when nothing else is left."""

from __future__ import annotations

from typing import Any

from std_srvs.srv import Trigger

from isthmus.robot import RosProfile
from isthmus_ros.common import wire

__all__ = ["StopServices"]


class StopServices:
    """Clients of a profile's `stop_services`, made in advance so that they are discovered when they are needed."""

    def __init__(self, node: Any, profile: RosProfile, namespace: str) -> None:
        """Create the clients; nothing is called yet."""
        self._node = node
        self._clients = [node.create_client(Trigger, wire.joined(namespace, name)) for name in profile.stop_services]

    def call(self, cause: str) -> None:
        """Call all of them without waiting for an answer; any thread may do so."""
        for client in self._clients:
            if client.service_is_ready():
                self._node.get_logger().error(f"{cause}: calling {client.srv_name}")
                client.call_async(Trigger.Request())
            else:
                self._node.get_logger().error(f"{cause}, but nobody offers {client.srv_name}")
        if not self._clients:
            self._node.get_logger().error(f"{cause}, and the robot's profile names no stop_services")

    def close(self) -> None:
        """Destroy the clients."""
        for client in self._clients:
            self._node.destroy_client(client)
