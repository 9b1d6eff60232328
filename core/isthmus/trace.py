"""Episodes as MCAP files of standard ROS 2 messages, one file per row and episode.

Simulation, robot and replay write the same topics, and Foxglove, PlotJuggler and rosbag2 open them:

    /joint_states                    sensor_msgs/JointState, the measured joints
    /poses, /twists, /wrenches/NAME  geometry_msgs/PoseStamped, TwistStamped, WrenchStamped
    /camera/NAME/image_raw           sensor_msgs/Image
    /guard/command, /guard/executed  JointState, only the commanded field; frame_id is `<first 12 of the contract digest>:<period>`
    /guard/status                    diagnostic_msgs/DiagnosticArray, when the rung changes or is not "pass"
    /policy/input/SIGNAL             PointStamped for x, y, z, otherwise std_msgs/Float64MultiArray; when it changes
    /policy/observation/SIGNAL       Float64MultiArray [history, elements], per decision; image signals are not repeated
    /policy/action                   Float64MultiArray [horizon, A], per decision
    /policy/correction               JointState, what a person asked for in place of the policy, in the periods in which one did

The sequence number of a message is its control period, counted from 0 in each file. Values are recovered bit for bit, stamps to the nanosecond.
Log times are those of the plant's clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, overload

from isthmus import messages
from isthmus.contract import Contract
from isthmus.files import named
from isthmus.guard import PASS, RUNGS
from isthmus.recording import Trace, read_trace
from isthmus.records import Array, Command, Measurement

__all__ = ["Trace", "TraceStep", "TraceWriter", "read_trace", "row_of"]

_CHUNK = 64 * 1024  # bytes; what is in the open chunk is lost when the process is killed
_VECTORS = {"poses": "Pose", "twists": "Twist", "wrenches": "Wrench"}


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One control period of one row. All arrays have a leading axis of 1: slice batches with `row_of`.

    Attributes:
        measurement: what was read at the beginning of the period.
        command: what was asked of the guard; None if nothing was.
        executed: what the guard let through; None if nothing was.
        rung: the guard's rung, an index of `isthmus.guard.RUNGS`.
        cause: why it is not "pass".
        inputs: `[1, elements]` per external signal.
        observation: `[1, history, *shape]` per signal; None when nothing was decided in this period.
        action: the decision, `[1, H, A]`.
        corrected: `command` is a person's, in place of the policy's.
    """

    measurement: Measurement
    command: Command | None
    executed: Command | None
    rung: int = PASS
    cause: str = ""
    inputs: Mapping[str, Array] = field(default_factory=dict)
    observation: Mapping[str, Array] | None = None
    action: Array | None = None
    corrected: bool = False


@overload
def row_of(record: Measurement, row: int) -> Measurement: ...
@overload
def row_of(record: Command, row: int) -> Command: ...
@overload
def row_of(record: Mapping[str, Array], row: int) -> Mapping[str, Array]: ...
def row_of(record: Measurement | Command | Mapping[str, Array], row: int) -> Measurement | Command | Mapping[str, Array]:
    """One row of a measurement, a command or a mapping of arrays, batch 1; the arrays are views."""
    cut = slice(row, row + 1)
    if isinstance(record, Measurement):
        return Measurement(
            stamp=record.stamp[cut],
            joints=record.joints,
            position=record.position[cut],
            velocity=record.velocity[cut],
            effort=None if record.effort is None else record.effort[cut],
            poses=row_of(record.poses, row),
            twists=row_of(record.twists, row),
            wrenches=row_of(record.wrenches, row),
            images=row_of(record.images, row),
        )
    if isinstance(record, Command):
        return Command(record.mode, record.joints, record.values[cut])
    return {name: values[cut] for name, values in record.items()}


