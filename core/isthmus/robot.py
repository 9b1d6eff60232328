"""A robot as data: joints in hardware order, limits, servo, cameras, frames and its ROS topics.

A profile is a folder `<name>/` with `robot.yaml` and a URDF. The robot's computer needs it too, so the profiles shipped here are package data;
a user's own folder is searched first (`load_robot(name, folders)`, `--robots DIR` on the command line), and other packages may offer more
(entry-point group `isthmus.robots`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isthmus import strict
from isthmus.installed import find_installed, installed_names, load_installed
from isthmus.limits import Box, Limits
from isthmus.records import Array
from isthmus.signals import CameraSpec

__all__ = [
    "Base",
    "Camera",
    "Hold",
    "Joint",
    "Robot",
    "RosCamera",
    "RosProfile",
    "Servo",
    "SpeedScaling",
    "Thresholds",
    "load_robot",
    "robot_names",
]

MODES = ("position", "velocity", "effort", "twist")
BASES = ("fixed", "floating", "differential")
TRANSPORTS = ("forward_position", "forward_velocity", "forward_effort", "cmd_vel", "trajectory")
"""How commands may reach a robot."""
TWIST = {"vx": "prismatic", "wz": "continuous"}
"""Commanded degrees of freedom of a differential drive and the joint types that give them their units."""


@dataclass(frozen=True, slots=True)
class Servo:
    """The joint's own controller and rotor, as simulators need them.

    Attributes:
        armature: rotor inertia seen at the joint, kg·m² (kg for prismatic joints).
        position_gain: N·m/rad.
        velocity_gain: N·m·s/rad, inside the force-limited actuator.
        no_load_speed: of a DC motor whose torque falls linearly with speed, from `effort` at standstill to nothing here, rad/s; "inf" for a
            torque limit that does not depend on speed.
    """

    armature: float = 0.0
    position_gain: float = 0.0
    velocity_gain: float = 0.0
    no_load_speed: float = math.inf


@dataclass(frozen=True, slots=True)
class Joint:
    """One actuated joint.

    Attributes:
        name: as in the URDF and in `/joint_states`.
        type: "revolute", "continuous" or "prismatic".
        home: position of the home pose, rad or m.
        position: lower and upper limit; infinite for a continuous joint.
        velocity: largest speed, rad/s.
        acceleration: the guard's limit in normal motion, rad/s²; "inf" for none.
        stop_acceleration: deceleration that the joint reaches with its payload, rad/s².
        effort: largest effort, N·m.
        planning_acceleration: what motion planners use, rad/s²; not the guard's limit.
        servo: its controller.
    """

    name: str
    home: float
    velocity: float
    acceleration: float
    stop_acceleration: float
    effort: float
    type: str = "revolute"
    position: tuple[float, float] = (-math.inf, math.inf)
    planning_acceleration: float = math.inf
    servo: Servo = field(default_factory=Servo)

    def __post_init__(self) -> None:
        if self.type not in ("revolute", "continuous", "prismatic"):
            raise ValueError(f"joint {self.name!r}: type must be revolute, continuous or prismatic, got {self.type!r}")
        if not self.position[0] <= self.home <= self.position[1]:
            raise ValueError(f"joint {self.name!r}: home {self.home} is outside its limits {self.position[0]} … {self.position[1]}")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of the guard's monitors. The defaults suit an industrial arm: a robot that needs others must say so, none is without monitors.

    Attributes:
        tracking_lag: seconds by which the measured position lags a constant commanded velocity.
        tracking_tolerance: distance between commanded and measured motion that counts as a dead or runaway motor, rad or m; above lag times
            velocity; "inf" for none.
        frozen_travel: commanded motion during which a measured position stays the same number that counts as frozen, rad or m; "inf" for none.
        oscillation: sign changes of a joint's velocity per second that count as a limit cycle; "inf" for none.
        oscillation_speed: slower motion is not counted, rad/s.
        standstill: speed below which the robot counts as at rest, rad/s.
        runaway_travel: motion against its command or while it is told to rest, or in excess of its velocity limit, after which a joint counts as
            run away, rad or m: more than servo lag, sag under gravity and oscillation; "inf" for none.
    """

    tracking_lag: float = 0.0
    tracking_tolerance: float = 0.35
    frozen_travel: float = 0.03
    oscillation: float = 18.0
    oscillation_speed: float = 0.3
    standstill: float = 0.02
    runaway_travel: float = 0.3


