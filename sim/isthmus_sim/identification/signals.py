"""Which column of a log is which signal of which joint, in which unit: the part `signals:` of a file of parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.tables import Columns

__all__ = ["Channel", "Signals", "bind_columns", "guess_signals", "read_signals"]

_UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "position": {"rad": 1.0, "deg": np.pi / 180, "rev": 2 * np.pi, "m": 1.0, "mm": 1e-3},
    "velocity": {"rad/s": 1.0, "deg/s": np.pi / 180, "rpm": np.pi / 30, "m/s": 1.0, "mm/s": 1e-3},
    "effort": {"N*m": 1.0, "Nm": 1.0, "mN*m": 1e-3, "N": 1.0},
    "current": {"A": 1.0, "mA": 1e-3},
}
_KINDS = {
    "position": "position",
    "velocity": "velocity",
    "effort": "effort",
    "current": "current",
    "position_command": "position",
    "velocity_command": "velocity",
    "effort_command": "effort",
}
_TIMES = ("time", "t", "stamp", "timestamp", "time_s", "Time")
_PREFIXES = {
    "position": ("q_", "pos_", "position_", "q"),
    "velocity": ("qd_", "dq_", "vel_", "velocity_", "qd", "dq"),
    "effort": ("tau_", "effort_", "torque_", "tau"),
    "current": ("current_", "i_"),
    "position_command": ("target_", "q_cmd_", "q_des_", "position_command_", "command_"),
    "velocity_command": ("velocity_command_", "qd_cmd_"),
    "effort_command": ("u_", "tau_cmd_", "effort_command_", "u"),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """One column.

    Attributes:
        column: name, or number from 0.
        unit: "" is the SI unit.
        sign: 1 or -1.
    """

    column: str
    unit: str = ""
    sign: int = 1

    def __post_init__(self) -> None:
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, got {self.sign}")


@dataclass(frozen=True, slots=True)
class Signals:
    """The mapping.

    Attributes:
        time: column of the stamps.
        joints: by kind of signal (`position`, `effort_command`, …) and joint.
        poses: seven columns by body: x, y, z, qw, qx, qy, qz.
    """

    time: Channel
    joints: Mapping[str, Mapping[str, Channel]]
    poses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_signals(data: Any, where: str) -> Signals:
    """Read the mapping.

    Raises:
        ValueError: an unknown key or unit, no time or no position; the message names the place.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be a mapping, got {data!r}")
    known = ("time", *_KINDS, "pose")
    for key in data:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; {strict.suggest(str(key), known)}")
    for key in ("time", "position"):
        if data.get(key) in (None, "", {}):  # and not 0, which is the first column
            raise ValueError(f"{where}: key {key!r} is missing")
    joints = {
        kind: {str(joint): _channel(value, _KINDS[kind], f"{where}.{kind}.{joint}") for joint, value in data[kind].items()}
        for kind in _KINDS
        if isinstance(data.get(kind), Mapping)
    }
    if bad := [kind for kind in _KINDS if kind in data and kind not in joints]:
        raise ValueError(f"{where}.{bad[0]} must be columns by joint, got {data[bad[0]]!r}")
    commands = [kind for kind in joints if kind.endswith("_command")]
    if len(commands) > 1:
        raise ValueError(f"{where}: {commands[0]!r} and {commands[1]!r} cannot both be what was commanded; name one of them")
    if "effort" in joints and "current" in joints:
        raise ValueError(f"{where}: 'effort' and 'current' are two names for one quantity; name one of them")
    for kind in joints:
        for joint in joints[kind]:
            if joint not in joints["position"]:
                raise ValueError(f"{where}.{kind}: joint {joint!r} has no position; {strict.suggest(joint, joints['position'])}")
    poses = strict.decode(dict[str, Any], data.get("pose", {}), f"{where}.pose")
    for body, columns in poses.items():
        if not isinstance(columns, list) or len(columns) != 7:
            raise ValueError(f"{where}.pose.{body} must be 7 columns: x, y, z, qw, qx, qy, qz, got {columns!r}")
    return Signals(
        _channel(data["time"], "time", f"{where}.time"), joints, {body: tuple(map(str, columns)) for body, columns in poses.items()}
    )


