"""What a robot said, by stamp: for whoever asks later what was measured at a certain time."""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Measurement
from isthmus.robot import Robot
from isthmus_ros.common import wire
from isthmus_ros.common.joined import JoinedStates, named_joints

__all__ = ["StateHistory", "with_tool"]

_TOLERANCE = 2000  # ns that a stamp may be later than the time that is asked for
_SETS = 64  # sets of joints that messages are about


def with_tool(measured: Measurement, robot: Robot, kinematics: Kinematics | None) -> Measurement:
    """Also with the pose of the tool, where there are kinematics of a fixed robot and all positions are known."""
    if kinematics is None or not np.isfinite(measured.position).all():
        return measured
    poses = kinematics.poses(measured.joints, measured.position, [robot.tool_frame])
    return dataclasses.replace(measured, poses={robot.tool_frame: poses[robot.tool_frame].vector()})


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
    """Joint states and odometry of one robot.

    Several publishers may share its joints, as an arm and its gripper do: see `JoinedStates`.
    """

    def __init__(self, robot: Robot, prefix: str = "", states: Iterable[Any] = (), odometry: Iterable[Any] = ()) -> None:
        """Begin with some messages, if there are any already; `prefix` is that of the joints' names on topics."""
        self._robot, self._prefix = robot, prefix
        self._joints = named_joints(robot, prefix)
        self._kinematics = Kinematics(robot.urdf_path) if robot.base.kind == "fixed" else None
        self._states: dict[frozenset[str], _Stamped] = {}  # by the joints of the robot that they are about
        self._odometry = _Stamped()
        for message in states:
            self.add(message)
        for message in odometry:
            self.add_odometry(message)

    def add(self, message: Any) -> None:
        """Take a JointState; one that names no joint of the robot, as of a gripper of its own, changes nothing."""
        about = frozenset(self._joints).intersection(message.name)
        if not about:
            return
        if about not in self._states and len(self._states) >= _SETS:
            del self._states[min(self._states, key=lambda joints: self._states[joints].stamps[-1])]
        self._states.setdefault(about, _Stamped()).add(wire.nanoseconds_of(message.header.stamp), message)

    def add_odometry(self, message: Any) -> None:
        """Take an Odometry."""
        self._odometry.add(wire.nanoseconds_of(message.header.stamp), message)

    @property
    def newest(self) -> int:
        """Stamp of the newest joint state, ns; 0 before the first."""
        return max((said.stamps[-1] for said in self._states.values()), default=0)

    def unheard(self, time: int) -> str:
        """What may still say something about a time (ns), because nothing newer of it has been heard; "" if nothing may."""
        silent = [
            joint
            for joint in self._joints
            if not any(joint in about and said.stamps[-1] + _TOLERANCE >= time for about, said in self._states.items())
        ]
        if silent:
            return f"joint {silent[0]!r}" if len(silent) < len(self._joints) else "the robot's state"
        wanted = bool(self._robot.ros and self._robot.ros.odometry_topic)
        heard = bool(self._odometry.stamps) and self._odometry.stamps[-1] + _TOLERANCE >= time
        return "the odometry" if wanted and not heard else ""

    def at(self, time: int) -> Measurement:
        """The newest of what was said until a time (ns), and the pose of a fixed robot's tool by forward kinematics.

        Raises:
            LookupError: nothing was said.
        """
        newest = [message for said in self._states.values() if (message := said.newest(time)) is not None]
        if not newest:
            raise LookupError("no joint state has come")
        joined = JoinedStates(self._robot, self._prefix)
        for message in sorted(newest, key=lambda message: self._place(message, time)):
            joined.add(message, 0.0, 0)
        return with_tool(joined.measurement(math.inf, self._odometry.newest(time)), self._robot, self._kinematics)

    @staticmethod
    def _place(message: Any, time: int) -> tuple[bool, int]:
        """Order in which messages are joined: what came after that time only counts where nothing came before it."""
        stamp = wire.nanoseconds_of(message.header.stamp)
        return stamp <= time + _TOLERANCE, stamp

    def forget(self, before: int) -> None:
        """Drop what is not needed for times from `before` (ns) on."""
        for said in self._states.values():
            said.forget(before)
        self._odometry.forget(before)