@dataclass(frozen=True, slots=True)
class Base:
    """How the robot's root link is attached to the world.

    Attributes:
        kind: "fixed", "floating" (legs) or "differential" (two driven wheels).
        height: of the root link above flat ground in the home pose, m; simulators put a mobile robot there.
        wheels: left and right wheel joint in the URDF, of a differential drive.
        wheel_radius: m.
        wheel_separation: distance between the wheels' contact points, m.
        wheel_effort: largest torque of a wheel, N·m.
        wheel_gain: of the wheels' velocity servos, N·m·s/rad.
        wheel_armature: inertia of a wheel's rotor seen at the wheel, kg·m²; without it MuJoCo's contacts of a light wheel are soft, and it slips.
        casters: links that slide over the ground without friction.
    """

    kind: str = "fixed"
    height: float = 0.0
    wheels: tuple[str, ...] = ()
    wheel_radius: float = 0.0
    wheel_separation: float = 0.0
    wheel_effort: float = 0.0
    wheel_gain: float = 0.0
    wheel_armature: float = 0.0
    casters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in BASES:
            raise ValueError(f"base: unknown kind {self.kind!r}; {strict.suggest(self.kind, BASES)}")
        numbers = ("wheel_radius", "wheel_separation", "wheel_effort", "wheel_gain", "wheel_armature")
        if self.kind == "differential":
            if len(self.wheels) != 2:
                raise ValueError(f"base: a differential drive has two wheels, left and right, got {', '.join(self.wheels) or 'none'}")
            for name in numbers[:-1]:
                if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                    raise ValueError(f"base: {name} must be > 0, got {getattr(self, name)}")
        elif given := [name for name in ("wheels", "casters", *numbers) if getattr(self, name)]:
            raise ValueError(f"base: a {self.kind} base has no {', '.join(given)}")


