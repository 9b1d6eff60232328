"""The guarded robot behind ROS 2 topics: joint states in, commands out. Nothing else ever publishes on the robot's command topic."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from isthmus.limits import Limits
from isthmus.records import Array, Command, reorder
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.setup import Setup
from isthmus_ros.common.states import StateTopic
from isthmus_ros.guard.listeners import Listeners
from isthmus_ros.guard.transports import Transport, make_transport, transport_of

__all__ = ["RosPlant"]


class RosPlant(StateTopic):
    """One robot on its profile's topics; see `isthmus.robotic.Robotic`.

    Attributes:
        command_topic: absolute name of the topic that the robot's controller listens to.
        transport: name of how commands reach it.
        listeners: who receives the commands and obeys.
    """

    def __init__(self, node: Any, setup: Setup, transport: str, limits: Limits) -> None:
        """Create the subscriptions and the publishers; nothing is published yet.

        Args:
            node: rclpy node that owns them.
            setup: contract and robot.
            transport: key of `TRANSPORTS`; "" is the profile's own.
            limits: what goes over the wire keeps, the braking tail of trajectories too.

        Raises:
            ValueError: the robot has not this transport.
        """
        contract = setup.contract
        super().__init__(node, setup.robot, contract.control_period, **setup.listening)
        self.transport, topic = transport_of(transport, self.profile, contract.mode)
        self._mode, self._digest = contract.mode, setup.digest
        self._last: Command | None = None
        self._transport: Transport = make_transport(
            node,
            self.transport,
            wire.joined(setup.namespace, topic),
            setup.robot,
            limits,
            contract.control_period,
            setup.prefix,
            realtime=setup.realtime,
        )
        self.command_topic = str(self._transport.publisher.topic_name)
        self.listeners = Listeners(node, self._transport.publisher, self.profile.controller_of(self.transport, topic))
        self._executed = node.create_publisher(JointState, "guard/executed", wire.EXECUTED)

    def begin(self) -> None:
        """The next command begins where the robot is, whatever was sent before."""
        self._last = None
        self._transport.begin()

    def place(self, joints: tuple[str, ...], ago: float = 0.0) -> Array | None:
        """Where the robot was told to be some seconds ago, `[1, J]`; None where it is sent single commands and no motions."""
        return self._transport.place(joints, self._now - ago)

    def send(self, command: Command, sequence: int, epoch: str, *, braking: bool) -> None:
        """Send a command to the robot's controller, and to `guard/executed` with the decision's stamp, its sender and its number."""
        self.sequence, self._last = sequence, command
        decided = self._time()
        self._transport.send(command, position=lambda: self._measured(command.joints), now=self._now, braking=braking, time=decided)
        executed = wire.joint_command(command)
        executed.header.stamp = decided
        executed.header.frame_id = wire.frame_id(self._digest, epoch or wire.NOBODY, sequence)
        self._executed.publish(executed)

    def rest(self) -> None:
        """Send the resting command at once, without braking: zero, or the last position. The last resort of a guard that must end."""
        if self._last is not None:
            values = self._last.values if self._mode == "position" else np.zeros_like(self._last.values)
            self.send(Command(self._mode, self._last.joints, values), self.sequence, "", braking=True)

    def close(self) -> None:
        """Destroy publishers and subscriptions."""
        super().close()
        self._transport.close()
        self._node.destroy_publisher(self._executed)

    @property
    def _now(self) -> float:
        """Seconds on the steady clock; in stepped time those of the state."""
        return steady() if self.realtime else self.stamp / 1e9

    def _measured(self, joints: tuple[str, ...]) -> Array:
        sample = self.read()
        return reorder(sample.position, sample.joints, joints)
