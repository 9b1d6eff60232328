"""The faults that `sim_node` can be given: names, units and bounds, and how "name:=value" is read.

What they do is in `state_faults` (what the robot says) and `motion_faults` (what the robot does); nothing here needs ROS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isthmus import strict
from isthmus.numerals import number

__all__ = ["FAULTS", "MOTION", "FaultKind", "Faults", "parse_faults"]

ALL = "all"
MOTION = ("dead_motor", "runaway", "limit_cycle")
"""Faults of single joints that change what the robot does, in the order in which they are applied."""

_SWITCH = {"true": 1.0, "on": 1.0, "1": 1.0, "false": 0.0, "off": 0.0, "0": 0.0}


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault.

    Attributes:
        description: one line, with the unit.
        form: "switch" (true or false), "number", "joints" (names separated by commas, or "all"), "levels" (joint=number, separated by commas; a
            number alone is for all joints) or "name".
        low: smallest number.
        high: largest number.
        neutral: number that means no fault.
    """

    description: str
    form: str
    low: float = -math.inf
    high: float = math.inf
    neutral: float = 0.0


FAULTS: Mapping[str, FaultKind] = {
    # what the robot says
    "state_delay": FaultKind("joint states come so many seconds late, with their own stamps", "number", 0, 60),
    "state_jitter": FaultKind("joint states come up to so many seconds late, drawn uniformly, in order", "number", 0, 60),
    "state_drop": FaultKind("share of the joint states that never come", "number", 0, 1),
    "state_drop_next": FaultKind("so many joint states from now on never come", "number", 0, 1e9),
    "silent": FaultKind("no joint states", "switch"),
    "freeze_values": FaultKind("positions, velocities and efforts of these joints stay as they are, stamps go on", "joints"),
    "stamp_offset": FaultKind("seconds added to the stamps", "number"),
    "stamp_rate": FaultKind("how fast stamps advance from now on: 0 stopped, 0.5 half speed, -1 backwards", "number", -10, 10, 1.0),
    "reorder": FaultKind("joints in the opposite order", "switch"),
    "extra_joint": FaultKind("name of a joint that the robot does not have, at 0.7 rad", "name"),
    "missing_joint": FaultKind("these joints are not named", "joints"),
    "nan_position": FaultKind("positions of these joints are not numbers", "joints"),
    "nan_velocity": FaultKind("velocities of these joints are not numbers", "joints"),
    "position_offset": FaultKind("rad or m added to positions", "levels"),
    "degrees": FaultKind("positions and velocities in degrees", "switch"),
    "empty_velocity": FaultKind("no velocities", "switch"),
    "empty_effort": FaultKind("no efforts", "switch"),
    "silent_odometry": FaultKind("no odometry", "switch"),
    "nan_odometry": FaultKind("twists of the odometry are not numbers", "switch"),
    "odometry_offset": FaultKind("seconds added to the stamps of the odometry", "number"),
    "silent_scaling": FaultKind("nothing is said about the speed scaling", "switch"),
    "clock_offset": FaultKind("seconds added to /clock", "number"),
    "clock_rate": FaultKind("how fast /clock advances from now on: 0 stopped, -1 backwards", "number", -10, 10, 1.0),
    "freeze_images": FaultKind("pictures stay as they are, stamps go on", "switch"),
    "silent_cameras": FaultKind("no pictures", "switch"),
    "image_scale": FaultKind("share of the rows and columns that pictures have", "number", 0.1, 1, 1.0),
    "image_bgr": FaultKind("pictures are encoded as bgr8", "switch"),
    # what the robot does
    "dead_motor": FaultKind("these joints do not follow commands: they stay, or give no effort", "joints"),
    "runaway": FaultKind("joints move at rad/s (m/s, or N·m of an effort-controlled robot), whatever is commanded", "levels"),
    "limit_cycle": FaultKind("amplitude of an oscillation added to joint commands, rad/s (m/s, N·m)", "levels"),
    "limit_cycle_frequency": FaultKind("of these oscillations, Hz", "number", 0.1, 1000, 10.0),
    "protective_stop": FaultKind("the robot stands, its program does not run, speed scaling is 0", "switch"),
    "speed_scaling": FaultKind("share of the speed, as with the slider of a teach pendant", "number", 0, 1, 1.0),
    # what reaches the robot
    "ignore_commands": FaultKind("commands are not taken", "switch"),
    "no_subscriber": FaultKind("nothing subscribes the command topic", "switch"),
    "command_qos": FaultKind("the command topic is subscribed with a durability that publishers do not offer", "switch"),
}
"""Every fault by name."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults that are switched on.

    Attributes:
        numbers: name → number, of switches and numbers.
        levels: name → joint → number, of faults of single joints; 1 where they have no number.
        names: name → text.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        """Whether a fault is switched on, in whatever joint."""
        return self.value(name) != FAULTS[name].neutral

    def number(self, name: str) -> float:
        """Number of a fault, its neutral one if it is not given."""
        return self.numbers.get(name, FAULTS[name].neutral)

    def joints(self, name: str) -> Mapping[str, float]:
        """Joints that a fault concerns, with their numbers."""
        return self.levels.get(name, {})

    def value(self, name: str) -> object:
        """What was given, for comparison with other faults; the neutral number if nothing was."""
        return self.levels.get(name) or self.names.get(name) or self.number(name)

    def texts(self) -> Mapping[str, str]:
        """Name → value, as text."""
        joints = {name: ",".join(f"{joint}={level:g}" for joint, level in levels.items()) for name, levels in self.levels.items()}
        return {**{name: f"{number:g}" for name, number in self.numbers.items()}, **joints, **self.names}


def parse_faults(entries: Sequence[str], joints: Sequence[str], reported: Sequence[str] | None = None) -> Faults:
    """Faults from entries `name:=value`; empty entries are skipped.

    Args:
        entries: of the parameter `fault`.
        joints: names of the joints that are commanded, for faults of motion.
        reported: names of the joints in joint states, for faults of those, where they are others: the wheels of a differential drive.

    Raises:
        ValueError: an unknown name or joint, or a value of another form or out of bounds; the message names the valid ones.
    """
    numbers: dict[str, float] = {}
    levels: dict[str, Mapping[str, float]] = {}
    names: dict[str, str] = {}
    for entry in entries:
        if not entry:
            continue
        name, separator, value = entry.partition(":=")
        if not separator:
            raise ValueError(f"fault must be a list of name:=value, got {entry!r}")
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; {strict.suggest(name, FAULTS)}")
        if name in {**numbers, **levels, **names}:
            raise ValueError(f"fault {name} is given twice")
        kind = FAULTS[name]
        if kind.form == "switch":
            if value.lower() not in _SWITCH:
                raise ValueError(f"fault {name} must be true or false, got {value!r}")
            numbers[name] = _SWITCH[value.lower()]
        elif kind.form == "number":
            numbers[name] = _number(name, value, kind)
        elif kind.form == "name":
            names[name] = value
        else:
            levels[name] = _levels(name, value, kind, joints if name in MOTION or reported is None else reported)
    return Faults(numbers, levels, names)


def _number(name: str, text: str, kind: FaultKind) -> float:
    try:
        level = number(text)
    except ValueError:
        level = math.nan
    if not (math.isfinite(level) and kind.low <= level <= kind.high):
        bounds = "" if math.isinf(kind.low) else f" from {kind.low:g} to {kind.high:g}"
        raise ValueError(f"fault {name} must be a number{bounds}, got {text!r}")
    return level


def _levels(name: str, text: str, kind: FaultKind, joints: Sequence[str]) -> Mapping[str, float]:
    found = {}
    for part in text.split(","):
        joint, separator, typed = part.strip().partition("=")
        if kind.form == "levels" and not separator:
            joint, typed = ALL, joint
        if kind.form == "joints" and separator:
            raise ValueError(f"fault {name} takes joints without a number, got {part!r}")
        if joint != ALL and joint not in joints:
            raise ValueError(f"fault {name}: unknown joint {joint!r}; {strict.suggest(joint, [*joints, ALL])}")
        level = _number(name, typed, kind) if kind.form == "levels" else 1.0
        found.update(dict.fromkeys(joints if joint == ALL else [joint], level))
    return found
