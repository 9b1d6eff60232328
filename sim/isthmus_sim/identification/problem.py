"""What is unknown, and in which recordings: the file of parameters, bound to a mechanism and its logs.

```yaml
signals: {…}                                # see `signals`; not needed where names bind by themselves
servo: {kp: 20, kd: 1.5}                    # of the controller, where the model has no servo; or by joint: {j1: {kp: 20, kd: 1.5}}
tool: wrist                                 # body that carries `payload`
unknown:
  j1.damping: [0, 2]
  payload: {bounds: [0, 2], logs: [loaded.csv]}   # only in these logs; elsewhere it has its nominal value
prior: {link2.mass: {mean: 1.2, sd: 0.1}}
```
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus_sim.identification.bag_commands import CommandTopics
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.logs import Log, check_samples
from isthmus_sim.identification.mechanism import Mechanism, Servo, Target, build_mechanism, load_spec
from isthmus_sim.identification.signals import Signals, bind_columns, guess_signals, read_signals
from isthmus_sim.identification.table import check_apart
from isthmus_sim.identification.tables import read_columns
from isthmus_sim.parameters import Parameter

__all__ = ["ParameterFile", "Prior", "Problem", "Unknown", "make_problem", "open_logs", "read_parameter_file"]

_TURNS = 3  # of a joint without limits, from which on another unit is likelier
_KEYS = ("signals", "servo", "tool", "unknown", "prior")


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a parameter before: a normal distribution."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        strict.require("sd of a prior", self.sd, above=0)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A parameter to be identified.

    Attributes:
        name: in the mechanism's table.
        low: bound.
        high: bound.
        logs: names of the logs in which it is unknown; empty means all.
    """

    name: str
    low: float
    high: float
    logs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"bounds of {self.name!r} must be two increasing numbers, got {self.low:g} and {self.high:g}")


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """A file of parameters, as it was written.

    Attributes:
        unknown: what is to be found; empty means what can be found of the target.
        prior: by parameter.
        signals: None where names bind by themselves.
        servo: by joint; "" is the one of all others.
        tool: body that carries the payload; "" is the last one.
    """

    unknown: tuple[Unknown, ...] = ()
    prior: Mapping[str, Prior] = field(default_factory=dict)
    signals: Signals | None = None
    servo: Mapping[str, Servo] = field(default_factory=dict)
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that a fit needs.

    Attributes:
        mechanism: model.
        logs: recordings.
        unknown: parameters, in the order of every vector.
        prior: by parameter.
    """

    mechanism: Mechanism
    logs: tuple[Log, ...]
    unknown: tuple[Unknown, ...]
    prior: Mapping[str, Prior]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the unknown parameters."""
        return tuple(unknown.name for unknown in self.unknown)

    @property
    def objects_alone(self) -> bool:
        """Whether all that is unknown is of recorded objects; then these alone are compared, so that no fault of the robot's model counts."""
        return all(self.mechanism.owner(name) in self.mechanism.objects for name in self.names)

    @property
    def low(self) -> Array:
        """Lower bounds, `[p]`."""
        return np.array([unknown.low for unknown in self.unknown])

    @property
    def high(self) -> Array:
        """Upper bounds, `[p]`."""
        return np.array([unknown.high for unknown in self.unknown])

    @property
    def nominal(self) -> Array:
        """Values of the model as it is, `[p]`."""
        return np.array([self.mechanism.table[name].nominal for name in self.names])

    def values_of(self, shares: Array) -> Array:
        """Parameters at shares of their ranges, `[…, p]`."""
        return np.asarray(self.low + shares * (self.high - self.low))

    def shares_of(self, values: Array) -> Array:
        """The inverse of `values_of`."""
        return np.asarray((values - self.low) / (self.high - self.low))

    @property
    def units(self) -> tuple[str, ...]:
        """Of the unknown parameters."""
        return tuple(self.mechanism.table[name].unit for name in self.names)


