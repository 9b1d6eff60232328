"""Whether the robot's controller is active, where ros2_control's `controller_manager` can be asked: an inactive one subscribes, but obeys nobody."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.guard.listeners import ANY

__all__ = ["ControllerActivity", "list_controllers"]

_ASK = 1.0  # s between two questions
_FRESH = 3.0  # s that an answer holds


def list_controllers() -> Any:
    """The service's type; None where controller_manager_msgs is not installed, which is not on PyPI."""
    try:
        return importlib.import_module("controller_manager_msgs.srv").ListControllers
    except ImportError:
        return None


class ControllerActivity:
    """Asks `controller_manager/list_controllers` again and again, and remembers the answer."""

    def __init__(self, node: Any, namespace: str, controller: str, kind: Any = None, clock: Callable[[], float] = steady) -> None:
        """Create the client.

        Args:
            node: rclpy node that owns it.
            namespace: of the robot.
            controller: name of the controller; `ANY` is not asked about.
            kind: type of the service, see `list_controllers`; None asks nobody.
            clock: steady, s.
        """
        self._node, self._controller, self._kind, self._clock = node, controller, kind, clock
        self._name = wire.joined(namespace, "controller_manager/list_controllers")
        self._client = node.create_client(kind, self._name) if kind is not None and controller != ANY else None
        self._pending: Any = None
        self._asked = self._told = -float("inf")
        self._states: dict[str, str] = {}

    def look(self) -> None:
        """Take the answer and ask anew; to be called some times a second."""
        if self._client is None or not self._client.service_is_ready():
            return
        now = self._clock()
        if self._pending is not None and self._pending.done():
            if not self._pending.exception():
                self._states = {controller.name: controller.state for controller in self._pending.result().controller}
                self._told = now
            self._pending = None
        if now - self._asked >= _ASK:
            if self._pending is not None:
                self._client.remove_pending_request(self._pending)
            self._pending, self._asked = self._client.call_async(self._kind.Request()), now

    def problem(self) -> str:
        """Why the controller obeys nobody; "" if it is active or nobody can be asked."""
        if self._client is None or not self._client.service_is_ready():
            return ""
        if self._clock() - self._told > _FRESH:
            return f"{self._name} has not said yet whether controller {self._controller} is active"
        state = self._states.get(self._controller)
        if state == "active":
            return ""
        if state is None:
            return f"{self._name} does not list controller {self._controller}; it lists: {', '.join(sorted(self._states)) or 'none'}"
        return f"controller {self._controller} is {state} and obeys nobody (ros2 control set_controller_state {self._controller} active)"

    def close(self) -> None:
        """Destroy the client."""
        if self._client is not None:
            self._node.destroy_client(self._client)
