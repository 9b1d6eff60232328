"""The joints of one robot from the joint states of several publishers, such as an arm and its gripper: each joint keeps its newest value.

A JointState is about the joints that it names. What it does not name keeps its value, its stamp and the time at which it arrived. Messages are kept
as they come, one for each set of names; their values are put together when somebody asks, and once for all who ask before the next message.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.messages import seconds
from isthmus.records import Array, Measurement
from isthmus.robot import Base, Robot
from isthmus_ros.common import wire

__all__ = ["JoinedStates", "Part", "named_joints", "travelled"]

_FIELDS = ("position", "velocity", "effort")
_UNKNOWN = -1  # place of a joint that is named twice: nobody can tell which of its values is meant


@dataclass(slots=True, eq=False)
class Part:
    """The newest message of certain names.

    Attributes:
        columns: joints that it is about, by their place in the robot.
        places: their places in the message, -1 for what it names twice; None if it is about all joints of the robot, in order, and nothing else.
        offset: constant difference of the clocks that is taken off its delay, s.
        message: a JointState.
        stamp: its stamp, ns.
        arrival: on the steady clock, s.
        delay: how old the stamp was when it arrived, s.
        number: counts messages.
    """

    columns: tuple[int, ...]
    places: tuple[int, ...] | None
    offset: float
    message: Any = None
    stamp: int = -1
    arrival: float = -math.inf
    delay: float = 0.0
    number: int = -1

    def velocities(self, count: int) -> Sequence[float]:
        """Velocity of each of the robot's `count` joints, rad/s; NaN where it says nothing."""
        given: Sequence[float] = self.message.velocity
        if self.places is None and len(given) == count:
            return given
        values = [math.nan] * count
        if len(given) == len(self.message.name):
            for column, place in zip(self.columns, self.places or range(count), strict=True):
                values[column] = _value(given, place)
        return values