def read_parameter_file(path: Path) -> ParameterFile:
    """Read a file of parameters.

    Raises:
        ValueError: an unknown key, bounds or a prior that are none; the message names the place.
        OSError: the file cannot be read.
    """
    data = strict.load_yaml(path)
    if not isinstance(data, Mapping):
        raise ValueError(f"{path} must have the keys {', '.join(_KEYS)}, or some of them")
    for key in data:
        if key not in _KEYS:
            raise ValueError(f"{path}: unknown key {key!r}; {strict.suggest(str(key), _KEYS)}")
    unknown = tuple(_unknown(str(name), value, f"{path}: unknown.{name}") for name, value in _mapping(data, "unknown", path).items())
    prior = strict.decode(dict[str, Prior], data.get("prior", {}), f"{path}: prior")
    signals = read_signals(data["signals"], f"{path}: signals") if "signals" in data else None
    gains = _mapping(data, "servo", path)
    plain = all(isinstance(value, int | float) for value in gains.values()) and bool(gains)
    servo = strict.decode(dict[str, Servo], {"": gains} if plain else gains, f"{path}: servo")
    return ParameterFile(unknown, prior, signals, servo, strict.decode(str, data.get("tool", ""), f"{path}: tool"))


def open_logs(paths: Sequence[Path], file: ParameterFile, target: Target) -> list[Log]:
    """Read recordings.

    Raises:
        ValueError: one is damaged, or does not say what is needed; the message names file and row.
        OSError: a file cannot be read.
    """
    logs = []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".mcap":
            logs.append(read_bag(path, CommandTopics(robot=target.robot), _joints_of(target)))
            continue
        if not path.is_file():
            raise ValueError(f"{path} cannot be read: No such file or directory")
        table = read_columns(path)
        signals = file.signals or guess_signals(table, _joints_of(target))
        logs.append(bind_columns(table, signals, path.read_bytes()))
    for log in logs:
        check_samples(log)
    first = logs[0]
    for log in logs[1:]:
        if set(log.joints) != set(first.joints):
            raise ValueError(
                f"{log.name} is of the joints {', '.join(log.joints)}, {first.name} of {', '.join(first.joints)}: another robot?"
            )
        if log.joints != first.joints:
            raise ValueError(f"{log.name} has its joints in another order than {first.name}; name them in one order")
        if log.mode != first.mode:
            raise ValueError(f"{log.name} holds {log.mode or 'no'} commands, {first.name} {first.mode or 'no'} commands; fit them apart")
    return logs


def make_problem(target: Target, file: ParameterFile, logs: Sequence[Log]) -> Problem:
    """Bind names.

    Raises:
        ValueError: an unknown name, bounds that exclude the nominal value, two names for one quantity, a log without anything that drives the robot,
            or a model that cannot be simulated.
    """
    first = logs[0]
    mode = first.mode or ("effort" if first.effort is not None or first.current is not None else "")
    if not mode:
        raise ValueError(f"{first.name} holds neither commands nor efforts, so nothing is known of what moved the robot")
    servo = {joint: file.servo.get(joint) or file.servo[""] for joint in first.joints if joint in file.servo or "" in file.servo}
    bodies = tuple(name for name in first.poses if all(name in log.poses for log in logs))
    mechanism = build_mechanism(target, first.joints, mode, servo=servo, tool=file.tool, bodies=bodies, period=_command_period(first))
    if file.signals and (wrong := [name for name in file.signals.poses if name not in mechanism.objects]):
        raise ValueError(
            f"signals.pose.{wrong[0]}: {target.name} has no body of that name that moves freely, or by one joint that nothing drives"
        )
    logs = [replace(log, poses={name: log.poses[name] for name in mechanism.objects}) for log in logs]
    logs = [_checked_reach(mechanism, log) for log in logs]
    unknown = file.unknown or _usual(mechanism)
    if first.current is not None and not first.mode:
        mechanism = replace(mechanism, table={**mechanism.table, **_drive_gains(mechanism, unknown)})
    table = mechanism.table
    hidden = {body.name for body in target.scene.moving} - set(mechanism.objects)
    for entry in unknown:
        if (body := entry.name.rpartition(".")[0]) in hidden:
            raise ValueError(f"{entry.name!r} is NOT IDENTIFIABLE: not every log has poses of {body!r}")
        if entry.name not in table:
            raise ValueError(f"unknown parameter {entry.name!r} of {target.name}; {strict.suggest(entry.name, table)}")
        row = table[entry.name]
        if not row.low <= entry.low < entry.high <= row.high:
            raise ValueError(
                f"bounds of {entry.name!r} must be in {row.low:g} … {row.high:g} {row.unit}, got {entry.low:g} … {entry.high:g}"
            )
        if not entry.low <= row.nominal <= entry.high:
            raise ValueError(
                f"bounds {entry.low:g} … {entry.high:g} of {entry.name!r} exclude its nominal value {row.nominal:g} {row.unit}"
            )
        for name in entry.logs:
            if name not in (known := [Path(log.name).name for log in logs]):
                raise ValueError(f"{entry.name!r} is unknown in log {name!r}, which is not given; {strict.suggest(name, known)}")
    names = [entry.name for entry in unknown]
    check_apart(names)
    for name in file.prior:
        if name not in names:
            raise ValueError(f"prior of {name!r}, which is not unknown; {strict.suggest(name, names)}")
    if mode == "effort" and (gains := [name for name in names if name.endswith((".gain", ".damping_gain"))]):
        raise ValueError(f"{gains[0]!r} is of a servo, but the log commands efforts; use .torque_scale")
    return Problem(mechanism, tuple(logs), unknown, file.prior)


