"""The arguments of a bringup: one table for `ros2 launch … --show-args`, `isthmus deploy --help` and the documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus import strict
from isthmus.numerals import plain

__all__ = ["ARGUMENTS", "USES", "Argument", "Value", "arguments_of", "defaults_of", "read_arguments"]

Value = str | bool | float | tuple[str, ...]

USES = {
    "sim": "a simulated robot and, with policy:=, the nodes that command it",
    "deploy": "the nodes that command a robot whose driver already runs",
    "identify": "an excitation for identification: played under the guard and recorded; then the arm is parked and disarmed",
    "evaluate": "a simulated robot, and guard and policy not yet configured, for isthmus eval --plant ros --attach",
    "record": "a recording of everything that a policy, its guard and the robot say; the nodes themselves run already",
}
"""What can be brought up."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a bringup.

    Attributes:
        name: as typed.
        default: value where none is given; its type is the argument's: a tuple is a list of texts.
        description: one line, with the unit.
        choices: the valid values; empty means any.
        low: smallest valid number.
        high: largest valid number.
        uses: uses that have it.
        defaults: use → default, where it differs.
    """

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    uses: tuple[str, ...] = tuple(USES)
    defaults: Mapping[str, Value] = field(default_factory=dict)

    def default_for(self, use: str) -> Value:
        """The default in one use."""
        return self.defaults.get(use, self.default)

    def help_for(self, use: str) -> str:
        """One line: description, choices and default in one use."""
        default = self.default_for(use)
        shown = f"{default:g}" if isinstance(default, float) else str(default).lower() if isinstance(default, bool) else default
        choices = f"; one of {', '.join(filter(None, self.choices))}" if self.choices else ""
        return self.description + choices + (f"; by default {shown}" if shown else "")

    def read(self, value: Value) -> Value:
        """A value of this argument's type, from one or from its text.

        Raises:
            ValueError: it cannot be read, is none of the choices or out of range.
        """
        if isinstance(self.default, bool):
            known = {"true": True, "false": False}
            if str(value).lower() not in known:
                raise ValueError(f"{self.name} must be true or false, got {value!r}")
            return known[str(value).lower()]
        if isinstance(self.default, (int, float)):
            return self._number(value)
        if isinstance(self.default, tuple):
            if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
                raise ValueError(f"{self.name} must be a list of texts, got {value!r}")
            return tuple(value)
        if not isinstance(value, str):
            raise ValueError(f"{self.name} must be a text, got {value!r}; write it in quotes")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} must be one of {', '.join(map(repr, self.choices))}, got {value!r}")
        return value

    def _number(self, value: Value) -> Value:
        kind, noun = (int, "an integer") if isinstance(self.default, int) else (float, "a number")
        fits = plain(value) if isinstance(value, str) else isinstance(value, (int, kind)) and not isinstance(value, bool)
        try:
            number = kind(value) if fits else math.nan  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            number = math.nan
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} must be {noun} in {self.low:.10g} … {self.high:.10g}, got {value!r}")
        return number


_SIMULATED = ("sim", "evaluate")
_STARTED = ("sim", "deploy", "identify")
_COMMANDING = (*_STARTED, "evaluate")

ARGUMENTS = (
    Argument("policy", "", "policy file (policy.isthmus)"),
    Argument("robot", "", "robot profile; empty means the one that the policy names"),
    Argument("robots_dir", "", "folder with robot profiles of your own, searched first"),
    Argument(
        "transport",
        "",
        "how commands reach the robot; empty means the profile's way",
        ("", "trajectory", "forward_position", "forward_velocity", "forward_effort", "cmd_vel"),
        uses=_COMMANDING,
    ),
    Argument(
        "shadow",
        False,
        "decide and record, command nothing: decisions go to policy/shadow, and nothing can be armed",
        uses=_STARTED,
    ),
    Argument(
        "rate_scale", 1.0, "scales the guard's limits of velocity, acceleration and braking, 0.01 … 1", low=0.01, high=1.0, uses=_COMMANDING
    ),
    Argument(
        "allow_missing_evidence",
        False,
        "deploy a policy that lacks evidence which the robot's profile demands: the recorder comes up first and its end ends all",
        uses=("deploy",),
    ),
    Argument("use_sim_time", False, "take the time from /clock"),
    Argument(
        "robot_namespace", "", "namespace of the nodes and of the robot's topics; empty means the one that a launch file pushes, else /"
    ),
    Argument(
        "joint_prefix", "", "prefix of the joints' and frames' names on the robot's topics (ur_robot_driver: tf_prefix)", uses=_COMMANDING
    ),
    Argument(
        "clock",
        "wall",
        "of a simulated robot; wall: real time; stepped: one control period per joint state",
        ("wall", "stepped"),
        uses=(*_SIMULATED, "identify"),
    ),
    Argument("sim", False, "simulate the robot too", uses=("identify",)),
    Argument("task", "", "task that the robot is simulated for; empty means the policy's", uses=(*_SIMULATED, "identify")),
    Argument(
        "plant", "pybullet", "physics engine behind a simulated robot's topics", ("mujoco", "pybullet"), uses=(*_SIMULATED, "identify")
    ),
    Argument(
        "record",
        False,
        "record everything that policy, guard and robot say into one MCAP file, in a process of its own",
        uses=_STARTED,
        defaults={"identify": True},
    ),
    Argument(
        "monitor",
        "off",
        "watch the policy's specification: report a violation, or brake by guard/hold, or by guard/stop",
        ("off", "report", "hold", "stop"),
        uses=("sim", "deploy"),
    ),
    Argument("traces", "", "path prefix of the policy's own MCAP traces, one file per run; empty means none", uses=_COMMANDING),
    Argument("log_dir", "", "folder for the nodes' log files and for recordings; empty means ROS's own, and recordings/ here"),
    Argument("params_file", "", "YAML file of node parameters; the arguments given here win over it"),
    Argument(
        "autostart",
        True,
        "configure and activate the nodes; nothing moves before arming",
        uses=_STARTED,
        defaults={"deploy": False, "identify": False},
    ),
    Argument(
        "accept_no_deadman",
        False,
        "accept that a velocity or effort goes on if the commanding process dies; a simulated robot has a time-out",
        uses=_COMMANDING,
    ),
)


def arguments_of(use: str) -> tuple[Argument, ...]:
    """The arguments of one use, in the table's order.

    Raises:
        ValueError: there is no such use.
    """
    if use not in USES:
        raise ValueError(f"unknown use {use!r}; {strict.suggest(use, USES)}")
    return tuple(argument for argument in ARGUMENTS if use in argument.uses)


def defaults_of(use: str) -> dict[str, Value]:
    """What holds in one use where nothing is given.

    Raises:
        ValueError: there is no such use.
    """
    return {argument.name: argument.default_for(use) for argument in arguments_of(use)}


def read_arguments(use: str, given: Mapping[str, Value]) -> dict[str, Value]:
    """What was given, as values; an empty text counts as not given.

    Defaults are left out: who passes on a default that nobody asked for overrides what somebody did ask for in a file.

    Args:
        use: key of `USES`.
        given: argument → value, or its text.

    Raises:
        ValueError: an unknown use or argument, or a value that is not valid.
    """
    table = {argument.name: argument for argument in arguments_of(use)}
    for name in given:
        if name not in table:
            raise ValueError(f"{use} has no argument {name!r}; {strict.suggest(name, table)}")
    return {name: table[name].read(value) for name, value in given.items() if value != ""}