class TraceWriter:
    """Writes one episode; a context manager, so that the file gets its footer even when the episode ends in an exception.

    One that cannot be written (a full disk), or whose footer is interrupted, is removed by the context manager.

    A process that is killed loses what is in the open chunk (64 KiB before compression). `read_trace` reads such a file as far as it goes; other
    readers need `mcap recover` first.
    """

    def __init__(self, path: Path, contract: Contract, metadata: Mapping[str, str], base_frame: str = "base_link") -> None:
        """Open the file.

        Args:
            path: file to write; an existing one is replaced.
            contract: of the policy; the whole of it is stored.
            metadata: plant, seed, parameters and whatever else is known before the episode.
            base_frame: name of the frame of poses, twists and wrenches.
        """
        from mcap_ros2.writer import Writer

        self._prefix = contract.digest()[:12]
        self._frame = base_frame
        self._points = {signal.name: signal.frame or base_frame for signal in contract.inputs if signal.elements == ("x", "y", "z")}
        self._images = {signal.name for signal in contract.observation if signal.source == "image"}
        self._inputs: dict[str, bytes] = {}
        self._status: tuple[int, str] | None = None
        self._period = 0
        self._path, self._whole = path, False
        self._file = path.open("wb")
        self._writer = Writer(self._file, chunk_size=_CHUNK)
        self._schemas = {name: self._writer.register_msgdef(name, text) for name, text in messages.SCHEMAS.items()}
        self._writer.add_metadata("isthmus.contract", {"json": contract.to_json().decode(), "digest": contract.digest()})
        self._writer.add_metadata("isthmus.episode", dict(metadata))

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if not isinstance(error, OSError):  # else it cannot be finished
                self.close()
        finally:
            if not self._whole:
                with contextlib.suppress(OSError):
                    self._file.close()
                self._path.unlink(missing_ok=True)

    def record(self, step: TraceStep) -> None:
        """Append one control period.

        Raises:
            ValueError: the measurement has more than one row, or its stamp is negative or not finite.
            OSError: the disk is full, for example; the error names the file.
        """
        if step.measurement.batch != 1:
            raise ValueError(f"a trace holds one row, the measurement has {step.measurement.batch}; take one with row_of")
        time = messages.nanoseconds(float(step.measurement.stamp[0]))
        with named(self._path):
            self._write_measurement(step, time)
            self._write_policy(step, time)
            self._write_guard(step, time)
            self._file.flush()
        self._period += 1

    def conclude(self, outcome: Mapping[str, str]) -> None:
        """Store what is known only after the episode, such as return and success."""
        with named(self._path):
            self._writer.add_metadata("isthmus.outcome", dict(outcome))

    def close(self) -> None:
        """Write the footer and close the file; a second call does nothing."""
        if not self._file.closed:
            with named(self._path):
                self._writer.finish()
                self._file.close()
                self._whole = True

    def _write(self, topic: str, kind: str, message: messages.Message, time: int) -> None:
        self._writer.write_message(topic, self._schemas[kind], message, log_time=time, publish_time=time, sequence=self._period)

    def _write_measurement(self, step: TraceStep, time: int) -> None:
        measured = step.measurement
        state = messages.joint_state(
            messages.header(time), measured.joints, position=measured.position, velocity=measured.velocity, effort=measured.effort
        )
        self._write("/joint_states", "sensor_msgs/msg/JointState", state, time)
        for group, kind in _VECTORS.items():
            for name, values in getattr(measured, group).items():
                message = messages.stamped(messages.header(time, self._frame), kind.lower(), values[0])
                self._write(f"/{group}/{name}", f"geometry_msgs/msg/{kind}Stamped", message, time)
        for name, pixels in measured.images.items():
            message = messages.image(messages.header(time, f"{name}_optical_frame"), pixels[0])
            self._write(f"/camera/{name}/image_raw", "sensor_msgs/msg/Image", message, time)

    def _write_policy(self, step: TraceStep, time: int) -> None:
        for name, values in step.inputs.items():
            content = values[0].astype("float64").tobytes()
            if self._inputs.get(name) == content:
                continue
            self._inputs[name] = content
            if name in self._points:
                message = messages.stamped(messages.header(time, self._points[name]), "point", values[0])
                self._write(f"/policy/input/{name}", "geometry_msgs/msg/PointStamped", message, time)
            else:
                self._write_array(f"/policy/input/{name}", values[0], ("elements",), time)
        for name, values in (step.observation or {}).items():
            if name not in self._images:
                self._write_array(f"/policy/observation/{name}", values[0], ("history", "elements"), time)
        if step.action is not None:
            self._write_array("/policy/action", step.action[0], ("horizon", "joints"), time)

    def _write_array(self, topic: str, values: Array, labels: tuple[str, ...], time: int) -> None:
        self._write(topic, "std_msgs/msg/Float64MultiArray", messages.multi_array(values, *labels), time)

    def _write_guard(self, step: TraceStep, time: int) -> None:
        frame = f"{self._prefix}:{self._period}"
        correction = step.command if step.corrected else None
        for topic, command in (("/guard/command", step.command), ("/guard/executed", step.executed), ("/policy/correction", correction)):
            if command is not None:
                fields: dict[str, Any] = {messages.command_field(command.mode): command.values}
                message = messages.joint_state(messages.header(time, frame), command.joints, **fields)
                self._write(topic, "sensor_msgs/msg/JointState", message, time)
        status = (int(step.rung), step.cause)
        if status != self._status or step.rung != PASS:
            self._status = status
            rung = RUNGS[step.rung]
            level = min(int(step.rung), 2)  # hold and stop are errors
            values = {"rung": rung, "cause": step.cause, "sequence": str(self._period)}
            message = messages.diagnostics(messages.header(time), level, "guard", step.cause or rung, values)
            self._write("/guard/status", "diagnostic_msgs/msg/DiagnosticArray", message, time)
