"""The one memory of the stack: turns measurements into the observation of a contract.

Environment, runner and ROS node all feed policies through this class, so simulation and robot cannot drift apart. It holds history, the previous
executed action, the elapsed time and the recurrences of a task; policies hold nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from isthmus import strict
from isthmus.contract import Contract
from isthmus.installed import find_installed, installed_names, load_installed
from isthmus.kinematics import Kinematics
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot
from isthmus.signals import COMPONENTS, SOURCES, Signal

__all__ = ["ObservationBuilder", "Recurrence", "register_recurrence"]

_GROUP = "isthmus.recurrences"


class Recurrence(Protocol):
    """A value that depends on the past, for example a timer of an STL task."""

    def initial(self, batch: int) -> Array:
        """State at reset, `[B, …]`."""
        ...

    def update(self, state: Array, measurement: Measurement, dt: float) -> tuple[Array, Array]:
        """Next state `[B, …]` and the value shown to the policy `[B, elements]`, after `dt` seconds (0 for the first sample)."""
        ...


_recurrences: dict[str, Recurrence] = {}


def register_recurrence(name: str, recurrence: Recurrence) -> None:
    """Install a recurrence under a source name; packages use the entry-point group `isthmus.recurrences` instead.

    Raises:
        ValueError: the name is taken, by another recurrence or by a source of the contract.
    """
    if name in SOURCES or name in _recurrences:
        raise ValueError(f"recurrence name {name!r} is taken")
    _recurrences[name] = recurrence


class ObservationBuilder:
    """Builds observations for a batch of rows.

    Call `push` once per control period, `build` once per decision and `reset` for rows that begin a new episode.

    Attributes:
        contract: what is built.

    Raises:
        ValueError: an argument is of another type, or there are no rows.
    """

    def __init__(self, contract: Contract, robot: Robot, batch: int) -> None:
        strict.instance("contract", contract, Contract)
        strict.instance("robot", robot, Robot)
        self.contract = contract
        self._batch = strict.whole("batch", batch, least=1)
        self._action_joints = contract.action.elements
        # Where a mobile robot's links are in the world is measured; joints alone do not tell.
        posed = [signal for signal in contract.observation if signal.source == "pose" and robot.base.kind == "fixed"]
        self._kinematics = Kinematics(robot.urdf_path) if posed else None
        links = {signal.name for signal in posed} & set(self._kinematics.links if self._kinematics else ())
        turned = {signal.name for signal in posed if not set(signal.elements) <= {"x", "y", "z"}}
        self._points, self._frames = tuple(sorted(links - turned)), tuple(sorted(links & turned))
        self._recurrences = {
            signal.source: _find_recurrence(signal.source) for signal in contract.observation if signal.source not in SOURCES
        }
        self._states: dict[str, Array] = {name: recurrence.initial(batch) for name, recurrence in self._recurrences.items()}
        self._steps = np.zeros(batch, dtype=np.int64)
        self._fresh = np.ones(batch, dtype=bool)
        self._previous = np.zeros((batch, len(self._action_joints)))
        self._sampled = tuple(signal for signal in contract.observation if signal.source != "input")
        self._samples = {
            signal.name: np.zeros((batch, (signal.history - 1) * signal.stride + 1, *signal.shape), dtype=signal.dtype)
            for signal in self._sampled
        }

    @property
    def time(self) -> Array:
        """Seconds from each row's reset to its newest sample, `[B]`."""
        return self._steps * self.contract.control_period

    def reset(self, rows: Array | None = None) -> None:
        """Forget history, previous action, elapsed time and recurrences of the given rows; None means all."""
        rows = np.arange(self._batch) if rows is None else rows
        self._fresh[rows] = True
        self._steps[rows] = 0
        for name, recurrence in self._recurrences.items():
            self._states[name][rows] = recurrence.initial(self._batch)[rows]

    def push(self, measurement: Measurement, executed: Command | None, rows: Array | None = None) -> None:
        """Take the sample at the beginning of a control period.

        Args:
            measurement: the newest sample, all rows.
            executed: the command of the period that has just ended; ignored in rows that were reset since.
            rows: rows to update, for the first sample of rows that were just reset; None means all.

        Raises:
            KeyError: a joint, pose or image of the contract is not in the measurement.
        """
        where: Any = slice(None)
        if rows is not None:
            where, measurement = rows, _of_rows(measurement, rows)
        fresh = self._fresh[where]
        first = bool(np.count_nonzero(fresh))
        self._steps[where] += ~fresh
        if executed is not None:
            self._previous[where] = reorder(executed.values, executed.joints, self._action_joints)[where]
        if first:
            self._previous[where] = np.where(fresh[:, None], self._neutral(measurement), self._previous[where])
        poses = self._link_poses(measurement)
        values = self._advance_recurrences(measurement, where, fresh)
        for signal in self._sampled:
            samples = self._samples[signal.name]
            match signal.source:
                case "previous_action":
                    sample = self._previous[where]
                case "time":
                    sample = self.time[where, None]
                case source if source in values:
                    sample = values[source]
                case _:
                    sample = _sample(signal, measurement, poses)
            if samples.shape[1] > 1:
                samples[where, :-1] = samples[where, 1:]
                if first:
                    samples[np.arange(self._batch)[where][fresh]] = sample[fresh, None]
            samples[where, -1] = sample
        if first:
            self._fresh[where] = False

    def build(self, inputs: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """The observation of the newest sample.

        Args:
            inputs: `[B, elements]` per input signal.

        Returns:
            `[B, history, *shape]` per signal, copies.

        Raises:
            KeyError: an input is missing.
            ValueError: an input has another shape than its signal.
            RuntimeError: a row has had no sample since its reset.
        """
        if np.count_nonzero(self._fresh):
            raise RuntimeError(f"row {int(np.argmax(self._fresh))} has had no sample since its reset; push one first")
        observation: dict[str, Array] = {}
        for signal in self.contract.observation:
            if signal.source == "input":
                if inputs is None or signal.name not in inputs:
                    raise KeyError(f"input {signal.name!r} is missing; given: {', '.join(inputs or ()) or 'none'}")
                value = np.asarray(inputs[signal.name], dtype=signal.dtype)
                if value.shape != (self._batch, *signal.shape):
                    raise ValueError(f"input {signal.name!r} must have shape {[self._batch, *signal.shape]}, got {list(value.shape)}")
                observation[signal.name] = (
                    value[:, None].copy() if signal.history == 1 else np.repeat(value[:, None], signal.history, axis=1)
                )
            else:
                observation[signal.name] = self._samples[signal.name][:, :: signal.stride].copy()
        return observation

    def _neutral(self, measurement: Measurement) -> Array:
        """What counts as executed before the first command: standing still."""
        if self.contract.mode == "position":
            return reorder(measurement.position, measurement.joints, self._action_joints)
        return np.zeros((measurement.batch, len(self._action_joints)))

    def _link_poses(self, measurement: Measurement) -> Mapping[str, Array]:
        """Measured poses, and those of the robot's links by forward kinematics; `[B, 3]` where only positions are asked for."""
        if self._kinematics is None:
            return measurement.poses
        poses = dict(measurement.poses)
        if self._points:
            poses |= self._kinematics.positions(measurement.joints, measurement.position, self._points)
        if self._frames:
            frames = self._kinematics.poses(measurement.joints, measurement.position, self._frames)
            poses |= {name: pose.vector() for name, pose in frames.items()}
        return poses

    def _advance_recurrences(self, measurement: Measurement, where: Any, fresh: Array) -> dict[str, Array]:
        values = {}
        for name, recurrence in self._recurrences.items():
            state = self._states[name][where]
            after, value = recurrence.update(state, measurement, self.contract.control_period)
            if np.count_nonzero(fresh):
                first, first_value = recurrence.update(state, measurement, 0.0)
                after, value = np.where(_over(fresh, state), first, after), np.where(fresh[:, None], first_value, value)
            self._states[name] = self._states[name].astype(np.result_type(state, after))
            self._states[name][where] = after
            values[name] = value
        return values


def _sample(signal: Signal, measurement: Measurement, poses: Mapping[str, Array]) -> Array:
    match signal.source:
        case "joint_position":
            return reorder(measurement.position, measurement.joints, signal.elements)
        case "joint_velocity":
            return reorder(measurement.velocity, measurement.joints, signal.elements)
        case "joint_effort":
            if measurement.effort is None:
                raise KeyError(f"signal {signal.name!r} needs joint efforts, which this plant does not measure")
            return reorder(measurement.effort, measurement.joints, signal.elements)
        case "image":
            return _named(measurement.images, signal, "image")
        case "pose":
            return _components(_named(poses, signal, "pose"), signal)
        case "twist":
            return _components(_named(measurement.twists, signal, "twist"), signal)
        case "wrench":
            return _components(_named(measurement.wrenches, signal, "wrench"), signal)
    raise KeyError(f"signal {signal.name!r} has unknown source {signal.source!r}")


def _of_rows(measurement: Measurement, rows: Array) -> Measurement:
    """The sample of some of the rows."""
    groups = ("poses", "twists", "wrenches", "images")
    return Measurement(
        measurement.stamp[rows],
        measurement.joints,
        measurement.position[rows],
        measurement.velocity[rows],
        None if measurement.effort is None else measurement.effort[rows],
        **{group: {name: values[rows] for name, values in getattr(measurement, group).items()} for group in groups},
    )


def _over(rows: Array, values: Array) -> Array:
    """The mask `[B]` in a shape that broadcasts over `values` `[B, …]`."""
    return rows.reshape(-1, *[1] * (values.ndim - 1))


def _named(found: Mapping[str, Array], signal: Signal, what: str) -> Array:
    # Pose and twist of one link are two signals with two names: `base_link` and `base_link_twist`.
    name = signal.name if signal.name in found else signal.name.removesuffix(f"_{what}")
    if name not in found:
        raise KeyError(f"{what} {name!r} is missing from the measurement; there are: {', '.join(found) or 'none'}")
    return found[name]


def _components(vector: Array, signal: Signal) -> Array:
    names = COMPONENTS[signal.source]
    if signal.elements == names[: vector.shape[1]]:
        return vector
    return vector[:, [names.index(element) for element in signal.elements]]


def _find_recurrence(name: str) -> Recurrence:
    if name in _recurrences:
        return _recurrences[name]
    if entry := find_installed(_GROUP, name):
        recurrence: Recurrence = load_installed(entry)
        return recurrence
    known = {*SOURCES, *_recurrences, *installed_names(_GROUP)}
    raise ValueError(f"unknown source or recurrence {name!r}; {strict.suggest(name, known)}")