@dataclass(frozen=True, slots=True)
class Hold:
    """How an effort-controlled robot is held: kp (q₀ − q) − kd q̇, plus the gravity torque if `gravity`; kp = 0 means damping only.

    Attributes:
        kp: one per joint, N·m/rad.
        kd: one per joint, N·m·s/rad; with the control period T and the joint's inertia I at most about I / T.
        gravity: whether the gravity torque is added.
    """

    kp: tuple[float, ...]
    kd: tuple[float, ...]
    gravity: bool

    def __post_init__(self) -> None:
        for name in ("kp", "kd"):
            if not all(value >= 0 for value in getattr(self, name)):
                raise ValueError(f"hold: {name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera fixed to a link.

    Attributes:
        name: name of the image signal.
        link: link that carries it.
        position: in the link's frame, m.
        look_at: point in the link's frame that the optical axis goes through, m.
        field_of_view: vertical, rad.
        spec: size and encoding.
    """

    name: str
    link: str
    position: tuple[float, float, float]
    look_at: tuple[float, float, float]
    field_of_view: float
    spec: CameraSpec


@dataclass(frozen=True, slots=True)
class SpeedScaling:
    """Where a robot says how fast it may go: std_msgs/Float64, in percent by some drivers, 0 … 1 by others.

    Attributes:
        topic: relative, as those of `RosProfile`.
        full: what it says at full speed; > 0.
        tolerance: anything that differs from full by more than this is not full speed; in its unit, and less; None is a hundredth of it.
        timeout: silence after which it is not believed any more, s; "inf" for never.
    """

    topic: str
    full: float = 100.0
    tolerance: float | None = None
    timeout: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.full < math.inf:
            raise ValueError(f"speed_scaling: full must be a number > 0, got {self.full}")
        if self.tolerance is not None and not 0 <= self.tolerance < self.full:
            raise ValueError(f"speed_scaling: tolerance must be >= 0 and less than full ({self.full}), got {self.tolerance}")
        if not self.timeout > 0:
            raise ValueError(f"speed_scaling: timeout must be > 0 s, got {self.timeout} s")

    def is_full(self, scaling: float) -> bool:
        """Whether what the robot says means full speed; NaN does not, nor do percents where 0 … 1 is expected."""
        return abs(scaling - self.full) <= (self.full / 100 if self.tolerance is None else self.tolerance)


@dataclass(frozen=True, slots=True)
class RosCamera:
    """Raw pictures of a camera, as its driver publishes them: sensor_msgs/Image.

    Attributes:
        topic: relative, as those of `RosProfile`; "" is `<camera>/image_raw`.
        height: rows of a raw picture; 0 means those of the camera's spec.
        width: columns of a raw picture; 0 means those of the camera's spec.
        encoding: of a raw picture, a key of `isthmus.images.ENCODINGS`; "" means that of the camera's spec.
    """

    topic: str = ""
    height: int = 0
    width: int = 0
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class RosProfile:
    """Where the robot listens and speaks in ROS 2. Topics are relative and resolved in `robot_namespace`.

    Attributes:
        state_topic: sensor_msgs/JointState.
        state_rate: Hz at which the driver publishes it.
        command_topics: command mode → topic of a std_msgs/Float64MultiArray in the joint order of `command_joints`; of a
            geometry_msgs/TwistStamped for twists. Positions and velocities may be without one where `transports` has `trajectory`.
        command_joints: the controller's joint order; empty means the profile's.
        stop_services: std_srvs/Trigger services that end external control.
        odometry_topic: nav_msgs/Odometry of a mobile robot; "" for none.
        transports: transport → topic, of transports that `command_topics` does not name: `trajectory` is a trajectory_msgs/JointTrajectory.
        transport: the one that guard_node uses unless told otherwise, where it carries the mode; "" is the topic in `command_topics`.
        controllers: transport → name of the node that obeys it, where that is not what its topic begins with (see `controller_of`); "*" for any
            node that does more than look on.
        speed_scaling: how fast the robot may go; None if it does not say.
        program_running: std_msgs/Bool, latched: whether the robot's program runs, so that it obeys; "" if it does not say.
        cameras: camera → its raw pictures, where they are not as `RosCamera` assumes.
        effort_holds: whether the driver holds the robot by itself when efforts stop coming; without it efforts are refused.
    """

    command_topics: Mapping[str, str]
    state_topic: str = "joint_states"
    state_rate: float = 100.0
    command_joints: tuple[str, ...] = ()
    stop_services: tuple[str, ...] = ()
    odometry_topic: str = ""
    transports: Mapping[str, str] = field(default_factory=dict)
    transport: str = ""
    controllers: Mapping[str, str] = field(default_factory=dict)
    speed_scaling: SpeedScaling | None = None
    program_running: str = ""
    cameras: Mapping[str, RosCamera] = field(default_factory=dict)
    effort_holds: bool = False

    def __post_init__(self) -> None:
        for transport in self.controllers:
            if transport not in TRANSPORTS:
                raise ValueError(f"ros.controllers: unknown transport {transport!r}; {strict.suggest(transport, TRANSPORTS)}")

    def controller_of(self, transport: str, topic: str) -> str:
        """Name of the node that obeys commands on a relative topic; "*" for any that does more than look on.

        It is what the profile says, else what the topic begins with, as those of ros2_control do; a topic that is a single name tells nothing.
        """
        return self.controllers.get(transport) or (topic.strip("/").split("/")[0] if "/" in topic.strip("/") else "*")

    def camera_topic(self, name: str) -> str:
        """Relative topic of a camera's raw pictures."""
        return self.cameras.get(name, RosCamera()).topic or f"{name}/image_raw"

    def carries(self, mode: str) -> bool:
        """Whether commands of a mode have a topic: one of their own, or that of trajectories, which are made of positions or velocities."""
        return mode in self.command_topics or (mode in ("position", "velocity") and "trajectory" in self.transports)


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
    hardware: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        names = [joint.name for joint in self.joints]
        if len(set(names)) != len(names):
            raise ValueError(f"robot {self.name!r}: joint names must be unique, got {', '.join(names)}")
        if self.hold and not len(self.hold.kp) == len(self.hold.kd) == len(names):
            raise ValueError(
                f"robot {self.name!r}: hold needs {len(names)} kp and kd, one per joint, got {len(self.hold.kp)} and {len(self.hold.kd)}"
            )
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


def robot_names(folders: Sequence[Path] = ()) -> list[str]:
    """Names of the profiles in `folders`, in this package and in others that are installed, sorted."""
    found = {path.parent.name for folder in (*folders, _PACKAGED) for path in folder.glob("*/robot.yaml")}
    return sorted(found.union(installed_names(_GROUP)))


def load_robot(name: str, folders: Sequence[Path] = ()) -> Robot:
    """Read a robot profile.

    Args:
        name: name of the profile's folder.
        folders: searched before the profiles of this package and of others that are installed.

    Raises:
        ValueError: no such robot (the message lists the known ones), two packages have one of that name, or its file is wrong.
    """
    path = _profile(name, folders)
    robot = strict.decode(Robot, strict.load_yaml(path), str(path))
    if robot.name != name:
        raise ValueError(f"{path}: name is {robot.name!r}, the folder is {name!r}")
    robot = dataclasses.replace(robot, folder=str(path.parent))
    if not robot.urdf_path.is_file():
        raise ValueError(f"{path}: URDF {robot.urdf!r} is not beside it")
    return robot


def _profile(name: str, folders: Sequence[Path]) -> Path:
    """Where the profile is."""
    for folder in folders:
        if (path := folder / name / "robot.yaml").is_file():
            return path
    own = _PACKAGED / name / "robot.yaml"
    entry = find_installed(_GROUP, name, own=own.is_file())
    if entry is None:
        if own.is_file():
            return own
        raise ValueError(f"unknown robot {name!r}; {strict.suggest(name, robot_names(folders))}")
    for place in getattr(load_installed(entry), "__path__", ()):
        if (path := Path(place) / name / "robot.yaml").is_file():
            return path
    raise ValueError(f"{_GROUP}: {name!r} is {entry.value}, but there is no {name}/robot.yaml in that package")


_GROUP = "isthmus.robots"
_PACKAGED = Path(__file__).parent / "robots"