def _drive_gains(mechanism: Mechanism, unknown: Sequence[Unknown]) -> dict[str, Parameter]:
    """Rows for what one ampere of each joint's drive is worth; no model says it, so the middle of the bounds stands for its nominal value."""
    rows = {}
    for joint in mechanism.joints:
        name, unit = f"{joint}.drive_gain", mechanism.table[f"{joint}.frictionloss"].unit
        middle = next(((entry.low + entry.high) / 2 for entry in unknown if entry.name == name), 1.0)
        rows[name] = Parameter(name, f"{unit}/A", middle, 1e-3, 1e3, f"torque of the drive of {joint} per ampere")
    return rows


def _command_period(log: Log) -> float:
    """Of commands, to the microsecond; of samples where there are none."""
    steps = np.diff(log.command_time if log.mode else log.time)
    return round(float(np.median(steps)), 6)


def _usual(mechanism: Mechanism) -> tuple[Unknown, ...]:
    """Where no file says what is unknown: what the task is about, or friction, rotor inertia and delay, which the data sheet of no robot tells."""
    about = [row for row in mechanism.target.identifiable if row.name.rpartition(".")[0] in mechanism.objects]
    if about:
        return tuple(Unknown(row.name, row.low, row.high) for row in about)
    found = []
    for joint in mechanism.joints:
        for quantity, least in (("damping", 1.0), ("frictionloss", 1.0), ("armature", 0.05)):
            row = mechanism.table[f"{joint}.{quantity}"]
            found.append(Unknown(row.name, 0.0, max(least, 5 * row.nominal)))
    return (*found, Unknown("action_delay", 0.0, max(0.05, 2 * mechanism.table["action_delay"].nominal)))


def _checked_reach(mechanism: Mechanism, log: Log) -> Log:
    """Refuse positions that the model's joints cannot have: a log of another robot, or another unit; of many turns there is a remark.

    Raises:
        ValueError: the message names the joint.
    """
    remarks = []
    for index, joint in enumerate(log.joints):
        row = mechanism.model.joint(joint)
        turns = float(np.ptp(log.position[:, index])) / (2 * np.pi)
        if mechanism.model.jnt_limited[row.id]:
            low, high = row.range
            found = log.position[:, index].min(), log.position[:, index].max()
            slack = 0.15 * (high - low) + 0.05
            if found[0] < low - slack or found[1] > high + slack:
                raise ValueError(
                    f"{log.name}: {joint} reaches {found[0]:.3g} … {found[1]:.3g}, but in {mechanism.target.name} its limits are "
                    f"{low:.3g} … {high:.3g}: "
                    "a log of another robot, or another unit?"
                )
        elif turns > _TURNS and row.type[0] == mujoco.mjtJoint.mjJNT_HINGE:
            remarks.append(f"{joint} goes through {turns:.0f} turns; if its unit is not rad, say so under `signals:`")
    return replace(log, remarks=(*log.remarks, *remarks))


def _joints_of(target: Target) -> tuple[str, ...]:
    if target.robot is not None:
        return target.robot.joint_names
    spec, _ = load_spec(target.file)
    single = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    return tuple(joint.name for joint in spec.joints if joint.type in single)


def _unknown(name: str, value: Any, where: str) -> Unknown:
    data = value if isinstance(value, Mapping) else {"bounds": value}
    for key in data:
        if key not in ("bounds", "logs"):
            raise ValueError(f"{where}: unknown key {key!r}; {strict.suggest(str(key), ('bounds', 'logs'))}")
    low, high = strict.decode(tuple[float, float], data.get("bounds"), f"{where}.bounds" if isinstance(value, Mapping) else where)
    return Unknown(name, low, high, strict.decode(tuple[str, ...], data.get("logs", ()), f"{where}.logs"))


def _mapping(data: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    return strict.decode(dict[str, Any], data.get(key) or {}, f"{path}: {key}")
