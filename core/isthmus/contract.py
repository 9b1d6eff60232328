"""What a policy consumes and produces: the frozen description that travels inside every artifact.

A contract answers, by name and in SI units, everything that two programs can misunderstand about a policy: which joints in which order, which unit
and frame, how much history, how fast, how many actions per decision, from where it may start and under which limits it was trained.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus import strict
from isthmus.limits import Limits
from isthmus.signals import MEMORY_LIMIT, Signal

if TYPE_CHECKING:
    from isthmus.robot import Robot

__all__ = ["Contract"]

_CHUNK = 100_000  # numbers in one decision
_LEAST_BRAKING = 0.5  # share of the robot's own stop_acceleration

ACTION_MODES = {"joint_position": "position", "joint_velocity": "velocity", "joint_effort": "effort", "twist": "twist", "raw": "raw"}


@dataclass(frozen=True, slots=True)
class Contract:
    """The whole agreement between a policy and whatever runs it.

    Attributes:
        robot: name of the robot profile.
        task: name of the task it was made for.
        observation: the signals that `Policy.act` receives.
        action: the signal that it returns; its source gives the command mode, its bounds are finite.
        start: joint → (position, tolerance): the pose from which the policy may run.
        limits: the guard's limits in training; deployment may be tighter, never looser.
        control_period: seconds between primitive actions.
        horizon: primitive actions per decision; 1 for a reactive policy; times the elements of the action, at most 100 000.

    Raises:
        ValueError: a field does not fit the others, the signals together need more than `MEMORY_LIMIT`, or a decision is too long.
    """

    robot: str
    task: str
    observation: tuple[Signal, ...]
    action: Signal
    limits: Limits
    control_period: float
    horizon: int = 1
    start: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        strict.check_fields(self, "contract: ")
        names = [signal.name for signal in self.observation]
        if not names:
            raise ValueError("a contract needs at least one observation signal")
        if len(set(names)) < len(names):
            raise ValueError(f"signal name {next(name for name in names if names.count(name) > 1)!r} appears twice")
        if (memory := sum(signal.memory for signal in self.observation)) > MEMORY_LIMIT:
            largest = max(self.observation, key=lambda signal: signal.memory)
            raise ValueError(
                f"the observation needs {memory / 1e6:.0f} MB, most of it for signal {largest.name!r} ({largest.memory / 1e6:.0f} MB); "
                f"at most {MEMORY_LIMIT / 1e6:.0f} MB are allowed"
            )
        if self.action.source not in ACTION_MODES:
            raise ValueError(f"source of the action must be one of {', '.join(ACTION_MODES)}, got {self.action.source!r}")
        if not all(math.isfinite(bound) for bound in (*self.action.low, *self.action.high)):
            raise ValueError(f"bounds of the action must be finite, got {self.action.low} and {self.action.high}")
        if self.action.history != 1 or self.action.stride != 1:
            raise ValueError("the action has no history; chunks are described by horizon")
        if self.limits.joints != self.action.elements:
            raise ValueError(
                f"limits and action must name the same joints in the same order, got {self.limits.joints} and {self.action.elements}"
            )
        for signal in self.observation:
            if signal.source == "previous_action" and (signal.elements != self.action.elements or signal.unit != self.action.unit):
                raise ValueError(f"signal {signal.name!r}: a previous action has the elements and the unit of the action")
        if not (math.isfinite(self.control_period) and self.control_period > 0):
            raise ValueError(f"control_period must be > 0 s, got {self.control_period} s")
        if self.horizon < 1:
            raise ValueError(f"horizon must be >= 1, got {self.horizon}")
        if self.horizon * len(self.action.elements) > _CHUNK:
            raise ValueError(f"horizon × actions must be <= {_CHUNK}, got {self.horizon} × {len(self.action.elements)}")
        for joint, (value, tolerance) in self.start.items():
            if not (math.isfinite(value) and tolerance > 0):
                raise ValueError(f"start of {joint} must be a finite position and a tolerance > 0, got {value} and {tolerance}")

    @property
    def mode(self) -> str:
        """Command mode of the action: "position", "velocity", "effort" or "twist"; "raw" in an outside suite, whose actions no robot understands."""
        return ACTION_MODES[self.action.source]

    @property
    def inputs(self) -> tuple[Signal, ...]:
        """The observation signals that come from outside the robot, such as a goal."""
        return tuple(signal for signal in self.observation if signal.source == "input")

    @property
    def no_robot(self) -> str:
        """Why no robot can run a policy with raw actions, in one sentence; "" for all other policies."""
        if self.mode != "raw":
            return ""
        return f"the policy was made for {self.task!r}, whose actions are in a scale of their own, so no robot can run it"

    def signal(self, name: str) -> Signal:
        """The observation signal of that name.

        Raises:
            KeyError: there is none; the message lists those that exist.
        """
        for signal in self.observation:
            if signal.name == name:
                return signal
        raise KeyError(f"unknown signal {name!r}; {strict.suggest(name, [signal.name for signal in self.observation])}")

    def to_json(self) -> bytes:
        """The canonical form: equal contracts give equal bytes, whether a number was written as 1 or as 1.0."""
        return strict.canonical_json(Contract.from_data(strict.encode(self)))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_data(cls, data: Any, where: str = "contract") -> Contract:
        """Build a contract from plain data.

        Raises:
            ValueError: an unknown or missing key, a wrong unit, NaN or unordered limits; the message names the place.
        """
        return strict.decode(cls, data, where)

    @classmethod
    def from_json(cls, text: str | bytes, where: str = "contract") -> Contract:
        """Parse JSON; duplicate keys are errors, and everything that `from_data` refuses."""
        return cls.from_data(strict.load_json(text, where), where)

    @classmethod
    def from_yaml(cls, path: Path) -> Contract:
        """Read a YAML file; duplicate keys are errors, and everything that `from_data` refuses."""
        return cls.from_data(strict.load_yaml(path), str(path))

    def diff(self, other: Contract) -> list[str]:
        """Lines a person can act on, one per difference; empty if the digests are equal."""
        lines = [
            f"{name} is {getattr(self, name)!r} here, {getattr(other, name)!r} there"
            for name in ("robot", "task", "control_period", "horizon")
            if getattr(self, name) != getattr(other, name)
        ]
        mine = {signal.name: signal for signal in self.observation}
        theirs = {signal.name: signal for signal in other.observation}
        lines += [f"signal {name!r} is observed here, not there" for name in mine if name not in theirs]
        lines += [f"signal {name!r} is observed there, not here" for name in theirs if name not in mine]
        if not lines and list(mine) != list(theirs):
            lines.append(f"signal order differs: {', '.join(mine)} here, {', '.join(theirs)} there")
        for name in mine:
            if name in theirs:
                lines += _signal_diff(f"signal {name!r}", mine[name], theirs[name])
        lines += _signal_diff("action", self.action, other.action)
        lines += _mapping_diff("start", strict.encode(self.start), strict.encode(other.start))
        lines += _mapping_diff("limits", strict.encode(self.limits), strict.encode(other.limits))
        return lines

    def fits(self, robot: Robot) -> list[str]:
        """Why a policy with this contract cannot run on `robot`; empty if it can.

        Joints are bound by name, so their order is no reason. Nor is a robot with tighter limits than those of training: the guard enforces the
        tighter of both (`Limits.tightest`).
        """
        if self.mode == "raw":
            return [self.no_robot]
        problems = []
        if robot.name != self.robot:
            problems.append(f"policy was made for robot {self.robot!r}, this is {robot.name!r}")
        joints = {joint.name: joint for joint in robot.joints}
        has = f"robot {robot.name!r} does not have (its joints: {', '.join(joints)})"
        for signal in (self.action, *self.observation):
            if signal is self.action or signal.source.startswith("joint_") or signal.source == "previous_action":
                problems += [f"{signal.name!r} expects joint {name!r}, which {has}" for name in signal.elements if name not in joints]
                problems += _unit_problems(signal, robot, self.mode)
            if signal.frame not in ("", robot.base_frame) and not (signal.source == "twist" and signal.frame == "base_link"):
                problems.append(f"signal {signal.name!r} is in frame {signal.frame!r}; this robot's base frame is {robot.base_frame!r}")
            if signal.source == "image" and signal.name not in {camera.name for camera in robot.cameras}:
                problems.append(
                    f"signal {signal.name!r} needs camera {signal.name!r}; {strict.suggest(signal.name, [c.name for c in robot.cameras])}"
                )
        problems += [f"start names joint {name!r}, which {has}" for name in self.start if name not in joints]
        if self.mode not in robot.command_modes:
            problems.append(f"policy commands {self.mode}; robot {robot.name!r} accepts {', '.join(robot.command_modes)}")
        low, high = robot.control_period
        if not low <= self.control_period <= high:
            problems.append(
                f"policy runs every {self.control_period:g} s; robot {robot.name!r} can be commanded every {low:g} to {high:g} s"
            )
        if not problems:
            problems += [
                f"policy does not command joint {name!r}, but robot {robot.name!r} is commanded in all its joints at once"
                for name in joints
                if name not in self.action.elements
            ]
            problems += _braking_problems(self.limits, robot)
            try:
                self.limits.tightest(robot.limits())
            except ValueError as error:
                problems.append(f"nothing is left of the limits of training within the robot's: {error}")
        return list(dict.fromkeys(problems))


def _braking_problems(limits: Limits, robot: Robot) -> list[str]:
    """A file that looks further ahead than the robot needs is careful; one that is far from the robot was made for another."""
    own = robot.limits()
    allowed = {joint: _LEAST_BRAKING * value for joint, value in zip(own.joints, own.stop_acceleration, strict=True)}
    return [
        f"stop_acceleration of {joint} is {value:g}, allowed is {allowed[joint]:g} or more, half of that of robot {robot.name!r}"
        for joint, value in zip(limits.joints, limits.stop_acceleration, strict=True)
        if value < allowed[joint]
    ]


def _unit_problems(signal: Signal, robot: Robot, mode: str) -> list[str]:
    if mode == "twist" and not signal.source.startswith("joint_"):
        return []  # a twist, and the one executed before it, is in m/s as a whole; its angular part is in rad/s
    quantity = signal.source.removeprefix("joint_") if signal.source.startswith("joint_") else mode
    joints = {joint.name: joint for joint in robot.joints}
    return [
        f"signal {signal.name!r} has {name} in {unit}, but {name} of {robot.name!r} is {joints[name].type}"
        for name, unit in zip(signal.elements, signal.units, strict=True)
        if name in joints and unit != joints[name].unit(quantity)
    ]


def _signal_diff(at: str, mine: Signal, theirs: Signal) -> list[str]:
    if set(mine.elements) == set(theirs.elements) and mine.elements != theirs.elements:
        moved = next(name for name, other in zip(mine.elements, theirs.elements, strict=True) if name != other)
        here, there = mine.elements.index(moved) + 1, theirs.elements.index(moved) + 1
        return [f"{at}: order differs: {moved} is {_ordinal(here)} here, {_ordinal(there)} there"]
    return [f"{at}: {line}" for line in _mapping_diff("", strict.encode(mine), strict.encode(theirs))]


def _mapping_diff(at: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    prefix = f"{at}." if at else ""
    return [
        f"{prefix}{key} is {mine.get(key)!r} here, {theirs.get(key)!r} there"
        for key in dict.fromkeys((*mine, *theirs))
        if mine.get(key) != theirs.get(key)
    ]


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
