"""Logs in MCAP files: episodes of isthmus, recordings of `record_node`, and any rosbag2 file with joint states, and with poses in `…/poses/NAME`.

Commands are those that the guard let through, else those of a topic that is named, or of the robot's profile (`bag_commands`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import messages
from isthmus.mcap_records import Allowance, has_footer, read_records
from isthmus.records import Array
from isthmus_sim.identification.bag_commands import ARRAY, DEFINITIONS, TRAJECTORY, CommandTopics, array_commands, trajectory_commands
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.poses import resampled_poses

__all__ = ["read_bag"]

_JOINT_STATE = "sensor_msgs/msg/JointState"
_POSE_STAMPED = "geometry_msgs/msg/PoseStamped"
_STATES, _EXECUTED, _POSES = "joint_states", "guard/executed", "poses/"
_FIELDS = ("position", "velocity", "effort")


def read_bag(path: Path, topics: CommandTopics | None = None) -> Log:
    """Read joint states, and commands.

    Args:
        path: MCAP file, or folder of a rosbag2.
        topics: where commands are, if not what the guard let through is meant.

    Raises:
        ValueError: not an MCAP file, no joint states in it, or not the commands that were asked for.
        OSError: the file cannot be read.
    """
    topics = topics or CommandTopics()
    file = next(iter(sorted(path.glob("*.mcap"))), path) if path.is_dir() else path
    samples, seen, told, others = _samples(file, topics)
    spoken = [topic for topic in samples if topic.endswith(_STATES)]
    if not spoken:
        raise ValueError(f"{path} has no topic that ends in {_STATES}; there are: {', '.join(samples) or 'none of joint states'}")
    states = max((samples[topic] for topic in spoken), key=len)
    joints = tuple(states[0][1])
    time, fields, remarks = _arrays(path, states, joints)
    if "position" not in fields:
        raise ValueError(f"{path}: the joint states have no positions")
    log = Log(str(path), time, joints, fields["position"], fields.get("velocity"), fields.get("effort"), remarks=tuple(remarks))
    log = replace(log, digest=hashlib.sha256(file.read_bytes()).hexdigest())
    executed = [] if topics.asked else next((samples[topic] for topic in samples if topic.endswith(_EXECUTED)), [])
    if topics.asked and not told:
        raise ValueError(
            f"{path} has no commands on {topics.asked}; there are: {', '.join(sorted(others)) or 'no arrays and no trajectories'}"
        )
    if told and not executed:
        log = _commanded(log, told, topics)
    if executed:
        names = tuple(executed[0][1])
        if set(names) <= set(joints):
            times, asked, _ = _arrays(path, executed, names)
            mode, values = next(iter(asked.items()))
            if set(names) == set(joints):
                order = [names.index(joint) for joint in joints]
                log = replace(log, mode=mode, command_time=times, command=values[:, order])
    poses = {topic.rpartition(_POSES)[2]: _resampled(log.time, rows) for topic, rows in seen.items() if _POSES in topic}
    begin = log.time[0]
    return replace(log, time=log.time - begin, command_time=log.command_time - begin, poses=poses)


def _commanded(log: Log, told: Mapping[str, Sequence[tuple[int, Any]]], topics: CommandTopics) -> Log:
    """The log with the commands of the topic that says most; of the joints that these are of."""
    topic = max(told, key=lambda name: len(told[name]))
    if hasattr(told[topic][0][1], "points"):
        mode, joints, begin, values = trajectory_commands(told[topic], topic, log.time, log.position, log.joints)
    else:
        mode, joints, begin, values = array_commands(told[topic], topic, topics)
    if missing := [joint for joint in joints if joint not in log.joints]:
        raise ValueError(f"{log.name}: {topic} commands {', '.join(missing)}, which joint states do not have: {', '.join(log.joints)}")
    rows = np.concatenate([begin[1:] > begin[:-1], [True]])  # of two at one time the later one
    columns = [log.joints.index(joint) for joint in joints]

    def cut(signal: Array | None) -> Array | None:
        return None if signal is None else signal[:, columns]

    left = [joint for joint in log.joints if joint not in joints]
    remarks = (*log.remarks, f"{topic} commands no {', '.join(left)}, which were left out") if left else log.remarks
    return replace(
        log, joints=joints, position=log.position[:, columns], velocity=cut(log.velocity), effort=cut(log.effort), mode=mode,
        command_time=begin[rows], command=values[rows], remarks=remarks,
    )  # fmt: skip


def _resampled(time: Array, rows: Sequence[tuple[int, Array]]) -> Array:
    """Poses at the times of the joint states, `[T, 7]`."""
    stamps, first = np.unique(np.array([stamp for stamp, _ in rows]) / 1e9, return_index=True)
    return resampled_poses(time, stamps, np.stack([rows[index][1] for index in first]))


_States = dict[str, list[tuple[int, list[str], Mapping[str, list[float]]]]]


def _samples(
    path: Path, topics: CommandTopics
) -> tuple[_States, dict[str, list[tuple[int, Array]]], dict[str, list[tuple[int, Any]]], set[str]]:
    """Of each topic joint states with stamp, names and fields, poses and commands with their stamps; and all topics that may be commands."""
    from mcap.records import Channel, Message, Schema
    from mcap_ros2.decoder import DecoderFactory

    factory = DecoderFactory()
    channels: dict[int, Any] = {}
    schemas: dict[int, Any] = {}
    found: dict[str, list[tuple[int, list[str], Mapping[str, list[float]]]]] = {}
    poses: dict[str, list[tuple[int, Array]]] = {}
    told: dict[str, list[tuple[int, Any]]] = {}
    others: set[str] = set()
    definitions = {**messages.SCHEMAS, **DEFINITIONS}
    for record in read_records(Allowance.of(path), has_footer(path)):
        if isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Schema) and record.name in (_JOINT_STATE, _POSE_STAMPED, ARRAY, TRAJECTORY):
            schemas[record.id] = replace(record, data=definitions[record.name].encode())
        elif isinstance(record, Message) and (channel := channels.get(record.channel_id)) and channel.schema_id in schemas:
            kind = schemas[channel.schema_id].name
            if kind in (ARRAY, TRAJECTORY):
                others.add(channel.topic)
                if not topics.holds(channel.topic):
                    continue
            decode = factory.decoder_for(channel.message_encoding, schemas[channel.schema_id])
            if decode is None:
                raise ValueError(f"{path}: messages of {channel.topic} are encoded as {channel.message_encoding!r}, not as cdr")
            try:
                said = decode(record.data)
            except (struct.error, IndexError, ValueError) as error:
                raise ValueError(f"{path}: a message of {channel.topic} cannot be read: {error}") from None
            if kind == ARRAY:
                told.setdefault(channel.topic, []).append((record.log_time, said))
                continue
            stamp = said.header.stamp.sec * 10**9 + said.header.stamp.nanosec or record.log_time
            if kind == TRAJECTORY:
                told.setdefault(channel.topic, []).append((stamp, said))
                continue
            if kind == _POSE_STAMPED:
                poses.setdefault(channel.topic, []).append((stamp, messages.vector_of(said, "pose")))
                continue
            fields = {name: list(getattr(said, name)) for name in _FIELDS if len(getattr(said, name))}
            found.setdefault(channel.topic, []).append((stamp, list(said.name), fields))
    return found, poses, told, others


def _arrays(path: Path, samples: list[Any], joints: tuple[str, ...]) -> tuple[Array, dict[str, Array], list[str]]:
    """Times, s, and fields `[T, J]`, bound by name; messages whose stamp does not increase are left out."""
    samples = [sample for sample in samples if set(joints) <= set(sample[1])]
    stamps = np.array([stamp for stamp, _, _ in samples], dtype=np.int64)
    good = np.concatenate([[True], stamps[1:] > np.maximum.accumulate(stamps)[:-1]])
    remarks = [f"{int((~good).sum())} messages were left out, whose stamps repeat or go back"] if not good.all() else []
    if not good.mean() > 0.95:
        raise ValueError(f"{path}: {int((~good).sum())} of {len(good)} stamps of joint states do not increase")
    kept = [sample for sample, use in zip(samples, good, strict=True) if use]
    fields: dict[str, Array] = {}
    for name in _FIELDS:
        if all(name in sample[2] for sample in kept):
            fields[name] = np.array([[sample[2][name][sample[1].index(joint)] for joint in joints] for sample in kept])
    return stamps[good] / 1e9, fields, remarks
