"""What controllers of ros2_control were told, in bags of others: arrays of numbers, and trajectories."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus import messages
from isthmus.records import Array
from isthmus.robot import Robot

__all__ = ["ARRAY", "DEFINITIONS", "TRAJECTORY", "CommandTopics", "array_commands", "trajectory_commands"]

ARRAY, TRAJECTORY = "std_msgs/msg/Float64MultiArray", "trajectory_msgs/msg/JointTrajectory"
_PARTS = {
    "builtin_interfaces/Time": "int32 sec\nuint32 nanosec",
    "builtin_interfaces/Duration": "int32 sec\nuint32 nanosec",
    "std_msgs/Header": "builtin_interfaces/Time stamp\nstring frame_id",
    "trajectory_msgs/JointTrajectoryPoint": "float64[] positions\nfloat64[] velocities\nfloat64[] accelerations\nfloat64[] effort\n"
    "builtin_interfaces/Duration time_from_start",
    "trajectory_msgs/JointTrajectory": "std_msgs/Header header\nstring[] joint_names\ntrajectory_msgs/JointTrajectoryPoint[] points",
}
DEFINITIONS: Mapping[str, str] = {
    ARRAY: messages.SCHEMAS[ARRAY],
    TRAJECTORY: messages.definition("trajectory_msgs/JointTrajectory", _PARTS),
}
"""Definition text per message type."""
_MODES = ("position", "velocity", "effort")


@dataclass(frozen=True, slots=True)
class CommandTopics:
    """Where commands are looked for.

    Attributes:
        asked: topic that was named; "" for those of the profile.
        robot: profile: its topics, and the order in which controllers take its joints.
    """

    asked: str = ""
    robot: Robot | None = None
    _modes: Mapping[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        ros = None if self.robot is None else self.robot.ros
        modes = {} if ros is None else {topic: mode for mode, topic in ros.command_topics.items() if mode in _MODES}
        modes |= {} if ros is None else {topic: "position" for name, topic in ros.transports.items() if name == "trajectory"}
        object.__setattr__(self, "_modes", modes)

    def holds(self, topic: str) -> bool:
        """Whether a topic is one, in whatever namespace."""
        return any(_ends(topic, wanted) for wanted in ([self.asked] if self.asked else self._modes))

    def mode(self, topic: str) -> str:
        """What a topic of arrays commands.

        Raises:
            ValueError: neither profile nor its name tell.
        """
        told = [mode for known, mode in self._modes.items() if _ends(topic, known)] or [mode for mode in _MODES if mode in topic]
        if len(told) != 1:
            raise ValueError(f"neither --robot nor its name tell what {topic} commands; valid: {', '.join(_MODES)}")
        return told[0]

    def joints(self, topic: str) -> tuple[str, ...]:
        """Joints in the order of a topic of arrays.

        Raises:
            ValueError: no profile is known.
        """
        if self.robot is None or self.robot.ros is None:
            raise ValueError(f"{topic} does not name its joints; --robot tells their order")
        return self.robot.ros.command_joints or self.robot.joint_names


def _ends(topic: str, wanted: str) -> bool:
    return f"/{topic.strip('/')}".endswith(f"/{wanted.strip('/')}")


def array_commands(told: Sequence[tuple[int, Any]], topic: str, topics: CommandTopics) -> tuple[str, tuple[str, ...], Array, Array]:
    """Commands of a forward controller.

    Args:
        told: stamp, ns, and message.
        topic: of them.
        topics: says mode and joints.

    Returns:
        mode; joints; when each command begins, s, `[K]`; and their values `[K, J]`.

    Raises:
        ValueError: a message has another number of values than there are joints.
    """
    joints = topics.joints(topic)
    for _, message in told:
        if len(message.data) != len(joints):
            raise ValueError(f"a message of {topic} has {len(message.data)} values for {len(joints)} joints: {', '.join(joints)}")
    return topics.mode(topic), joints, np.array([stamp for stamp, _ in told]) / 1e9, np.array([list(message.data) for _, message in told])


def trajectory_commands(
    told: Sequence[tuple[int, Any]], topic: str, time: Array, position: Array, measured: Sequence[str], others: Collection[str] = ()
) -> tuple[str, tuple[str, ...], Array, Array]:
    """What a trajectory controller interpolates: each plan holds until the next one comes, and its last point from then on.

    Between points positions are cubic where velocities are given and linear otherwise, from where the joints are commanded to be, or at first are
    measured. A scaling of the speed is not known of.

    Args:
        told: stamp of the beginning, ns, and message.
        topic: of them.
        time: of the measurements, s, `[T]`.
        position: `[T, J]`, rad or m.
        measured: joints of them.
        others: joints that are left out of plans of several.

    Returns:
        as `array_commands`, the commands at the times of the measurements.

    Raises:
        ValueError: a plan has no positions, or is of joints that were not measured, or of others than the one before.
    """
    plans = [(stamp / 1e9, message) for stamp, message in told if message.points]
    if not plans:
        raise ValueError(f"{topic} has no trajectory with points")
    named = tuple(plans[0][1].joint_names)
    joints = tuple(joint for joint in named if joint not in others) or named
    if missing := [joint for joint in joints if joint not in measured]:
        raise ValueError(f"{topic} commands {', '.join(missing)}, which the log does not have: {', '.join(measured)}")
    times, values = [], []
    here = np.array([np.interp(plans[0][0], time, position[:, list(measured).index(joint)]) for joint in joints])
    speed = np.zeros(len(joints))
    for number, (begin, message) in enumerate(plans):
        if set(message.joint_names) != set(named):
            raise ValueError(f"trajectories of {topic} are of other joints: {', '.join(named)} and {', '.join(message.joint_names)}")
        order = [list(message.joint_names).index(joint) for joint in joints]
        ages, places, speeds = _points(message, order, topic)
        if ages[0] > 0:
            ages, places = np.concatenate([[0.0], ages]), np.concatenate([here[None], places])
            speeds = None if speeds is None else np.concatenate([speed[None], speeds])
        end = plans[number + 1][0] if number + 1 < len(plans) else np.inf
        moments = np.unique(
            np.concatenate([[begin], time[(time > begin) & (time < min(end, begin + ages[-1]))], [min(end, begin + ages[-1])]])
        )
        along, along_speed = _interpolated(ages, places, speeds, moments - begin)
        here, speed = along[-1], along_speed[-1]
        keep = moments < end
        times.append(moments[keep])
        values.append(along[keep])
    return "position", joints, np.concatenate(times), np.concatenate(values)


def _points(message: Any, order: Sequence[int], topic: str) -> tuple[Array, Array, Array | None]:
    """Ages, s, positions and velocities of the points; None without velocities."""
    ages = np.array([point.time_from_start.sec + point.time_from_start.nanosec / 1e9 for point in message.points])
    if any(len(point.positions) != len(message.joint_names) for point in message.points) or (np.diff(ages) <= 0).any():
        raise ValueError(f"a trajectory of {topic} has points without a position of each joint, or whose times do not increase")
    places = np.array([list(point.positions) for point in message.points])[:, order]
    known = all(len(point.velocities) == len(message.joint_names) for point in message.points)
    return ages, places, np.array([list(point.velocities) for point in message.points])[:, order] if known else None


def _interpolated(ages: Array, places: Array, speeds: Array | None, at: Array) -> tuple[Array, Array]:
    """Positions and velocities at some ages."""
    if len(ages) == 1:
        return np.repeat(places, len(at), axis=0), np.zeros((len(at), places.shape[1]))
    if speeds is None:
        slopes = (np.diff(places, axis=0) / np.diff(ages)[:, None])[np.clip(np.searchsorted(ages, at, side="right") - 1, 0, len(ages) - 2)]
        return np.stack([np.interp(at, ages, column) for column in places.T], axis=1), slopes
    from scipy.interpolate import CubicHermiteSpline

    spline = CubicHermiteSpline(ages, places, speeds)
    return np.asarray(spline(at)), np.asarray(spline(at, 1))