def guess_signals(table: Columns, joints: Sequence[str]) -> Signals:
    """The mapping of a table whose columns are called as joints are: `q_elbow`, `target_elbow`, … of `elbow` or `elbow_joint`.

    Raises:
        ValueError: no time or no position is found.
    """
    names = {name.lower(): name for name in table.columns}
    time = next((names[word.lower()] for word in _TIMES if word.lower() in names), "")
    found: dict[str, dict[str, Channel]] = {}
    for kind, prefixes in _PREFIXES.items():
        for joint in joints:
            forms = (joint, joint.removesuffix("_joint"), joint.removeprefix("joint_"), joint.removeprefix("joint"))
            tries = [form for prefix in prefixes for stem in forms for form in (f"{prefix}{stem}", f"{stem}.{prefix.strip('_')}")]
            tries = [joint, *tries] if kind == "position" else tries
            if column := next((names[word.lower()] for word in tries if word.lower() in names), ""):
                found.setdefault(kind, {})[joint] = Channel(column)
    if not time or "position" not in found:
        missing = "positions of the joints" if time else "time"
        raise ValueError(
            f"{table.name}: no column is known to be the {missing}; say which column is what under `signals:` in the file of --parameters; columns: "
            f"{', '.join(list(table.columns)[:20])}"
        )
    commands = [kind for kind in found if kind.endswith("_command")]
    for kind in commands[1:]:
        del found[kind]
    return Signals(Channel(time), found)


def bind_columns(table: Columns, signals: Signals, content: bytes) -> Log:
    """Make a log of a table.

    Raises:
        ValueError: a column is missing, or a number that is needed is not there; the message names file and row.
    """
    if not len(table.lines):
        raise ValueError(f"{table.name} has no row of numbers")
    time = _values(table, signals.time, "time")
    remarks = []
    good = np.concatenate([[True], time[1:] > np.maximum.accumulate(time)[:-1]])
    if bad := int((~good).sum()):
        repeated = int((np.diff(time) == 0).sum())
        if bad > 0.05 * len(time):
            raise ValueError(
                f"{table.name}: {bad} of {len(time)} stamps do not increase, the first in row {table.lines[int(np.argmin(good))]}"
            )
        remarks.append(f"{bad} rows were left out, whose stamps repeat ({repeated}) or go back ({bad - repeated})")
    joints = tuple(signals.joints["position"])
    arrays: dict[str, Array | None] = {}
    for kind in _KINDS:
        channels = signals.joints.get(kind)
        if channels is None:
            continue
        columns = [_values(table, channels[joint], _KINDS[kind]) if joint in channels else np.full(len(time), np.nan) for joint in joints]
        if kind == "position" or kind.endswith("_command"):
            for joint, column in zip(joints, columns, strict=True):
                if joint in channels and not np.isfinite(column).all():
                    row = table.lines[int(np.argmin(np.isfinite(column)))]
                    raise ValueError(f"{table.name}: row {row} has no number for {kind} of {joint} (column {channels[joint].column!r})")
        arrays[kind] = np.stack(columns, axis=1)[good]
    mode = next((kind.removesuffix("_command") for kind in arrays if kind.endswith("_command")), "")
    command = arrays.get(f"{mode}_command")
    if command is not None and np.isnan(command).any():
        absent = next(joint for joint, column in zip(joints, command.T, strict=True) if np.isnan(column).any())
        raise ValueError(
            f"{table.name}: joint {absent!r} has no {mode}_command, others have; a joint that is not commanded must not be named"
        )
    log = Log(
        table.name, time[good], joints, np.asarray(arrays["position"]), digest=hashlib.sha256(content).hexdigest(), remarks=tuple(remarks)
    )
    poses = {body: _pose(table, columns)[good] for body, columns in signals.poses.items()}
    log = replace(log, velocity=arrays.get("velocity"), effort=arrays.get("effort"), current=arrays.get("current"), poses=poses)
    return log if command is None else replace(log, mode=mode, command_time=log.time, command=command)


def _channel(value: Any, kind: str, where: str) -> Channel:
    data = dict(value) if isinstance(value, Mapping) else {"column": value}
    data["column"] = str(data.get("column", ""))
    channel = strict.decode(Channel, data, where)
    if not channel.column:
        raise ValueError(f"{where} must name a column")
    if channel.unit and channel.unit not in _UNITS[kind]:
        raise ValueError(f"{where}: unknown unit {channel.unit!r}; {strict.suggest(channel.unit, _UNITS[kind])}")
    return channel


def _values(table: Columns, channel: Channel, kind: str) -> Array:
    values = table.column(channel.column)
    if kind == "time":
        if not np.isfinite(values).all():
            raise ValueError(f"{table.name}: row {table.lines[int(np.argmin(np.isfinite(values)))]} has no time")
        values = values - values[0]  # before scaling, or stamps of an epoch would lose their digits
    return np.asarray(values * (channel.sign * (_UNITS[kind][channel.unit] if channel.unit else 1.0)))


def _pose(table: Columns, columns: Sequence[str]) -> Array:
    x, y, z, qw, qx, qy, qz = (table.column(column) for column in columns)
    return np.stack([x, y, z, qx, qy, qz, qw], axis=1)
