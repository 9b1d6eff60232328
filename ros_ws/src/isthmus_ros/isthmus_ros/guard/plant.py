"""A robot behind ROS 2 topics as a `Plant`: joint states in, commands out."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.limits import Limits
from isthmus.records import Command, reorder
from isthmus.robot import Robot
from isthmus_ros.common import wire
from isthmus_ros.common.states import STEADY_ABORT, StateTopic
from isthmus_ros.guard.transports import Transport, make_transport, transport_of

__all__ = ["STEADY_ABORT", "RosPlant"]

NOBODY = "00000000"
"""Epoch of what is sent before any policy has asked."""


class RosPlant(StateTopic):
    """One robot on its profile's topics; the only thing that ever publishes on the robot's command topic.

    Attributes:
        command_topic: absolute name of the topic that the robot's controller listens to.
    """

    def __init__(
        self,
        node: Any,
        robot: Robot,
        mode: str,
        period: float,
        digest: str,
        *,
        realtime: bool,
        transport: str = "",
        limits: Limits | None = None,
        namespace: str = "/",
        stamp_check: str = "absolute",
        prefix: str = "",
    ) -> None:
        """Create the subscription and the publishers; nothing is published yet.

        Args:
            node: rclpy node that owns them.
            robot: the profile; needs a `ros` block.
            mode: command mode.
            period: control period, s.
            digest: of the contract, for the frame_id of what is executed.
            realtime: False for stepped time.
            transport: key of `TRANSPORTS`; "" is the topic of the mode in the profile's `command_topics`.
            limits: that trajectories keep, scaled as the guard's are; None means the robot's own.
            namespace: the robot's namespace, in which the profile's topics are resolved.
            stamp_check: see `StateTopic`.
            prefix: of the joints' names on topics.

        Raises:
            ValueError: the robot has no ROS interface, or not this transport.
        """
        super().__init__(node, robot, period, realtime=realtime, namespace=namespace, stamp_check=stamp_check, prefix=prefix)
        topic = self.profile.command_topics.get(mode, "")
        if transport:
            transport, topic = transport_of(transport, self.profile, mode)
        elif not topic:
            raise ValueError(f"robot {robot.name!r} takes {mode} commands as trajectories alone, which need guard:=external")
        self.command_topic = wire.joined(namespace, topic)
        self._mode = mode
        self._digest = digest
        self._last: Command | None = None
        carrier = transport or {"twist": "cmd_vel"}.get(mode, f"forward_{mode}")
        self._transport: Transport = make_transport(node, carrier, self.command_topic, robot, limits or robot.limits(), period, prefix)
        self._executed = node.create_publisher(JointState, "guard/executed", wire.EXECUTED)

    @property
    def listeners(self) -> int:
        """How many subscriptions receive the commands."""
        return self._transport.listeners

    def begin(self) -> None:
        """The next command begins where the robot is, whatever was sent before."""
        self._transport.begin()

    def write(self, command: Command) -> None:
        """Send the command with the next sequence number; see `send`."""
        self.send(command, self.sequence + 1)

    def send(self, command: Command, sequence: int, epoch: str = NOBODY, *, braking: bool = False) -> None:
        """Send a command to the robot's controller, and to `guard/executed` with the decision's stamp and sequence number.

        Args:
            command: `[1, J]`.
            sequence: of the policy's command that it answers.
            epoch: of that policy process.
            braking: whether the guard brakes by itself, for a hold or a stop.
        """
        self.sequence = sequence
        self._last = command
        now, decided = time.monotonic() if self.realtime else self.stamp / 1e9, self._time()
        self._transport.send(
            command,
            position=lambda: reorder(self.read().position, self.robot.joint_names, command.joints),
            now=now,
            braking=braking,
            time=decided,
        )
        executed = wire.joint_command(command)
        executed.header.stamp = decided
        executed.header.frame_id = wire.frame_id(self._digest, epoch, sequence)
        self._executed.publish(executed)

    def stop(self, reason: str) -> None:
        """Send the resting command at once, without braking: zero, or the last position; the guard brakes, not the plant."""
        self._node.get_logger().warning(f"robot stopped: {reason}")
        if self._last is not None:
            values = self._last.values if self._mode == "position" else np.zeros_like(self._last.values)
            self.send(Command(self._mode, self._last.joints, values), self.sequence + 1, braking=True)

    def close(self) -> None:
        """Destroy publishers and subscription."""
        super().close()
        self._transport.close()
        self._node.destroy_publisher(self._executed)
