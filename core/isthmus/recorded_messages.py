"""What the messages of a recording say, as values that take little more memory than they took in the file."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import messages
from isthmus.records import Array
from isthmus.rungs import RUNGS

__all__ = ["VECTORS", "JointSample", "MessageDecoder"]

VECTORS: Mapping[str, str] = {"poses": "pose", "twists": "twist", "wrenches": "wrench"}
"""Kind of vector by the first part of a topic."""

_MESSAGE = 4 * 10**6  # bytes of any message but an image; a decoded one takes up to forty times as much


@dataclass(frozen=True, slots=True)
class JointSample:
    """A joint state without the overhead of a message.

    Attributes:
        stamp: ns.
        fields: `[J]` each, or empty: position in rad or m, velocity, effort.
        name: of the joints.
    """

    stamp: int
    fields: Mapping[str, Array]
    name: tuple[str, ...]

    def joined(self, other: JointSample) -> JointSample:
        """With what another publisher says of other joints, as a gripper of its own; the older stamp counts.

        Raises:
            ValueError: both name a joint.
        """
        if twice := set(self.name).intersection(other.name):
            raise ValueError(f"both name joint {min(twice)!r}")
        fields = {}
        for field in self.fields:
            parts = [one.fields[field] if len(one.fields[field]) else np.full(len(one.name), np.nan) for one in (self, other)]
            said = len(self.fields[field]) or len(other.fields[field])
            fields[field] = np.concatenate(parts) if said else self.fields[field]
        return JointSample(min(self.stamp, other.stamp), fields, self.name + other.name)


class MessageDecoder:
    """Messages as compact values, by the definitions of isthmus and not by those in the file, which could say anything."""

    def __init__(self, path: Path) -> None:
        from mcap_ros2.decoder import DecoderFactory

        self._path = path
        self._factory = DecoderFactory()
        self._schemas: dict[int, Any] = {}
        self._channels: dict[int, Any] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def learn(self, record: Any) -> None:
        """Take a schema or a channel."""
        if hasattr(record, "topic"):
            self._channels[record.id] = record
        elif record.name in messages.SCHEMAS:
            self._schemas[record.id] = replace(record, data=messages.SCHEMAS[record.name].encode())

    def topic(self, record: Any) -> str:
        """Of a message; "" if its channel is unknown."""
        return self._channels[record.channel_id].topic if record.channel_id in self._channels else ""

    def value(self, record: Any) -> Any:
        """What a message says; None if it says nothing of an episode."""
        channel = self._channels[record.channel_id]
        schema = self._schemas.get(channel.schema_id)
        decode = self._factory.decoder_for(channel.message_encoding, schema)
        if schema is None or decode is None:
            return None
        if schema.name != "sensor_msgs/msg/Image" and len(record.data) > _MESSAGE:
            raise ValueError(f"{self._path}: a message of {channel.topic} has {len(record.data)} bytes; at most {_MESSAGE} are allowed")
        try:
            message = decode(record.data)
            _check_period(channel.topic, message, record.sequence)
            return self._compact(channel.topic, message)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error) as error:
            raise ValueError(f"{self._path}: a message of {channel.topic} cannot be read: {error}") from None

    def _compact(self, topic: str, message: Any) -> Any:
        _, group, *rest = topic.split("/")
        match group, rest[:1]:
            case ("joint_states", []) | ("guard", ["command"] | ["executed"]) | ("policy", ["correction"]):
                names = tuple(message.name)
                fields = {field: np.array(getattr(message, field), dtype=np.float64) for field in ("position", "velocity", "effort")}
                stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                return JointSample(stamp, fields, self._names.setdefault(names, names))
            case "guard", ["status"]:
                said = {pair.key: pair.value for pair in message.status[0].values}
                RUNGS.index(said["rung"])
                return {"rung": said["rung"], "cause": said["cause"]}
            case (("poses" | "twists" | "wrenches"), _):
                return messages.vector_of(message, VECTORS[group])
            case "camera", _:
                return np.frombuffer(bytes(message.data), dtype=np.uint8).reshape(message.height, message.width, -1)
            case "policy", ["input"] if hasattr(message, "point"):
                return messages.vector_of(message, "point")
            case "policy", _:
                return messages.array_of(message)
        return None


def _check_period(topic: str, message: Any, sequence: int) -> None:
    """Refuse a message of the guard whose own number is not that in the file: another tool has counted anew."""
    if topic in ("/guard/command", "/guard/executed"):
        told = message.header.frame_id.rpartition(":")[2]
    elif topic == "/guard/status":
        told = {pair.key: pair.value for pair in message.status[0].values}.get("sequence", "")
    else:
        return
    if told.isdecimal() and int(told) != sequence:
        raise ValueError(f"it is of period {int(told)}, but its sequence number is {sequence}")