class JoinedStates:
    """The newest value of each joint.

    Attributes:
        joints: their names on the topic.
        newest: when the newest message arrived, on the steady clock, s; -inf before the first.
        oldest: when the joint that has been silent longest was heard, s; -inf before all have been.
        stamp: oldest stamp of the joints that were named, ns, so that a publisher that freezes shows beside one that goes on; -1 before the first.
        delays: how old the oldest and the newest of the joints' stamps were when they arrived, s, less the offset of `synchronise`.
    """

    def __init__(self, robot: Robot, prefix: str = "") -> None:
        """Nothing has come yet.

        Args:
            robot: the profile.
            prefix: of the joints' and frames' names on topics.
        """
        self._robot, self._prefix = robot, prefix
        self._names = robot.joint_names
        self.joints = named_joints(robot, prefix)
        self.newest = self.oldest = -math.inf
        self.stamp, self.delays = -1, (0.0, 0.0)
        self._column = {joint: column for column, joint in enumerate(self.joints)}
        self._parts: dict[tuple[str, ...], Part] = {}
        self._foreign: set[tuple[str, ...]] = set()
        self._most = 2 * len(self.joints) + 16  # sets of names that are remembered
        self._number = 0
        self._owners: list[Part | None] = [None] * len(self.joints)  # of each joint
        self._owning: list[Part] = []
        self._values: tuple[float, Array, Array, Array | None] | None = None  # of the newest messages, and for which `allowed`

    def add(self, message: Any, arrival: float, now: int, *, alone: bool = False) -> Part | None:
        """Take a JointState of any content; None if it names no joint of the robot and changes nothing.

        Args:
            message: the JointState.
            arrival: on the steady clock, s.
            now: time of the node's clock, ns.
            alone: what the message does not name, nobody does.
        """
        names = tuple(message.name)
        part = self._parts.get(names) or self._new_part(names)
        if part is None:
            return None
        self._number += 1
        part.message, part.arrival, part.number = message, arrival, self._number
        part.stamp = wire.nanoseconds_of(message.header.stamp)
        part.delay = (now - part.stamp) / 1e9
        if alone:
            self._parts, self._owners = {names: part}, [None] * len(self.joints)
        self.newest, self._values = arrival, None
        if alone or self._owning != [part]:
            for column in part.columns:
                self._owners[column] = part
            self._owning = list(dict.fromkeys(filter(None, self._owners)))
        self.oldest = -math.inf if None in self._owners else min([part.arrival for part in self._owning])
        self.stamp = min([part.stamp for part in self._owning])
        self._take_delays()
        return part

    def synchronise(self, *, relative: bool) -> None:
        """Take the delays of the newest messages as the constant offsets of their clocks, or none if stamps are not `relative`."""
        for part in self._parts.values():
            part.offset = part.delay if relative else 0.0
        self._take_delays()

    def missing(self, allowed: float) -> tuple[str, ...]:
        """Joints that nobody names: not within so many seconds before the newest message."""
        if not self._parts or self.newest - self.oldest <= allowed:
            return ()
        return tuple(joint for joint, owner in zip(self.joints, self._owners, strict=True) if self._lost(owner, allowed))

    def measurement(self, allowed: float, odometry: Any = None, images: Mapping[str, Array] | None = None) -> Measurement:
        """What is known of the robot; NaN for joints that are missing, and for an empty field.

        Args:
            allowed: see `missing`.
            odometry: an Odometry, or None.
            images: newest picture of each camera, `[1, H, W, C]`.
        """
        if self._values is None or self._values[0] != allowed:
            self._values = (allowed, *self._joined(allowed))
        _, position, velocity, effort = self._values
        base = "" if odometry is None else odometry.child_frame_id.removeprefix(self._prefix)
        return Measurement(
            stamp=np.array([seconds(self.stamp) if self._parts else 0.0]),
            joints=self._names,
            position=position,
            velocity=velocity,
            effort=effort,
            poses={} if odometry is None else {base: _pose(odometry.pose.pose)},
            twists={} if odometry is None else {base: _twist(odometry.twist.twist)},
            images={} if images is None else images,
        )

    def _lost(self, owner: Part | None, allowed: float) -> bool:
        return owner is None or self.newest - owner.arrival > allowed

    def _take_delays(self) -> None:
        delays = [part.delay - part.offset for part in self._owning] or [0.0]
        self.delays = max(delays), min(delays)

    def _joined(self, allowed: float) -> tuple[Array, Array, Array | None]:
        """Positions, velocities and efforts of the newest messages, `[1, J]`; None for efforts that nobody says."""
        values = np.full((3, len(self.joints)), np.nan)
        for part in sorted(self._owning, key=lambda part: part.number):
            if not self._lost(part, allowed):
                _fill(values, part)
        position, velocity = values[0:1], values[1:2]
        if self._robot.base.wheels:
            return travelled(self._robot.base, position), travelled(self._robot.base, velocity), None
        return position, velocity, values[2:3] if any(len(part.message.effort) for part in self._owning) else None

    def _new_part(self, names: tuple[str, ...]) -> Part | None:
        """Remember which joints messages of these names are about; None for none."""
        if names in self._foreign:
            return None
        counts = Counter(names)
        places = {self._column[name]: place if counts[name] == 1 else _UNKNOWN for place, name in enumerate(names) if name in self._column}
        if not places:
            self._foreign = {names} if len(self._foreign) >= self._most else self._foreign | {names}
            return None
        if len(self._parts) >= self._most:
            self._parts = {key: part for key, part in self._parts.items() if part in self._owning}
        before = self._owners[next(iter(places))]
        part = Part(tuple(places), None if names == self.joints else tuple(places.values()), before.offset if before else 0.0)
        self._parts[names] = part
        return part


def named_joints(robot: Robot, prefix: str = "") -> tuple[str, ...]:
    """Joints of the robot's topics: a differential drive's are its wheels."""
    return tuple(prefix + joint for joint in robot.base.wheels or robot.joint_names)


def travelled(base: Base, wheels: Array) -> Array:
    """Distance along x and angle about z, `[1, 2]`, of a differential drive from the angles of its left and right wheel, or speeds from speeds."""
    left, right = wheels[:, 0] * base.wheel_radius, wheels[:, 1] * base.wheel_radius
    return np.stack([(left + right) / 2, (right - left) / base.wheel_separation], axis=1)


def _fill(values: Array, part: Part) -> None:
    """Write what a message says into `[3, J]`, over what older ones said."""
    message = part.message
    for row, field in enumerate(_FIELDS):
        given = getattr(message, field)
        known = len(given) == len(message.name)
        if part.places is None:
            values[row] = given if known else np.nan
        else:
            values[row, list(part.columns)] = [_value(given, place) for place in part.places] if known else np.nan


def _value(given: Sequence[float], place: int) -> float:
    return math.nan if place == _UNKNOWN else given[place]


def _pose(pose: Any) -> Array:
    p, q = pose.position, pose.orientation
    return np.array([[p.x, p.y, p.z, q.x, q.y, q.z, q.w]])


def _twist(twist: Any) -> Array:
    v, w = twist.linear, twist.angular
    return np.array([[v.x, v.y, v.z, w.x, w.y, w.z]])
