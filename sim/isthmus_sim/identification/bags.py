"""Logs in MCAP files: episodes of isthmus, recordings of `record_node`, and any rosbag2 file with joint states, and with poses in `…/poses/NAME`."""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import messages
from isthmus.mcap_records import Allowance, has_footer, read_records
from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.poses import resampled_poses

__all__ = ["read_bag"]

_JOINT_STATE = "sensor_msgs/msg/JointState"
_POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
_STATES, _EXECUTED, _POSES = "joint_states", "guard/executed", "poses/"
_FIELDS = ("position", "velocity", "effort")
_SHOWN = 3  # recordings that are named where there are several


def read_bag(path: Path, joints: Sequence[str] = ()) -> Log:
    """Read joint states, and what the guard let through where it spoke.

    Args:
        path: a file, a rosbag2 folder, or a folder with one recording below it.
        joints: of the robot; where the messages name all of them, others, as of a gripper, are left out.

    Raises:
        ValueError: not an MCAP file, no joint states in it, or a folder without or with several recordings.
        OSError: a file cannot be read.
    """
    files = _files(path)
    samples, seen = _samples(files)
    topics = [topic for topic in samples if topic.endswith(_STATES)]
    if not topics:
        raise ValueError(f"{path} has no topic that ends in {_STATES}; there are: {', '.join(samples) or 'none of joint states'}")
    states = max((samples[topic] for topic in topics), key=len)
    named = Counter(tuple(sorted(names)) for _, names, _ in states)
    usual = max(named, key=lambda names: named[names] * len(names))
    own = tuple(next(names for _, names, _ in states if sorted(names) == list(usual)))
    others = set(own) - set(joints) if joints and set(joints) < set(own) else set()
    own = tuple(joint for joint in own if joint not in others)
    time, fields, remarks = _arrays(path, states, own)
    if others:
        remarks.append(f"left out, because the model has no such joint: {', '.join(sorted(others))}")
    if "position" not in fields:
        raise ValueError(f"{path}: the joint states have no positions")
    log = Log(str(path), time, own, fields["position"], fields.get("velocity"), fields.get("effort"), remarks=tuple(remarks))
    log = replace(log, digest=hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest())
    executed = next((samples[topic] for topic in samples if topic.endswith(_EXECUTED)), [])
    if executed:
        names = tuple(executed[0][1])
        if set(names) == set(own):
            times, asked, _ = _arrays(path, executed, own)
            mode, values = next(iter(asked.items()))
            log = replace(log, mode=mode, command_time=times, command=values)
    poses = {topic.rpartition(_POSES)[2]: _resampled(log.time, rows) for topic, rows in seen.items() if _POSES in topic}
    begin = log.time[0]
    return replace(log, time=log.time - begin, command_time=log.command_time - begin, poses=poses)


def _files(path: Path) -> list[Path]:
    """Of one recording, in order: rosbag2 begins a new file when one is full."""
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob("*.mcap"), key=lambda file: (str(file.parent), len(file.name), file.name))
    bags = {file.parent if (file.parent / "metadata.yaml").is_file() else file for file in found}
    if len(bags) != 1:
        names = ", ".join(sorted(str(bag.relative_to(path)) for bag in bags)[:_SHOWN])
        raise ValueError(f"{path} holds {len(bags)} recordings{f' ({names}, …): give one of them' if bags else ': no file ends in .mcap'}")
    return found


def _resampled(time: Array, rows: Sequence[tuple[int, Array]]) -> Array:
    """Poses at the times of the joint states, `[T, 7]`."""
    stamps, first = np.unique(np.array([stamp for stamp, _ in rows]) / 1e9, return_index=True)
    return resampled_poses(time, stamps, np.stack([rows[index][1] for index in first]))


def _samples(
    files: Sequence[Path],
) -> tuple[dict[str, list[tuple[int, list[str], Mapping[str, list[float]]]]], dict[str, list[tuple[int, Array]]]]:
    """Stamp, names and fields of each joint state, and stamp and value of each pose, by topic."""
    from mcap.records import Channel, Message, Schema
    from mcap_ros2.decoder import DecoderFactory

    factory = DecoderFactory()
    found: dict[str, list[tuple[int, list[str], Mapping[str, list[float]]]]] = {}
    poses: dict[str, list[tuple[int, Array]]] = {}
    for path in files:
        channels: dict[int, Any] = {}
        schemas: dict[int, Any] = {}
        for record in read_records(Allowance.of(path), has_footer(path)):
            if isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Schema) and record.name in (_JOINT_STATE, _POSE_STAMPED):
                schemas[record.id] = replace(record, data=messages.SCHEMAS[record.name].encode())
            elif isinstance(record, Message) and (channel := channels.get(record.channel_id)) and channel.schema_id in schemas:
                decode = factory.decoder_for(channel.message_encoding, schemas[channel.schema_id])
                if decode is None:
                    raise ValueError(f"{path}: messages of {channel.topic} are encoded as {channel.message_encoding!r}, not as cdr")
                try:
                    said = decode(record.data)
                except (struct.error, IndexError, ValueError) as error:
                    raise ValueError(f"{path}: a message of {channel.topic} cannot be read: {error}") from None
                stamp = said.header.stamp.sec * 10**9 + said.header.stamp.nanosec or record.log_time
                if schemas[channel.schema_id].name == _POSE_STAMPED:
                    poses.setdefault(channel.topic, []).append((stamp, messages.vector_of(said, "pose")))
                    continue
                fields = {name: list(getattr(said, name)) for name in _FIELDS if len(getattr(said, name)) == len(said.name)}
                found.setdefault(channel.topic, []).append((stamp, list(said.name), fields))
    return found, poses


def _arrays(path: Path, samples: list[Any], joints: tuple[str, ...]) -> tuple[Array, dict[str, Array], list[str]]:
    """Times, s, and fields `[T, J]`, bound by name; messages whose stamp does not increase are left out.

    A simulator whose time stands still says its state again and again; that is one bad stamp, and not as many as there are messages.
    """
    samples = [sample for sample in samples if set(joints) <= set(sample[1])]
    stamps = np.array([stamp for stamp, _, _ in samples], dtype=np.int64)
    good = np.concatenate([[True], stamps[1:] > np.maximum.accumulate(stamps)[:-1]])
    remarks = [f"{int((~good).sum())} messages were left out, whose stamps repeat or go back"] if not good.all() else []
    bad = len(np.unique(stamps[~good]))
    if bad > 0.05 * good.sum():
        raise ValueError(f"{path}: {bad} of {int(good.sum())} stamps of joint states repeat or go back")
    kept = [sample for sample, use in zip(samples, good, strict=True) if use]
    fields: dict[str, Array] = {}
    for name in _FIELDS:
        if all(name in sample[2] for sample in kept):
            fields[name] = np.array([[sample[2][name][sample[1].index(joint)] for joint in joints] for sample in kept])
    return stamps[good] / 1e9, fields, remarks
