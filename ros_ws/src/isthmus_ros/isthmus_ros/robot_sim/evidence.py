"""What really happened to a simulated robot, on the steady clock: for tests and for the measured fault table, never for a policy.

Joint states may be faulty and late; here every stamp is the computer's steady clock (`time.monotonic`), and values are exact. Nothing is
published on a topic that nobody listens to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from isthmus.plant import Simulator
from isthmus.records import Array
from isthmus_ros.common import wire

__all__ = ["Evidence"]

_EVERY = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
_EVENTS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_FIELDS = {"position": "position", "velocity": "velocity", "effort": "effort", "twist": "velocity"}


class Evidence:
    """Publishes `~/truth`, `~/received` (commands) and `~/events`."""

    def __init__(self, node: Any) -> None:
        """Create the publishers."""
        self._truth = node.create_publisher(JointState, "~/truth", _EVERY)
        self._received = node.create_publisher(JointState, "~/received", _EVERY)
        self._events = node.create_publisher(DiagnosticArray, "~/events", _EVENTS)

    def truth(self, plant: Simulator) -> None:
        """Publish the exact positions and velocities of now."""
        if self._truth.get_subscription_count():
            measurement = plant.truth()
            fields = {name: getattr(measurement, name)[0].tolist() for name in ("position", "velocity")}
            self._truth.publish(_stamped(JointState(name=list(measurement.joints), **fields)))

    def received(self, mode: str, joints: tuple[str, ...], values: Array) -> None:
        """Publish the set-point that a command has brought, `[J]`; of a trajectory where its first way ends."""
        if self._received.get_subscription_count():
            self._received.publish(_stamped(JointState(name=list(joints), **{_FIELDS[mode]: values.tolist()})))

    def event(self, name: str, values: Mapping[str, str]) -> None:
        """Publish that something happened: `fault`, `reset`, `stop_service` or `resume`; latched."""
        self._events.publish(_stamped(wire.diagnostics(wire.time_of(0), 0, name, "", "simulation", values)))


def _stamped(message: Any) -> Any:
    message.header.stamp = wire.time_of(time.monotonic_ns())
    return message
