"""A whole robot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isthmus import strict
from isthmus.ladder import check_rungs
from isthmus.limits import Box, Limits
from isthmus.records import Array
from isthmus.robot.interface import RosProfile
from isthmus.robot.mechanics import SLOW, Base, Camera, Hold, Joint, Thresholds
from isthmus.signals import joined_units

__all__ = ["Robot"]

MODES = ("position", "velocity", "effort", "twist")
TWIST = {"vx": "prismatic", "wz": "continuous"}
"""Commanded degrees of freedom of a differential drive and the joint types that give them their units."""


@dataclass(frozen=True, slots=True)
class Robot:
    """Everything about a robot that is not a policy's business to know by heart.

    Attributes:
        name: name of the profile.
        description: one line.
        urdf: file beside the profile.
        base_frame: frame that poses are expressed in: the root link, or "odom" (the world) of a mobile robot.
        tool_frame: link that carries the tool.
        joints: actuated joints in hardware order; of a differential drive the commanded degrees of freedom vx and wz instead, whose positions are
            the distance travelled (m) and the angle turned (rad) by the wheels.
        command_modes: modes that it accepts, preferred first; "twist" is that of a differential drive.
        base: how its root link is attached to the world.
        control_period: shortest and longest period at which it can be commanded, s.
        monitors: thresholds of the guard's monitors.
        hold: hold of an effort-controlled robot, needed for effort commands; kp = 0 means damping only.
        command_delay: time from a command to its effect, s.
        command_lag: time constant with which the drives follow a command, s.
        workspace_points: links whose origins must stay in the workspace box.
        workspace: the box, or None.
        cameras: cameras it carries.
        ros: topics; None if it has no ROS interface.
        mirror: of a robot that is alike on both sides of the plane of its x and z axes, each joint and the one that it is in a mirror, with a
            minus sign before it where that one's angle has the other sign; empty for any other robot.
        evidence: rungs of `isthmus.ladder` that a policy must have climbed before `deploy` brings it onto the robot.
        hardware: what of this profile was run on the real robot, one line; "" means nothing.
        folder: where the profile was read from.
    """

    name: str
    description: str
    urdf: str
    base_frame: str
    tool_frame: str
    joints: tuple[Joint, ...]
    command_modes: tuple[str, ...]
    base: Base = field(default_factory=Base)
    control_period: tuple[float, float] = (0.001, 1.0)
    monitors: Thresholds = field(default_factory=Thresholds)
    hold: Hold | None = None
    command_delay: float = 0.0
    command_lag: float = 0.0
    workspace_points: tuple[str, ...] = ()
    workspace: Box | None = None
    cameras: tuple[Camera, ...] = ()
    ros: RosProfile | None = None
    mirror: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    hardware: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        strict.check_fields(self, f"robot {self.name!r}: ")
        names = [joint.name for joint in self.joints]
        for what, given in (("joints", names), ("command_modes", self.command_modes)):
            if not given:
                raise ValueError(f"robot {self.name!r}: {what}: a robot needs at least one, got none")
        if len(set(names)) != len(names):
            raise ValueError(f"robot {self.name!r}: joint names must be unique, got {', '.join(names)}")
        if self.hold and not len(self.hold.kp) == len(self.hold.kd) == len(names):
            raise ValueError(
                f"robot {self.name!r}: hold needs {len(names)} kp and kd, one per joint, got {len(self.hold.kp)} and {len(self.hold.kd)}"
            )
        shortest, longest = self.control_period
        if not 0 < shortest <= longest < math.inf:
            raise ValueError(
                f"robot {self.name!r}: control_period must be the shortest and the longest, > 0 s, got {shortest} and {longest}"
            )
        for name in ("command_delay", "command_lag"):
            strict.require(f"robot {self.name!r}: {name}", getattr(self, name), least=0)
        check_rungs(f"robot {self.name!r}: evidence", self.evidence)
        slowest = min(self.joints, key=lambda joint: joint.velocity)
        if (still := self.monitors.standstill) > (most := SLOW * slowest.velocity):
            raise ValueError(
                f"robot {self.name!r}: monitors: standstill must be at most {most:g}, a fifth of the smallest velocity limit "
                f"({slowest.velocity:g} of {slowest.name!r}), got {still:g}"
            )
        if len(set(self.command_modes)) < len(self.command_modes):
            raise ValueError(f"robot {self.name!r}: command_modes must be unique, got {', '.join(self.command_modes)}")
        for mode in self.command_modes:
            if mode not in MODES:
                raise ValueError(f"robot {self.name!r}: unknown command mode {mode!r}; {strict.suggest(mode, MODES)}")
        if (self.base.kind == "fixed") == (self.base_frame == "odom"):
            raise ValueError(f"robot {self.name!r}: base_frame must be 'odom' on a mobile base and only there, got {self.base_frame!r}")
        twist = self.base.kind == "differential"
        if twist != ("twist" in self.command_modes) or (twist and {joint.name: joint.type for joint in self.joints} != TWIST):
            raise ValueError(
                f"robot {self.name!r}: a differential drive, and no other robot, has command mode twist and the joints vx (prismatic) and "
                f"wz (continuous); base is {self.base.kind}, modes are {', '.join(self.command_modes)}, joints are {', '.join(names)}"
            )
        if self.base.kind != "fixed" and self.workspace:
            raise ValueError(f"robot {self.name!r}: a workspace box needs a fixed base")
        if self.ros:
            for mode in self.command_modes:
                if not self.ros.carries(mode):
                    raise ValueError(f"robot {self.name!r}: ros.command_topics has no topic for mode {mode!r}")
            for name in self.ros.cameras:
                if name not in (known := [camera.name for camera in self.cameras]):
                    raise ValueError(f"robot {self.name!r}: ros.cameras names camera {name!r}; {strict.suggest(name, known)}")
            if self.ros.command_joints and set(self.ros.command_joints) != set(names):
                raise ValueError(
                    f"robot {self.name!r}: ros.command_joints must name the robot's joints, got {', '.join(self.ros.command_joints)}"
                )

        if self.mirror:
            images = {name: image.removeprefix("-") for name, image in self.mirror.items()}
            if set(images) != set(names) or any(images.get(image) != name for name, image in images.items()):
                raise ValueError(
                    f"robot {self.name!r}: mirror must name every joint once, and each the one that names it, got {dict(self.mirror)}"
                )
            if odd := [name for name in names if self.mirror[name].startswith("-") != self.mirror[images[name]].startswith("-")]:
                raise ValueError(f"robot {self.name!r}: mirror has a minus sign for {odd[0]!r} and none for {images[odd[0]]!r}")

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names in hardware order."""
        return tuple(joint.name for joint in self.joints)

    @property
    def urdf_path(self) -> Path:
        """The URDF file."""
        return Path(self.folder) / self.urdf

    @property
    def home(self) -> Array:
        """Home pose, `[J]`, rad or m."""
        return np.array([joint.home for joint in self.joints])

    def unit(self, quantity: str) -> str:
        """SI units of the joints' "position", "velocity" or "effort", as `isthmus.signals.Signal` has them."""
        return joined_units(joint.unit(quantity) for joint in self.joints)

    def limits(self) -> Limits:
        """The robot's own limits; tasks may tighten them."""
        return Limits(
            joints=self.joint_names,
            position_low=tuple(joint.position[0] for joint in self.joints),
            position_high=tuple(joint.position[1] for joint in self.joints),
            velocity=tuple(joint.velocity for joint in self.joints),
            acceleration=tuple(joint.acceleration for joint in self.joints),
            stop_acceleration=tuple(joint.stop_acceleration for joint in self.joints),
            effort=tuple(joint.effort for joint in self.joints),
            workspace=self.workspace,
        )
