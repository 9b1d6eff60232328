"""What bags say, message by message: joint states, poses, and commands of ros2_control."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isthmus import messages
from isthmus.mcap_records import Allowance, has_footer, read_records
from isthmus.records import Array
from isthmus_sim.identification.bag_commands import ARRAY, DEFINITIONS, TRAJECTORY, CommandTopics

__all__ = ["FIELDS", "Samples", "State", "read_samples"]

_JOINT_STATE = "sensor_msgs/msg/JointState"
_POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
FIELDS = ("position", "velocity", "effort")
"""Of a joint state."""

State = tuple[int, list[str], Mapping[str, list[float]]]
"""Stamp, ns, names, and those fields that have a value for each name."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Messages in the order of the files.

    Attributes:
        states: joint states, by topic.
        poses: stamp, ns, and value of each pose, by topic.
        told: stamp, ns, and message of each command, by topic.
        topics: all that may be of commands, whether they were asked for or not.
    """

    states: dict[str, list[State]] = field(default_factory=dict)
    poses: dict[str, list[tuple[int, Array]]] = field(default_factory=dict)
    told: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)


def read_samples(files: Sequence[Path], topics: CommandTopics) -> Samples:
    """Read the files of one recording.

    Args:
        files: MCAP, in order.
        topics: where commands are.

    Raises:
        ValueError: a file is not MCAP, or a message cannot be read.
        OSError: a file cannot be read.
    """
    from mcap.records import Channel, Message, Schema
    from mcap_ros2.decoder import DecoderFactory

    factory, found = DecoderFactory(), Samples()
    definitions = {**messages.SCHEMAS, **DEFINITIONS}
    for path in files:
        channels: dict[int, Any] = {}
        schemas: dict[int, Any] = {}
        for record in read_records(Allowance.of(path), has_footer(path)):
            if isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Schema) and record.name in (_JOINT_STATE, _POSE_STAMPED, ARRAY, TRAJECTORY):
                schemas[record.id] = replace(record, data=definitions[record.name].encode())
            elif isinstance(record, Message) and (channel := channels.get(record.channel_id)) and channel.schema_id in schemas:
                topic, kind = channel.topic, schemas[channel.schema_id].name
                if kind in (ARRAY, TRAJECTORY):
                    found.topics.add(topic)
                    if not topics.holds(topic):
                        continue
                decode = factory.decoder_for(channel.message_encoding, schemas[channel.schema_id])
                if decode is None:
                    raise ValueError(f"{path}: messages of {topic} are encoded as {channel.message_encoding!r}, not as cdr")
                try:
                    said = decode(record.data)
                except (struct.error, IndexError, ValueError) as error:
                    raise ValueError(f"{path}: a message of {topic} cannot be read: {error}") from None
                _add(found, topic, kind, said, record.log_time)
    return found


def _add(found: Samples, topic: str, kind: str, said: Any, log_time: int) -> None:
    if kind == ARRAY:  # has no header
        found.told.setdefault(topic, []).append((log_time, said))
        return
    stamp = said.header.stamp.sec * 10**9 + said.header.stamp.nanosec or log_time
    if kind == TRAJECTORY:
        found.told.setdefault(topic, []).append((stamp, said))
    elif kind == _POSE_STAMPED:
        found.poses.setdefault(topic, []).append((stamp, messages.vector_of(said, "pose")))
    else:
        fields = {name: list(getattr(said, name)) for name in FIELDS if len(getattr(said, name)) == len(said.name)}
        found.states.setdefault(topic, []).append((stamp, list(said.name), fields))
