"""Reading a trace back: the arrays of one episode over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import messages, strict
from isthmus.contract import Contract
from isthmus.mcap_records import Allowance, TooLargeError, has_footer, read_records
from isthmus.recorded_messages import VECTORS, JointSample, MessageDecoder
from isthmus.records import Array, Command, Measurement

__all__ = ["Trace", "read_trace"]

_STATES = "/joint_states"  # every period has one


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded episode: T control periods of which Td began with a decision.

    What was not recorded in a period is NaN; an input holds its last value; an image is black.

    Attributes:
        contract: of the policy that acted.
        metadata: what was known before the episode, and its outcome.
        complete: False if the writer was killed; then the last period, which may be half written, has been left out. Or if the outcome counts
            more periods: another tool has cut off the end.
        stamps: seconds in the plant's clock, `[T]`, to the nanosecond.
        joints: measured joints, in the order in which they were named first; one that a message does not name keeps its newest value.
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
        corrected: whether `command` was a person's, in place of the policy's, `[T]` bool.
    """

    contract: Contract
    metadata: Mapping[str, str]
    complete: bool
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
    corrected: Array

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


def read_trace(path: Path | str) -> Trace:
    """Read an episode that `TraceWriter` wrote, all of it into memory.

    Messages belong to the period that their sequence number names, so another tool may have put them into another order.

    Raises:
        ValueError: not an MCAP file, damaged, without the metadata of isthmus, its sequence numbers are not those that were written, or it unpacks
            to more memory than a file of its size may ask for.
        OSError: the file cannot be opened.
    """
    from mcap.records import Channel, Message, Metadata, Schema, Statistics

    path = strict.path("a recording", path)
    complete, allowance, decoder = has_footer(path), Allowance.of(path), MessageDecoder(path)
    found: dict[str, dict[str, str]] = {}
    periods = _Periods(path, complete)
    for record in read_records(allowance, complete):
        if isinstance(record, Metadata):
            found[record.name] = record.metadata
        elif isinstance(record, Schema | Channel):
            decoder.learn(record)
        elif isinstance(record, Message) and "isthmus.contract" not in found:
            break
        elif isinstance(record, Message) and (topic := decoder.topic(record)):
            periods.add(topic, record, decoder)
        elif isinstance(record, Statistics) and record.message_count != periods.messages:
            raise ValueError(f"{path} is damaged: {periods.messages} of {record.message_count} messages can be read")
    written = found.get("isthmus.contract", {})
    if not {"json", "digest"} <= written.keys():
        raise ValueError(f"{path} does not begin with the metadata record 'isthmus.contract': isthmus did not write it, or it was cut off")
    contract = Contract.from_json(written["json"], str(path))
    if contract.digest() != written["digest"]:
        raise ValueError(f"{path}: the contract does not have the digest that stands beside it; the file was changed")
    metadata = {**found.get("isthmus.episode", {}), **found.get("isthmus.outcome", {})}
    length, topics = periods.sorted()
    steps = metadata.get("steps", "")
    complete = complete and not (steps.isdecimal() and length < int(steps))
    try:
        return _assemble(contract, metadata, complete, topics, _Table(length, allowance))
    except TooLargeError:
        raise
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} was not written by isthmus: {error.args[0]}") from None


class _Periods:
    """The messages of a recording by topic and period, wherever they stand in the file: another tool may have sorted, grouped or doubled them.

    Attributes:
        messages: how many were read.
    """

    def __init__(self, path: Path, complete: bool) -> None:
        self.messages = 0
        self._path, self._complete = path, complete
        self._newest = 0
        self._values: dict[str, dict[int, Any]] = defaultdict(dict)
        self._seen: dict[str, dict[int, tuple[tuple[int, ...], int, int]]] = defaultdict(dict)  # what it says, as hashes, and when

    def add(self, topic: str, record: Any, decoder: MessageDecoder) -> None:
        """Take a message into the period that its sequence number names.

        Raises:
            ValueError: it cannot be read, another one of its topic and period says something else, or the file was cut off and is out of order.
        """
        self.messages += 1
        value, period = decoder.value(record), record.sequence
        if value is None and topic != _STATES:
            return
        if not self._complete and period < self._newest:
            raise ValueError(
                f"{self._path} was cut off, and period {period} comes after period {self._newest}: what is missing cannot be told"
            )
        self._newest = period
        said, seen, values = hash(record.data), self._seen[topic], self._values[topic]
        known, *times = seen.get(period, ((), record.log_time, record.publish_time))
        if said in known:
            return
        if known:
            value = self._joined(topic, period, values.get(period), value)
        seen[period] = ((*known, said), *times)
        if value is not None:
            values[period] = value

    def _joined(self, topic: str, period: int, before: Any, value: Any) -> Any:
        """What a second message of a period adds: only joint states may come from several publishers, each of which has its own joints."""
        problem = f"{self._path}: period {period} has two different messages of {topic}"
        if topic != _STATES or not isinstance(before, JointSample) or not isinstance(value, JointSample):
            raise ValueError(problem)
        try:
            return before.joined(value)
        except ValueError as error:
            raise ValueError(f"{problem}, and {error}") from None

    def sorted(self) -> tuple[int, dict[str, dict[int, Any]]]:
        """Number of the periods, and what each topic says by index of the period, both in their order.

        The last period of a file that was cut off is left out: it may be half written.

        Raises:
            ValueError: a message has no period, or the time of another one; a period is missing; or all topics have other names.
        """
        periods = sorted(self._seen[_STATES])
        if self.messages and not any(self._seen.values()):
            raise ValueError(f"{self._path} has {self.messages} messages and none of {_STATES}: other tools must leave the names of topics")
        if not self._complete:
            periods = periods[:-1]
        place = {period: index for index, period in enumerate(periods)}
        for topic, seen in self._seen.items():
            for period, (_, logged, published) in seen.items():
                if period not in self._seen[_STATES]:
                    raise ValueError(f"{self._path}: period {period} has a message of {topic} and none of {_STATES}")
                _, first, second = self._seen[_STATES][period]
                if logged != first and published != second:
                    raise ValueError(f"{self._path}: the message of {topic} of period {period} has another time than that of {_STATES}")
        if missing := [index for index, period in enumerate(periods) if index != period]:
            raise ValueError(
                f"{self._path}: period {missing[0]} is missing, and period {periods[-1]} is there: another tool has cut it out"
            )
        return len(periods), {
            topic: {place[period]: values[period] for period in sorted(values) if period in place} for topic, values in self._values.items()
        }


