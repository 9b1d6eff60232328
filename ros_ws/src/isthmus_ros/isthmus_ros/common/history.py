"""What a robot said, by stamp: for whoever asks later what was measured at a certain time."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Measurement
from isthmus.robot import Robot
from isthmus_ros.common import wire
from isthmus_ros.common.joined import named_joints
from isthmus_ros.common.states import measurement_of

__all__ = ["StateHistory"]

_TOLERANCE = 2000  # ns that a stamp may be later than the time that is asked for


class _Stamped:
    """Messages in the order of their stamps; of two with one stamp, the first."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.messages: list[Any] = []

    def add(self, stamp: int, message: Any) -> None:
        index = bisect.bisect_left(self.stamps, stamp)
        if self.stamps[index : index + 1] != [stamp]:
            self.stamps.insert(index, stamp)
            self.messages.insert(index, message)

    def newest(self, time: int) -> Any:
        """The newest message at a time; the oldest of all if that was later, None if there is none."""
        index = bisect.bisect_right(self.stamps, time + _TOLERANCE) - 1
        return self.messages[max(index, 0)] if self.messages else None

    def forget(self, before: int) -> None:
        """Drop what is not needed for times from `before` on."""
        count = max(bisect.bisect_right(self.stamps, before + _TOLERANCE) - 1, 0)
        del self.stamps[:count], self.messages[:count]


class StateHistory:
    """Joint states and odometry of one robot."""

    def __init__(self, robot: Robot, prefix: str = "", states: Iterable[Any] = (), odometry: Iterable[Any] = ()) -> None:
        """Begin with some messages, if there are any already; `prefix` is that of the joints' names on topics."""
        self._robot, self._prefix = robot, prefix
        self._joints = frozenset(named_joints(robot, prefix))
        self._kinematics = Kinematics(robot.urdf_path) if robot.base.kind == "fixed" else None
        self._states, self._odometry = _Stamped(), _Stamped()
        for message in states:
            self.add(message)
        for message in odometry:
            self.add_odometry(message)

    def add(self, message: Any) -> None:
        """Take a JointState; one that names no joint of the robot, as of a gripper of its own, changes nothing."""
        if self._joints.isdisjoint(message.name):
            return
        self._states.add(wire.nanoseconds_of(message.header.stamp), message)

    def add_odometry(self, message: Any) -> None:
        """Take an Odometry."""
        self._odometry.add(wire.nanoseconds_of(message.header.stamp), message)

    @property
    def newest(self) -> int:
        """Stamp of the newest joint state, ns; 0 before the first."""
        return self._states.stamps[-1] if self._states.stamps else 0

    def reaches(self, time: int) -> bool:
        """Whether everything that was said until a time (ns) has been heard: something newer has."""
        needed = [self._states] + ([self._odometry] if self._robot.ros and self._robot.ros.odometry_topic else [])
        return all(bool(said.stamps) and said.stamps[-1] + _TOLERANCE >= time for said in needed)

    def at(self, time: int) -> Measurement:
        """The newest of what was said until a time (ns), and the pose of a fixed robot's tool by forward kinematics.

        Raises:
            LookupError: nothing was said.
        """
        message = self._states.newest(time)
        if message is None:
            raise LookupError("no joint state has come")
        measured = measurement_of(self._robot, self._prefix, message, self._odometry.newest(time))
        if self._kinematics is not None and np.isfinite(measured.position).all():
            tool = self._robot.tool_frame
            poses = self._kinematics.poses(measured.joints, measured.position, [tool])
            measured = dataclasses.replace(measured, poses={tool: poses[tool].vector()})
        return measured

    def forget(self, before: int) -> None:
        """Drop what is not needed for times from `before` (ns) on."""
        self._states.forget(before)
        self._odometry.forget(before)
