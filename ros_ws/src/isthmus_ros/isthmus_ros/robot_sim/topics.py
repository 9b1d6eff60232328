"""What a simulated robot says on topics: joint states, odometry, transforms, and whether its program runs.

Faults are put in on the way: a state is made wrong, dropped or kept until it is due.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Sequence
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64

from isthmus.kinematics import Kinematics
from isthmus.records import Array, Measurement
from isthmus.robot import Robot, RosProfile
from isthmus_ros.common import wire
from isthmus_ros.robot_sim.faults import Faults
from isthmus_ros.robot_sim.state_faults import FaultyClock, FaultyStates, LateQueue, StateSample
from isthmus_sim.plants.base import wheel_speeds

__all__ = ["RobotTopics", "odometry_message", "state_sample", "transform_publisher"]

STATES = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)  # serves reliable and best-effort readers


class RobotTopics:
    """Publishers of one robot."""

    def __init__(self, node: Any, robot: Robot, namespace: str, prefix: str, *, transforms: bool) -> None:
        """Create the publishers.

        Args:
            node: rclpy node that owns them.
            robot: the profile.
            namespace: in which the profile's topics are resolved.
            prefix: of the joints' and frames' names.
            transforms: publish the transform from odom to a mobile robot's base, if tf2_msgs is installed.
        """
        profile = robot.ros or RosProfile({})
        self._robot, self._prefix = robot, prefix
        self._states = node.create_publisher(JointState, wire.joined(namespace, profile.state_topic), STATES)
        self._clock = node.create_publisher(Clock, "/clock", wire.CLOCK)
        self._odometry: Any = None
        self._transforms: Any = None
        if robot.base.kind != "fixed":
            self._base = Kinematics(robot.urdf_path).base
            if profile.odometry_topic:
                self._odometry = node.create_publisher(Odometry, wire.joined(namespace, profile.odometry_topic), STATES)
            if transforms:
                self._transforms = transform_publisher(node)
        self._scaling: Any = None
        self._running: Any = None
        self._full = 1.0
        if scaling := profile.speed_scaling:
            self._full = scaling.full
            self._scaling = node.create_publisher(Float64, wire.joined(namespace, scaling.topic), STATES)
        if profile.program_running:
            self._running = node.create_publisher(Bool, wire.joined(namespace, profile.program_running), wire.LATCHED)
        self._faulty_states, self._faulty_clock = FaultyStates(), FaultyClock("clock_offset", "clock_rate")
        self._late: LateQueue[Any] = LateQueue()
        self._said: tuple[bool, float] | None = None

    def publish(self, stamp: int, measurement: Measurement, faults: Faults) -> None:
        """Publish the clock and the state of now (ns), as far as faults let them."""
        self._clock.publish(Clock(clock=wire.time_of(self._faulty_clock.read(stamp, faults))))
        sample = self._faulty_states.apply(state_sample(stamp, measurement, self._robot), faults)
        if sample is not None:
            message = JointState(
                name=[self._prefix + name for name in sample.names],
                position=sample.position,
                velocity=sample.velocity,
                effort=sample.effort,
            )
            message.header.stamp = wire.time_of(sample.stamp)
            self._late.put(message, time.monotonic(), faults)
            self.release()
        if (self._odometry or self._transforms) and not (faults.on("silent") or faults.on("silent_odometry")):
            moved = stamp + round(1e9 * faults.number("odometry_offset"))
            message = odometry_message(moved, measurement, self._robot.base_frame, self._base, self._prefix)
            if faults.on("nan_odometry"):
                message.twist.twist.linear.x = message.twist.twist.angular.z = math.nan
            if self._odometry:
                self._odometry.publish(message)
            if self._transforms:
                self._transforms(message)

    def release(self) -> None:
        """Publish the states whose time has come."""
        for message in self._late.due(time.monotonic()):
            self._states.publish(message)

    def tell_program(self, running: bool, scaling: float, faults: Faults, *, repeat: bool) -> None:
        """Publish whether the program runs when that changes, and the speed scaling then and with `repeat`."""
        said, self._said = self._said, (running, scaling)
        if self._scaling and not faults.on("silent_scaling") and (repeat or said != self._said):
            self._scaling.publish(Float64(data=self._full * scaling))
        if self._running and (said is None or said[0] != running):
            self._running.publish(Bool(data=running))


def state_sample(stamp: int, measurement: Measurement, robot: Robot) -> StateSample:
    """The joint state of a measurement of one row; the joints of a differential drive are its wheels."""
    names: Sequence[str] = measurement.joints
    columns: list[Array | None] = [measurement.position, measurement.velocity, measurement.effort]
    if robot.base.kind == "differential":
        names = robot.base.wheels
        columns = [wheel_speeds(robot.base, measurement.position), wheel_speeds(robot.base, measurement.velocity), None]
    position, velocity, effort = ([] if column is None else column[0].tolist() for column in columns)
    return StateSample(stamp, names, position, velocity, effort)


def odometry_message(stamp: int, measurement: Measurement, frame: str, base: str, prefix: str) -> Any:
    """Odometry of a mobile robot: pose of the base in the frame, twist in the base's own; both frames are called with the prefix."""
    message = Odometry(child_frame_id=prefix + base)
    message.header.stamp, message.header.frame_id = wire.time_of(stamp), prefix + frame
    pose, twist = message.pose.pose, message.twist.twist
    place, speed = measurement.poses[base][0].tolist(), measurement.twists[base][0].tolist()
    pose.position.x, pose.position.y, pose.position.z = place[:3]
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = place[3:]
    twist.linear.x, twist.linear.y, twist.linear.z = speed[:3]
    twist.angular.x, twist.angular.y, twist.angular.z = speed[3:]
    return message


def transform_publisher(node: Any) -> Any:
    """What turns odometry into a transform on /tf; None, with a line in the log, where tf2_msgs is not installed."""
    try:
        kind = importlib.import_module("tf2_msgs.msg").TFMessage
    except ImportError:
        node.get_logger().info("tf2_msgs is not installed: no transform on /tf, only odometry")
        return None
    from geometry_msgs.msg import TransformStamped

    publisher = node.create_publisher(kind, "/tf", 100)

    def publish(odometry: Any) -> None:
        transform = TransformStamped(header=odometry.header, child_frame_id=odometry.child_frame_id)
        place = odometry.pose.pose.position
        transform.transform.translation.x, transform.transform.translation.y, transform.transform.translation.z = place.x, place.y, place.z
        transform.transform.rotation = odometry.pose.pose.orientation
        publisher.publish(kind(transforms=[transform]))

    return publish
