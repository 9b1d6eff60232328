"""Where a robot listens and speaks in ROS 2."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus import strict

__all__ = ["RosCamera", "RosProfile", "SpeedScaling"]

TRANSPORTS = ("forward_position", "forward_velocity", "forward_effort", "cmd_vel", "trajectory")
"""How commands may reach a robot."""

COMPRESSED = "/compressed"
"""How topics of compressed pictures end."""

_NAME = r"(?a)[A-Za-z_]\w*(/[A-Za-z_]\w*)*"


@dataclass(frozen=True, slots=True)
class SpeedScaling:
    """Where a robot says how fast it may go: std_msgs/Float64, in percent by some drivers, 0 … 1 by others.

    Attributes:
        topic: relative, as those of `RosProfile`.
        full: what it says at full speed; > 0.
        tolerance: anything that differs from full by more than this is not full speed; in its unit, at most a tenth of it; None is a hundredth of it.
        timeout: silence after which it is not believed any more, s; "inf" for never.
    """

    topic: str
    full: float = 100.0
    tolerance: float | None = None
    timeout: float = 1.0

    def __post_init__(self) -> None:
        strict.check_fields(self, "speed_scaling: ")
        if not 0 < self.full < math.inf:
            raise ValueError(f"speed_scaling: full must be a number > 0, got {self.full}")
        if self.tolerance is not None and not 0 <= self.tolerance <= self.full / 10:
            raise ValueError(f"speed_scaling: tolerance must be 0 … {self.full / 10:g}, a tenth of full, got {self.tolerance}")
        if not self.timeout > 0:
            raise ValueError(f"speed_scaling: timeout must be > 0 s, got {self.timeout} s")

    def is_full(self, scaling: float) -> bool:
        """Whether what the robot says means full speed; NaN does not, nor do percents where 0 … 1 is expected."""
        return abs(scaling - self.full) <= (self.full / 100 if self.tolerance is None else self.tolerance)


@dataclass(frozen=True, slots=True)
class RosCamera:
    """Raw pictures of a camera, as its driver publishes them.

    Attributes:
        topic: relative, as those of `RosProfile`; "" is `<camera>/image_raw`. One that ends with `/compressed`, as image_transport calls it, is of
            sensor_msgs/CompressedImage; any other is of sensor_msgs/Image.
        height: rows of a raw picture; 0 means those of the camera's spec.
        width: columns of a raw picture; 0 means those of the camera's spec.
        encoding: of a raw picture, a key of `isthmus.images.ENCODINGS`; "" means that of the camera's spec.
    """

    topic: str = ""
    height: int = 0
    width: int = 0
    encoding: str = ""

    def __post_init__(self) -> None:
        strict.check_fields(self, "ros.cameras: ")


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
        strict.check_fields(self, "ros: ")
        strict.require("ros: state_rate", self.state_rate, above=0)
        names = {"state_topic": self.state_topic, "odometry_topic": self.odometry_topic, "program_running": self.program_running}
        names |= {f"command_topics.{mode}": topic for mode, topic in self.command_topics.items()}
        names |= {f"transports.{transport}": topic for transport, topic in self.transports.items()}
        names |= {f"stop_services[{index}]": service for index, service in enumerate(self.stop_services)}
        names |= {f"cameras.{camera}.topic": stream.topic for camera, stream in self.cameras.items()}
        names |= {"speed_scaling.topic": self.speed_scaling.topic} if self.speed_scaling else {}
        for what, topic in names.items():
            optional = what in ("odometry_topic", "program_running") or what.startswith("cameras.")
            if not (re.fullmatch(_NAME, topic) or (optional and not topic)):
                raise ValueError(
                    f"ros: {what} must be a relative name of letters a to z, digits and _, with / between its parts, none beginning with a digit, "
                    f"got {topic!r}"
                )
        for where, told in (
            ("transports", self.transports),
            ("controllers", self.controllers),
            ("transport", filter(None, [self.transport])),
        ):
            for transport in told:
                if transport not in TRANSPORTS:
                    raise ValueError(f"ros.{where}: unknown transport {transport!r}; {strict.suggest(transport, TRANSPORTS)}")
        for transport, node in self.controllers.items():
            if node != "*" and not re.fullmatch(_NAME, node.removeprefix("/")):
                raise ValueError(f"ros.controllers.{transport} must be the name of a node, or * for any, got {node!r}")
        self._check_kinds()

    def _check_kinds(self) -> None:
        """No topic carries messages of two types."""
        kinds = {"state_topic": ("JointState", self.state_topic), "odometry_topic": ("Odometry", self.odometry_topic)}
        kinds |= {f"command_topics.{mode}": ("Twist" if mode == "twist" else "array", topic) for mode, topic in self.command_topics.items()}
        kinds |= {
            f"transports.{name}": ({"trajectory": "plan", "cmd_vel": "Twist"}.get(name, "array"), topic)
            for name, topic in self.transports.items()
        }
        kinds |= {"program_running": ("Bool", self.program_running)}
        kinds |= {f"cameras.{camera}.topic": ("Image", self.camera_topic(camera)) for camera in self.cameras}
        kinds |= {"speed_scaling.topic": ("Float64", self.speed_scaling.topic)} if self.speed_scaling else {}
        seen: dict[str, tuple[str, str]] = {}
        for where, (kind, topic) in kinds.items():
            before = seen.setdefault(topic, (where, kind))
            if topic and before[1] != kind:
                raise ValueError(f"ros: {before[0]} and {where} are both {topic!r}, and a topic has messages of one type")

    def controller_of(self, transport: str, topic: str) -> str:
        """Name of the node that obeys commands on a relative topic; "*" for any that does more than look on.

        It is what the profile says, else what the topic begins with, as those of ros2_control do; a topic that is a single name tells nothing.
        """
        return self.controllers.get(transport) or (topic.strip("/").split("/")[0] if "/" in topic.strip("/") else "*")

    def camera_topic(self, name: str) -> str:
        """Relative topic of a camera's raw pictures."""
        return self.cameras.get(name, RosCamera()).topic or f"{name}/image_raw"

    def compressed(self, name: str) -> bool:
        """Whether a camera's pictures come compressed."""
        return self.camera_topic(name).endswith(COMPRESSED)

    def information_topic(self, name: str) -> str:
        """Relative topic of a camera's calibration, sensor_msgs/CameraInfo: beside its pictures, as image_transport has it."""
        return f"{self.camera_topic(name).removesuffix(COMPRESSED).rpartition('/')[0]}/camera_info".lstrip("/")

    def carries(self, mode: str) -> bool:
        """Whether commands of a mode have a topic: one of their own, or that of trajectories, which are made of positions or velocities."""
        return mode in self.command_topics or (mode in ("position", "velocity") and "trajectory" in self.transports)
