"""Sets of recordings: isthmus traces, bags of `record_node`, and any rosbag2 file with joint states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isthmus.recording import Trace, read_trace
from isthmus.records import Array
from isthmus_sim.identification.bag_commands import CommandTopics
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.recorded import trace_log

__all__ = ["Recording", "check_comparable", "read_recordings", "resampled"]

_OTHER_RATE = 0.02  # share by which the rates of two bags may differ


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording.

    Attributes:
        log: joints and commands over time.
        trace: everything else that isthmus wrote down; None for a bag of others.
        group: name of the folder below that of the set, "" if there is none: recordings of one policy among several.
        name: path below the folder of the set, without suffix: no two recordings of a folder share it, as they may the name of a file.
    """

    log: Log
    trace: Trace | None = None
    group: str = ""
    name: str = ""

    @property
    def seed(self) -> int | None:
        """Of the episode; None where it is not known."""
        told = self.trace.metadata.get("seed", "") if self.trace else ""
        return int(told) if told.isdecimal() else None

    @property
    def period(self) -> float:
        """Control period, s: that of the contract, or the median time between samples."""
        return self.trace.contract.control_period if self.trace else self.log.period

    @property
    def cut_off(self) -> str:
        """That the end of it is missing, in a sentence; "" if that is not known."""
        whole = self.trace is None or self.trace.complete
        return "" if whole else f"{self.name} was cut off: {len(self.trace or ())} control periods are left of it"

    def outcome(self, name: str) -> str:
        """What is known after the episode, such as "return" or "success"; "" if it is not."""
        return self.trace.metadata.get(name, "") if self.trace else ""


def read_recordings(places: Sequence[Path], topics: CommandTopics | None = None) -> list[Recording]:
    """Read a set.

    Args:
        places: MCAP files, folders of rosbag2, or folders of either.
        topics: where bags of others have their commands.

    Raises:
        ValueError: a file is no recording, or there is none.
        OSError: a file cannot be read.
    """
    found = [replace(_read(file, topics), group=_group(place, file), name=_name(place, file)) for place in places for file in _files(place)]
    if not found:
        raise ValueError(f"there is no recording (*.mcap) in {', '.join(map(str, places))}")
    return found


def _files(place: Path) -> Iterator[Path]:
    if not place.exists():
        raise FileNotFoundError(f"there is no recording {place}")
    yield from sorted(place.rglob("*.mcap")) if place.is_dir() else [place]


def _group(place: Path, file: Path) -> str:
    parts = file.parent.relative_to(place).parts if place.is_dir() else ()
    return parts[0] if parts and not (place / parts[0] / "metadata.yaml").exists() else ""


def _name(place: Path, file: Path) -> str:
    return (file.relative_to(place) if place.is_dir() else Path(file.name)).with_suffix("").as_posix()


def _read(file: Path, topics: CommandTopics | None) -> Recording:
    try:
        trace = read_trace(file)
    except ValueError as error:
        if "isthmus.contract" not in str(error):
            raise
        return Recording(read_bag(file, topics))
    if not len(trace):
        raise ValueError(f"{file} has no control period")
    log = trace_log(trace, file.stem)
    if not log.command.size and trace.contract.mode == "twist":
        return Recording(_base_log(trace, file.stem), trace)
    return Recording(log, trace)


def _base_log(trace: Trace, name: str) -> Log:
    """A mobile base: components of its twist in place of joints."""
    elements = trace.contract.action.elements
    twist = next(iter(trace.twists.values()), None)
    if set(elements) <= set(trace.joints):
        columns = [trace.joints.index(element) for element in elements]
        position, velocity = trace.position[:, columns], trace.velocity[:, columns]
    elif twist is not None:
        columns = [("vx", "vy", "vz", "wx", "wy", "wz").index(element) for element in elements]
        velocity = twist[:, columns]
        position = np.concatenate([np.zeros((1, len(columns))), np.cumsum(velocity[:-1] * np.diff(trace.stamps)[:, None], axis=0)])
    else:
        return trace_log(trace, name)
    begin, acted = trace.stamps[0], np.isfinite(trace.executed).all(axis=1)
    return Log(
        name, trace.stamps - begin, elements, position, velocity,
        mode="velocity", command_time=trace.stamps[acted] - begin, command=trace.executed[acted],
    )  # fmt: skip


def check_comparable(first: Sequence[Recording], second: Sequence[Recording], *, rates: bool = True) -> None:
    """Refuse sets of which one cannot be told from the other for trivial reasons.

    Args:
        first: a set.
        second: the other.
        rates: whether they must have one rate, too.

    Raises:
        ValueError: they are of other robots, joints, commands, contracts or rates; the message has the differences.
    """
    one, *others = [*first, *second]
    for other in others:
        if one.trace and other.trace and (differences := _contract_differences(one.trace, other.trace, rates)):
            raise ValueError(f"{one.log.name} (here) and {other.log.name} (there) have other contracts: {differences}")
        if set(one.log.joints) != set(other.log.joints):
            mine, theirs = (", ".join(sorted(log.joints)) for log in (one.log, other.log))
            raise ValueError(f"{one.log.name} and {other.log.name} are of other joints: {mine} here, {theirs} there")
        if one.log.mode != other.log.mode:
            raise ValueError(
                f"{one.log.name} and {other.log.name} have other commands: {one.log.mode or 'none'} here, {other.log.mode or 'none'} there; "
                "those of bags are read from …/guard/executed, the topics of --robot, or --commands TOPIC"
            )
        if rates and abs(other.period / one.period - 1) > _OTHER_RATE:
            raise ValueError(
                f"{one.log.name} is sampled every {one.period:.4g} s, {other.log.name} every {other.period:.4g} s; --resample brings both to one rate"
            )


def _contract_differences(one: Trace, other: Trace, rates: bool) -> str:
    there = other.contract if rates else replace(other.contract, control_period=one.contract.control_period)
    return "" if there.digest() == one.contract.digest() else "; ".join(one.contract.diff(there)[:4])


def resampled(recordings: Sequence[Recording], period: float) -> list[Recording]:
    """Those of another rate at this one, linear in between; what isthmus alone wrote down of them is left out.

    Args:
        recordings: a set.
        period: s.
    """
    return [
        recording
        if abs(recording.period / period - 1) <= _OTHER_RATE
        else replace(recording, log=_resampled(recording.log, period), trace=None)
        for recording in recordings
    ]


def _resampled(log: Log, period: float) -> Log:
    time = np.arange(log.time[0], log.time[-1], period)

    def at(values: Array | None) -> Array | None:
        return None if values is None else np.stack([np.interp(time, log.time, column) for column in values.T], axis=1)

    position = at(log.position)
    assert position is not None  # noqa: S101 - every log has one
    return replace(log, time=time, position=position, velocity=at(log.velocity), effort=at(log.effort), current=None, poses={})
