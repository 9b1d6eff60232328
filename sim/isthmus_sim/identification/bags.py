"""Logs in MCAP files: episodes of isthmus, recordings of `record_node`, and any rosbag2 file with joint states, and with poses in `…/poses/NAME`.

Commands are those that the guard let through, else those of a topic that is named, or of the robot's profile (`bag_commands`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.bag_commands import CommandTopics, array_commands, trajectory_commands
from isthmus_sim.identification.bag_samples import FIELDS, State, read_samples
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.poses import resampled_poses

__all__ = ["read_bag"]

_STATES, _EXECUTED, _POSES = "joint_states", "guard/executed", "poses/"
_SHOWN = 3  # recordings that are named where there are several


def read_bag(path: Path, topics: CommandTopics | None = None, joints: Sequence[str] = ()) -> Log:
    """Read joint states, and commands.

    Args:
        path: a file, a rosbag2 folder, or a folder with one recording below it.
        topics: where commands are, if not what the guard let through is meant.
        joints: of the robot; where the messages name all of them, others, as of a gripper, are left out.

    Raises:
        ValueError: not an MCAP file, no joint states in it, not the commands that were asked for, or a folder without or with several recordings.
        OSError: a file cannot be read.
    """
    topics = topics or CommandTopics()
    files = _files(path)
    samples = read_samples(files, topics)
    spoken = [rows for topic, rows in samples.states.items() if topic.endswith(_STATES)]
    if not spoken:
        there = ", ".join(samples.states) or "none of joint states"
        raise ValueError(f"{path} has no topic that ends in {_STATES}; there are: {there}")
    states = max(spoken, key=len)
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
    executed = [] if topics.asked else next((rows for topic, rows in samples.states.items() if topic.endswith(_EXECUTED)), [])
    if topics.asked and not samples.told:
        there = ", ".join(sorted(samples.topics)) or "no arrays and no trajectories"
        raise ValueError(f"{path} has no commands on {topics.asked}; there are: {there}")
    if samples.told and not executed:
        log = _commanded(log, samples.told, topics, others)
    if executed and set(executed[0][1]) == set(own):
        times, asked, _ = _arrays(path, executed, own)
        mode, values = next(iter(asked.items()))
        log = replace(log, mode=mode, command_time=times, command=values)
    poses = {topic.rpartition(_POSES)[2]: _resampled(log.time, rows) for topic, rows in samples.poses.items() if _POSES in topic}
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


def _commanded(log: Log, told: Mapping[str, Sequence[tuple[int, Any]]], topics: CommandTopics, others: Collection[str]) -> Log:
    """The log with the commands of the topic that says most; of the joints that these are of, without others."""
    topic = max(told, key=lambda name: len(told[name]))
    if hasattr(told[topic][0][1], "points"):
        mode, joints, begin, values = trajectory_commands(told[topic], topic, log.time, log.position, log.joints, others)
    else:
        mode, joints, begin, values = array_commands(told[topic], topic, topics)
    if missing := [joint for joint in joints if joint not in log.joints]:
        raise ValueError(f"{log.name}: {topic} commands {', '.join(missing)}, which the log does not have: {', '.join(log.joints)}")
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


def _arrays(path: Path, samples: Sequence[State], joints: tuple[str, ...]) -> tuple[Array, dict[str, Array], list[str]]:
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
    for name in FIELDS:
        if all(name in sample[2] for sample in kept):
            fields[name] = np.array([[sample[2][name][sample[1].index(joint)] for joint in joints] for sample in kept])
    return stamps[good] / 1e9, fields, remarks