@dataclass(frozen=True, slots=True)
class _Table:
    """Makes arrays over the periods of a recording.

    Attributes:
        length: number of periods T.
        allowance: what they are paid from.
    """

    length: int
    allowance: Allowance

    def dense(self, steps: Mapping[int, Array], shape: tuple[int, ...] = (0,), length: int | None = None) -> Array:
        """`[length, *shape]`, NaN (or 0 for pixels) where there is no value; `shape` counts only if there is none at all."""
        length = self.length if length is None else length
        first = next(iter(steps.values()), np.zeros(shape))
        self.allowance.take(length * first.nbytes)
        dense = np.full((length, *first.shape), np.nan if first.dtype.kind == "f" else 0, dtype=first.dtype)
        for step, value in steps.items():
            dense[step] = value
        return dense

    def columns(self, steps: Mapping[int, JointSample], field: str, joints: Sequence[str], *, kept: bool = False) -> Array:
        """One field of joint states by joint name, `[T, J]`; with `kept`, what a message does not name keeps its newest value."""
        self.allowance.take(self.length * len(joints) * 8)
        values = np.full((self.length, len(joints)), np.nan)
        for step, state in steps.items():
            known = dict(zip(state.name, state.fields[field].tolist(), strict=False))  # an empty field is legal
            values[step] = [known.get(joint, np.nan) for joint in joints]
            if kept and step and len(state.name) < len(joints):
                silent = [joint not in state.name for joint in joints]
                values[step, silent] = values[step - 1, silent]
        return values


def _assemble(
    contract: Contract,
    metadata: Mapping[str, str],
    complete: bool,
    topics: Mapping[str, dict[int, Any]],
    table: _Table,
) -> Trace:
    length, joints, commanded = table.length, contract.action.elements, messages.command_field(contract.mode)
    states = topics.get(_STATES, {})
    if len(states) < length:
        raise ValueError(f"a message of {_STATES} is of another type")
    named = dict.fromkeys(state.name for state in states.values())  # several publishers may share the joints
    measured = tuple(dict.fromkeys(joint for names in named for joint in names))
    observations = dict(_under(topics, "/policy/observation/"))
    actions = topics.get("/policy/action", {})
    decisions = sorted({*actions, *(step for steps in observations.values() for step in steps)})
    place = {step: index for index, step in enumerate(decisions)}

    def decided(steps: Mapping[int, Array], shape: tuple[int, ...] = (0,)) -> Array:
        return table.dense({place[step]: value for step, value in steps.items()}, shape, len(decisions))

    status = _hold(topics.get("/guard/status", {}), length)
    if len(status) < length:
        raise ValueError("it does not begin with a message of /guard/status")
    vectors = {group: {name: table.dense(steps) for name, steps in _under(topics, f"/{group}/")} for group in VECTORS}
    return Trace(
        contract=contract,
        metadata=metadata,
        complete=complete,
        stamps=np.array([messages.seconds(state.stamp) for state in states.values()], dtype=np.float64),
        joints=measured,
        position=table.columns(states, "position", measured, kept=True),
        velocity=table.columns(states, "velocity", measured, kept=True),
        effort=table.columns(states, "effort", measured, kept=True)
        if any(len(state.fields["effort"]) for state in states.values())
        else None,
        images={name.removesuffix("/image_raw"): table.dense(steps) for name, steps in _under(topics, "/camera/")},
        inputs={name: table.dense(_hold(steps, length)) for name, steps in _under(topics, "/policy/input/")},
        command=table.columns(topics.get("/guard/command", {}), commanded, joints),
        executed=table.columns(topics.get("/guard/executed", {}), commanded, joints),
        decisions=np.array(decisions, dtype=np.int64),
        observations={name: decided(steps).astype(contract.signal(name).dtype) for name, steps in observations.items()},
        actions=decided(actions, (contract.horizon, len(joints))),
        rungs=tuple(status[k]["rung"] for k in range(length)),
        causes=tuple(status[k]["cause"] for k in range(length)),
        corrected=np.isin(np.arange(length), list(topics.get("/policy/correction", {}))),
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
