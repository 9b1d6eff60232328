"""Parameters of `sim_node`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.numerals import number
from isthmus_ros.common.parameters import choice, declare
from isthmus_ros.guard.transports import TRANSPORTS
from isthmus_ros.robot_sim.faults import FAULTS
from isthmus_ros.robot_sim.robot import HOME
from isthmus_sim.plants import plant_names
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task

__all__ = ["Settings", "declare_settings", "parse_physical", "read_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the parameters of `sim_node` ask for.

    Attributes:
        task: names the robot and draws the episodes.
        engine: physics engine.
        stepped: one control period per executed command, instead of wall time.
        state_rate: of joint states in wall time, Hz; 0 means the profile's, at most 100.
        transport: to the robot's controller; "" is the one that holds commands of the contract's mode.
        command_timeout: s until a held velocity, effort or twist becomes zero in wall time; 0 means never.
        camera_rate: pictures per second; 0 means none.
        transforms: publish transforms.
        namespace: in which the profile's topics are resolved.
        prefix: of joint names on topics.
        physical: parameters that differ from the task's own.
    """

    task: Task
    engine: str
    stepped: bool
    state_rate: float = 0.0
    transport: str = ""
    command_timeout: float = 0.5
    camera_rate: float = 0.0
    transforms: bool = True
    namespace: str = "/"
    prefix: str = ""
    physical: Mapping[str, float] | None = None


def declare_settings(node: Any) -> None:
    """Declare the parameters, those of the node itself too."""
    declare(node, "task", "", "task that names the robot and draws the episodes")
    declare(node, "plant", "pybullet", f"physics engine: {', '.join(plant_names())}")
    declare(node, "joint_prefix", "", "put before the names of joints and frames on topics, as tf_prefix of ur_robot_driver")
    declare(node, "clock", "wall", "wall: real time; stepped: one control period per executed command")
    declare(node, "autostart", True, "configure and activate without being asked")
    declare(node, "state_rate", 0.0, "rate of joint states in wall time, Hz; 0 means the profile's, at most 100", low=0, high=1000)
    declare(node, "transport", "", f"controller that listens: {', '.join(TRANSPORTS)}; empty means the forward one of the task's mode")
    declare(node, "command_timeout", 0.5, "s without a command until a held velocity or effort becomes zero; 0 means never", low=0, high=60)
    declare(node, "camera_rate", 0.0, "pictures of each of the robot's cameras, Hz; 0 means none", low=0, high=120)
    declare(node, "tf", True, "publish the transform from odom to a mobile robot's base, where tf2_msgs is installed")
    declare(
        node,
        "episode_seed",
        HOME,
        "seed of the episode that ~/reset begins; -1 means home, at rest",
        low=-1,
        high=2**31 - 1,
        fixed=False,
    )
    declare(node, "parameters", [""], 'physical parameters that differ from the nominal ones, as "name:=value"')
    declare(node, "fault", [""], f'faults that are switched on, as "name:=value": {", ".join(FAULTS)}', fixed=False)


def read_settings(node: Any) -> Settings:
    """Settings of a node with these parameters.

    Raises:
        ValueError: an unknown task or clock, or physical parameters of another form.
    """
    same = ("state_rate", "transport", "command_timeout", "camera_rate")
    values = {name: node.get_parameter(name).value for name in (*same, "task", "plant", "joint_prefix", "tf", "parameters")}
    return Settings(
        task=get_task(values["task"]),
        engine=values["plant"],
        stepped=choice(node, "clock", ("wall", "stepped")) == "stepped",
        namespace=node.get_namespace(),
        prefix=values["joint_prefix"],
        transforms=values["tf"],
        physical=parse_physical(values["parameters"]),
        **{name: values[name] for name in same},
    )


def parse_physical(entries: Sequence[str]) -> dict[str, float]:
    """Physical parameters from entries `name:=value`; empty entries are skipped.

    Raises:
        ValueError: an entry is not of that form.
    """
    physical = {}
    for entry in entries:
        name, separator, value = entry.partition(":=")
        if not entry:
            continue
        try:
            physical[name] = number(value)
        except ValueError:
            separator = ""
        if not separator:
            raise ValueError(f"parameters must be a list of name:=value with a number, got {entry!r}")
    return physical
