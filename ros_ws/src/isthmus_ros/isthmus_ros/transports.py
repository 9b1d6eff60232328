"""How a command reaches the robot: one class per kind of controller that listens to it."""

from __future__ import annotations

from typing import Any, Protocol

from std_msgs.msg import Float64MultiArray

from isthmus.records import Command, reorder
from isthmus.robot import Robot
from isthmus_ros import wire

__all__ = ["Forward", "Transport"]


class Transport(Protocol):
    """Publishes commands to one controller."""

    def send(self, command: Command) -> None:
        """Publish one command, `[1, J]`."""

    def close(self) -> None:
        """Destroy the publisher."""


class Forward:
    """A forward controller of ros2_control: a Float64MultiArray in the controller's joint order. It keeps the last command for ever."""

    def __init__(self, node: Any, robot: Robot, topic: str) -> None:
        """Create the publisher; nothing is published yet."""
        self._order = (robot.ros and robot.ros.command_joints) or robot.joint_names
        self._node = node
        self._publisher = node.create_publisher(Float64MultiArray, topic, wire.COMMAND)

    def send(self, command: Command) -> None:
        """See `Transport.send`."""
        self._publisher.publish(Float64MultiArray(data=reorder(command.values, command.joints, self._order)[0].tolist()))

    def close(self) -> None:
        """See `Transport.close`."""
        self._node.destroy_publisher(self._publisher)
