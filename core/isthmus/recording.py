"""Reading a trace back: the arrays of one episode over time."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import messages
from isthmus.contract import Contract
from isthmus.records import Array, Command, Measurement

__all__ = ["Trace", "read_trace"]

_MAGIC = b"\x89MCAP0\r\n"


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded episode: T control periods of which Td began with a decision.

    What was not recorded in a period is NaN; an input holds its last value; an image is black.

    Attributes:
        contract: of the policy that acted.
        metadata: what was known before the episode, and its outcome.
        complete: False if the writer was killed; then the last period, which may be half written, has been left out.
        sequences: numbers of the commands, `[T]`.
        stamps: seconds in the plant's clock, `[T]`, to the nanosecond.
        joints: measured joints, in the order of the first measurement.
        position: `[T, J]`, rad or m.
        velocity: `[T, J]`, rad/s or m/s.
        effort: `[T, J]`, N·m or N; None where the plant did not measure it.
        poses: `[T, 7]` per name.
        twists: `[T, 6]` per name.
        wrenches: `[T, 6]` per name.
        images: `[T, H, W, C]` uint8 per camera.
        inputs: `[T, elements]` per external signal.
        command: what was asked, `[T, A]`, columns as in `contract.action.elements`.
        executed: what the guard let through, `[T, A]`.
        decisions: index of the period that each decision began, `[Td]`.
        observations: `[Td, history, elements]` per signal in its own dtype, without images.
        actions: `[Td, horizon, A]`.
        rungs: the guard's rung per period, "pass", "clamp", "hold" or "stop".
        causes: why it is not "pass", per period.
    """

    contract: Contract
    metadata: Mapping[str, str]
    complete: bool
    sequences: Array
    stamps: Array
    joints: tuple[str, ...]
    position: Array
    velocity: Array
    effort: Array | None
    poses: Mapping[str, Array]
    twists: Mapping[str, Array]
    wrenches: Mapping[str, Array]
    images: Mapping[str, Array]
    inputs: Mapping[str, Array]
    command: Array
    executed: Array
    decisions: Array
    observations: Mapping[str, Array]
    actions: Array
    rungs: tuple[str, ...]
    causes: tuple[str, ...]

    def __len__(self) -> int:
        """Number of control periods T."""
        return len(self.stamps)

    def measurement(self, step: int) -> Measurement:
        """What was read at the beginning of period `step`, batch 1."""
        cut = slice(step, step + 1)
        return Measurement(
            stamp=self.stamps[cut],
            joints=self.joints,
            position=self.position[cut],
            velocity=self.velocity[cut],
            effort=None if self.effort is None else self.effort[cut],
            poses={name: values[cut] for name, values in self.poses.items()},
            twists={name: values[cut] for name, values in self.twists.items()},
            wrenches={name: values[cut] for name, values in self.wrenches.items()},
            images={name: values[cut] for name, values in self.images.items()},
        )

    def executed_command(self, step: int) -> Command | None:
        """What was executed in period `step`, batch 1; None if nothing was."""
        values = self.executed[step : step + 1]
        return None if np.isnan(values).all() else Command(self.contract.mode, self.contract.action.elements, values)


def read_trace(path: Path) -> Trace:
    """Read an episode that `TraceWriter` wrote, all of it into memory.

    Raises:
        ValueError: not an MCAP file, damaged, or without the metadata of isthmus.
        OSError: the file cannot be opened.
    """
    from mcap.records import Channel, Message, Metadata, Schema, Statistics
    from mcap_ros2.decoder import DecoderFactory

    complete = _has_footer(path)
    decoders = DecoderFactory()
    found: dict[str, dict[str, str]] = {}
    schemas: dict[int, Any] = {}
    channels: dict[int, Any] = {}
    by_topic: dict[str, dict[int, Any]] = defaultdict(dict)
    sequences: list[int] = []
    count = 0
    for record in _records(path, complete):
        if isinstance(record, Metadata):
            found[record.name] = record.metadata
        elif isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message) and "isthmus.contract" not in found:
            break
        elif isinstance(record, Message) and record.channel_id in channels:
            count += 1
            channel = channels[record.channel_id]
            if channel.topic == "/joint_states":  # the first message of every period
                sequences.append(record.sequence)
            decode = decoders.decoder_for(channel.message_encoding, schemas.get(channel.schema_id))
            if decode is not None:
                by_topic[channel.topic][len(sequences) - 1] = decode(record.data)
        elif isinstance(record, Statistics) and record.message_count != count:
            raise ValueError(f"{path} is damaged: {count} of {record.message_count} messages can be read")
    written = found.get("isthmus.contract", {})
    if not {"json", "digest"} <= written.keys():
        raise ValueError(f"{path} does not begin with the metadata record 'isthmus.contract': isthmus did not write it, or it was cut off")
    contract = Contract.from_json(written["json"], str(path))
    if contract.digest() != written["digest"]:
        raise ValueError(f"{path}: the contract does not have the digest that stands beside it; the file was changed")
    metadata = {**found.get("isthmus.episode", {}), **found.get("isthmus.outcome", {})}
    return _assemble(contract, metadata, complete, sequences if complete else sequences[:-1], by_topic)


