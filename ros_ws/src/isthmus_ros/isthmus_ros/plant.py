"""A robot behind ROS 2 topics as a `Plant`: joint states in, commands out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.records import Command
from isthmus.robot import Robot
from isthmus_ros import wire
from isthmus_ros.states import STEADY_ABORT, StateTopic
from isthmus_ros.transports import Forward, Transport

__all__ = ["STEADY_ABORT", "RosPlant"]


class RosPlant(StateTopic):
    """One robot on its profile's topics; the only thing that ever publishes on the robot's command topic.

    Attributes:
        command_topic: absolute name of the topic that the robot's controller listens to.
    """

    def __init__(
        self, node: Any, robot: Robot, mode: str, period: float, digest: str, *, realtime: bool, namespace: str = "/", **listening: Any
    ) -> None:
        """Create the subscription and the publishers; nothing is published yet.

        Args:
            node: rclpy node that owns them.
            robot: the profile; needs a `ros` block.
            mode: command mode.
            period: control period, s.
            digest: of the contract, for the frame_id of what is executed.
            realtime: False for stepped time.
            namespace: the robot's namespace, in which the profile's topics are resolved.
            listening: `stamp_check` and `prefix` of `StateTopic`.

        Raises:
            ValueError: the robot has no ROS interface.
        """
        super().__init__(node, robot, period, realtime=realtime, namespace=namespace, **listening)
        self.command_topic = wire.joined(namespace, self.profile.command_topics[mode])
        self._mode = mode
        self._digest = digest
        self._last: Command | None = None
        self._transport: Transport = Forward(node, robot, self.command_topic)
        self._executed = node.create_publisher(JointState, "guard/executed", wire.EXECUTED)

    def write(self, command: Command) -> None:
        """Send the command with the next sequence number; see `send`."""
        self.send(command, self.sequence + 1)

    def send(self, command: Command, sequence: int) -> None:
        """Send a command to the robot's controller, and to `guard/executed` with the decision's stamp and sequence number."""
        self.sequence = sequence
        self._last = command
        self._transport.send(command)
        executed = wire.joint_command(command)
        executed.header.stamp = self._time()
        executed.header.frame_id = wire.frame_id(self._digest, sequence)
        self._executed.publish(executed)

    def stop(self, reason: str) -> None:
        """Send the resting command at once, without braking: zero, or the last position; the guard brakes, not the plant."""
        self._node.get_logger().warning(f"robot stopped: {reason}")
        if self._last is not None:
            values = self._last.values if self._mode == "position" else np.zeros_like(self._last.values)
            self.write(Command(self._mode, self._last.joints, values))

    def close(self) -> None:
        """Destroy publishers and subscription."""
        super().close()
        self._transport.close()
        self._node.destroy_publisher(self._executed)
