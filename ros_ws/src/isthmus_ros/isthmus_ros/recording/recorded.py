"""Which topics a recording holds: everything that a policy, its guard and the robot say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.contract import Contract
from isthmus.robot import Robot, RosProfile
from isthmus_ros.common import wire
from isthmus_ros.common.inputs import input_kind, input_topic

__all__ = ["Recorded", "recorded_topics"]

SENSED = QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For what drivers publish either way: a best-effort reader hears both, and never slows a publisher down."""
SAID = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""For what our own nodes publish reliably."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One topic to subscribe.

    Attributes:
        name: relative to the node's namespace, or absolute.
        kind: class of its messages.
        quality: of the subscription.
    """

    name: str
    kind: Any
    quality: Any

    @property
    def latched(self) -> bool:
        """Whether its last message is kept for late readers."""
        return self.quality is wire.LATCHED


def recorded_topics(robot: Robot, contract: Contract, namespace: str, *, clock: bool) -> list[Recorded]:
    """Topics of one robot and one policy, each once.

    Args:
        robot: the profile; needs a `ros` block.
        contract: of the policy.
        namespace: in which the profile's topics are resolved.
        clock: whether /clock is recorded.

    Raises:
        ValueError: the robot has no ROS interface.
    """
    if robot.ros is None:
        raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
    topics = [
        Recorded("guard/command", JointState, SAID),
        Recorded("guard/executed", JointState, SAID),
        Recorded("guard/status", DiagnosticArray, wire.LATCHED),
        Recorded("policy/status", DiagnosticArray, wire.LATCHED),
        Recorded("monitor/status", DiagnosticArray, wire.LATCHED),
        Recorded("policy/shadow", JointState, SAID),
        Recorded("policy/correction", JointState, SAID),
        *(Recorded(input_topic(signal), input_kind(signal), wire.LATCHED) for signal in contract.inputs),
        Recorded("emergency_stop", Bool, wire.LATCHED),
        Recorded("/diagnostics", DiagnosticArray, SAID),
        *([Recorded("/clock", Clock, SENSED)] if clock else []),
    ]
    for signal in contract.observation:
        if signal.source == "image":
            kind = CompressedImage if robot.ros.compressed(signal.name) else Image
            topics.append(Recorded(wire.joined(namespace, robot.ros.camera_topic(signal.name)), kind, SENSED))
            topics.append(Recorded(wire.joined(namespace, robot.ros.information_topic(signal.name)), CameraInfo, SENSED))
    topics += [Recorded(wire.joined(namespace, name), kind, quality) for name, kind, quality in _of_robot(robot.ros, contract.mode)]
    return list({topic.name: topic for topic in topics}.values())


def _of_robot(profile: RosProfile, mode: str) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = [(profile.state_topic, JointState, SENSED)]
    if profile.odometry_topic:
        found.append((profile.odometry_topic, Odometry, SENSED))
    # Whichever transport the guard uses: a topic on which nothing is said costs nothing.
    command = TwistStamped if mode == "twist" else Float64MultiArray
    forward = {"": profile.command_topics[mode]} if mode in profile.command_topics else {}
    for transport, topic in (forward | dict(profile.transports)).items():
        found.append((topic, JointTrajectory if transport == "trajectory" else command, SENSED))
    if profile.speed_scaling is not None:
        found.append((profile.speed_scaling.topic, Float64, SENSED))
    if profile.program_running:
        found.append((profile.program_running, Bool, wire.LATCHED))
    return found