def _assemble(
    contract: Contract, metadata: Mapping[str, str], complete: bool, sequences: list[int], by_topic: Mapping[str, dict[int, Any]]
) -> Trace:
    length, joints, commanded = len(sequences), contract.action.elements, messages.command_field(contract.mode)
    topics = {topic: {step: message for step, message in steps.items() if step < length} for topic, steps in by_topic.items()}
    states = topics.get("/joint_states", {})
    measured = tuple(states[0].name) if states else ()
    vectors = {
        group: {
            name: _dense({k: messages.vector_of(m, kind) for k, m in steps.items()}, length) for name, steps in _under(topics, f"/{group}/")
        }
        for group, kind in (("poses", "pose"), ("twists", "twist"), ("wrenches", "wrench"))
    }
    images = {name.removesuffix("/image_raw"): {k: _pixels(m) for k, m in steps.items()} for name, steps in _under(topics, "/camera/")}
    inputs = {name: {k: _input(m) for k, m in steps.items()} for name, steps in _under(topics, "/policy/input/")}
    observations = {name: {k: messages.array_of(m) for k, m in steps.items()} for name, steps in _under(topics, "/policy/observation/")}
    actions = {k: messages.array_of(m) for k, m in topics.get("/policy/action", {}).items()}
    decisions = sorted({*actions, *(k for steps in observations.values() for k in steps)})
    status = _hold({k: {pair.key: pair.value for pair in m.status[0].values} for k, m in topics.get("/guard/status", {}).items()}, length)
    return Trace(
        contract=contract,
        metadata=metadata,
        complete=complete,
        sequences=np.array(sequences, dtype=np.int64),
        stamps=np.array([messages.seconds(m.header.stamp.sec * 10**9 + m.header.stamp.nanosec) for m in states.values()], dtype=np.float64),
        joints=measured,
        position=_columns(states, "position", measured, length),
        velocity=_columns(states, "velocity", measured, length),
        effort=_columns(states, "effort", measured, length) if any(len(m.effort) for m in states.values()) else None,
        images={name: _dense(steps, length) for name, steps in images.items()},
        inputs={name: _dense(_hold(steps, length), length) for name, steps in inputs.items()},
        command=_columns(topics.get("/guard/command", {}), commanded, joints, length),
        executed=_columns(topics.get("/guard/executed", {}), commanded, joints, length),
        decisions=np.array(decisions, dtype=np.int64),
        observations={name: _dense(steps, length)[decisions].astype(contract.signal(name).dtype) for name, steps in observations.items()},
        actions=_dense(actions, length, (contract.horizon, len(joints)))[decisions],
        rungs=tuple(status[k]["rung"] for k in range(length)),
        causes=tuple(status[k]["cause"] for k in range(length)),
        **vectors,
    )


def _under(topics: Mapping[str, dict[int, Any]], prefix: str) -> Iterator[tuple[str, dict[int, Any]]]:
    return ((topic.removeprefix(prefix), steps) for topic, steps in topics.items() if topic.startswith(prefix))


def _hold(steps: Mapping[int, Any], length: int) -> dict[int, Any]:
    """The last value before or at each period, from the first value on."""
    held: dict[int, Any] = {}
    for step in range(length):
        if step in steps or step - 1 in held:
            held[step] = steps[step] if step in steps else held[step - 1]
    return held


def _dense(steps: Mapping[int, Array], length: int, shape: tuple[int, ...] = (0,)) -> Array:
    """`[length, *shape]`, NaN (or 0 for pixels) where there is no value; `shape` counts only if there is none at all."""
    first = next(iter(steps.values()), np.zeros(shape))
    dense = np.full((length, *first.shape), np.nan if first.dtype.kind == "f" else 0, dtype=first.dtype)
    for step, value in steps.items():
        dense[step] = value
    return dense


def _columns(steps: Mapping[int, Any], field: str, joints: Sequence[str], length: int) -> Array:
    """One field of joint states by joint name, `[length, J]`."""
    values = np.full((length, len(joints)), np.nan)
    for step, message in steps.items():
        known = dict(zip(message.name, getattr(message, field), strict=False))  # an empty field is legal
        values[step] = [known.get(joint, np.nan) for joint in joints]
    return values


def _input(message: Any) -> Array:
    return messages.vector_of(message, "point") if hasattr(message, "point") else messages.array_of(message)


def _pixels(message: Any) -> Array:
    return np.frombuffer(bytes(message.data), dtype=np.uint8).reshape(message.height, message.width, -1)


def _has_footer(path: Path) -> bool:
    with path.open("rb") as content:
        size = content.seek(0, 2)
        content.seek(max(size - len(_MAGIC), 0))
        return size > len(_MAGIC) and content.read() == _MAGIC


def _records(path: Path, complete: bool) -> Iterator[Any]:
    """Records in file order; those of an unfinished file as far as they are whole."""
    from mcap.exceptions import InvalidMagic, McapError
    from mcap.stream_reader import StreamReader
    from zstandard import ZstdError

    with path.open("rb") as stream:
        try:
            yield from StreamReader(stream, validate_crcs=True, record_size_limit=path.stat().st_size).records
        except (McapError, ZstdError, struct.error, ValueError, MemoryError, OverflowError) as error:  # the last two: a damaged length
            if complete or isinstance(error, InvalidMagic):
                raise ValueError(f"{path} is not a readable MCAP file: {error or type(error).__name__}") from None
