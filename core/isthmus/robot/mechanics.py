"""The parts of a robot: its joints and their servos, its base, its cameras, and what its guard's monitors and its hold need to know."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from isthmus import strict
from isthmus.signals import CameraSpec

__all__ = ["Base", "Camera", "Hold", "Joint", "Servo", "Thresholds"]

_UNITS = {"position": ("rad", "m"), "velocity": ("rad/s", "m/s"), "effort": ("N*m", "N")}
BASES = ("fixed", "floating", "differential")
SLOW = 0.2
"""Share of the smallest velocity limit that may count as rest at most."""


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

    def __post_init__(self) -> None:
        strict.check_fields(self, "servo: ")
        for name in ("armature", "position_gain", "velocity_gain"):
            strict.require(f"servo: {name}", getattr(self, name), least=0)
        strict.require("servo: no_load_speed", self.no_load_speed, above=0, endless=True)


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
        strict.check_fields(self, f"joint {self.name!r}: ")
        if self.type not in ("revolute", "continuous", "prismatic"):
            raise ValueError(f"joint {self.name!r}: type must be revolute, continuous or prismatic, got {self.type!r}")
        for name in ("velocity", "stop_acceleration", "effort", "acceleration", "planning_acceleration"):
            strict.require(f"joint {self.name!r}: {name}", getattr(self, name), above=0, endless=True)
        low, high = self.position
        if not low < high:
            raise ValueError(f"joint {self.name!r}: position must be the lower and the upper limit, got {low} and {high}")
        if math.isinf(low) != math.isinf(high):
            raise ValueError(f"joint {self.name!r}: one of its position limits is missing, got {low} and {high}")
        if self.type == "continuous" and math.isfinite(low):
            raise ValueError(f"joint {self.name!r}: a continuous joint has no position limits, got {low} and {high}; call it revolute")
        if not self.position[0] <= self.home <= self.position[1]:
            raise ValueError(f"joint {self.name!r}: home {self.home} is outside its limits {self.position[0]} … {self.position[1]}")

    def within(self, travel: float, share: float) -> float:
        """A travel that counts for turning joints, as it counts for this one, rad or m: where it slides, at most a share of its range."""
        low, high = self.position
        return min(travel, share * (high - low)) if self.type == "prismatic" else travel

    def unit(self, quantity: str) -> str:
        """SI unit of its "position", "velocity" or "effort"."""
        turning, sliding = _UNITS[quantity]
        return sliding if self.type == "prismatic" else turning


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of the guard's monitors. The defaults suit an industrial arm: a robot that needs others must say so, none is without monitors.

    Attributes:
        tracking_lag: seconds by which the measured position lags a constant commanded velocity.
        tracking_tolerance: distance between commanded and measured motion that counts as a dead or runaway motor, rad or m; above lag times
            velocity; "inf" for none. A gripper's finger is not bounded further: what it grips may stop it anywhere.
        frozen_travel: commanded motion during which a measured position stays the same number that counts as frozen, rad or m; "inf" for none.
        oscillation: sign changes of a joint's velocity per second that count as a limit cycle; "inf" for none.
        oscillation_speed: slower motion is not counted, rad/s.
        standstill: speed below which the robot counts as at rest, rad/s; at most a fifth of the smallest velocity limit.
        runaway_travel: motion against its command or while it is told to rest, or in excess of its velocity limit, after which a joint counts as
            run away, rad or m: more than servo lag, sag under gravity and oscillation; "inf" for none. A joint that slides has run away after two
            fifths of its range at the latest.
    """

    tracking_lag: float = 0.0
    tracking_tolerance: float = 0.35
    frozen_travel: float = 0.03
    oscillation: float = 18.0
    oscillation_speed: float = 0.3
    standstill: float = 0.02
    runaway_travel: float = 0.3

    def __post_init__(self) -> None:
        strict.check_fields(self, "monitors: ")
        strict.require("monitors: tracking_lag", self.tracking_lag, least=0)
        strict.require("monitors: oscillation_speed", self.oscillation_speed, least=0)
        strict.require("monitors: standstill", self.standstill, above=0)
        for name in ("tracking_tolerance", "frozen_travel", "oscillation", "runaway_travel"):
            strict.require(f"monitors: {name}", getattr(self, name), above=0, endless=True)


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
        strict.check_fields(self, "base: ")
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
        strict.check_fields(self, "hold: ")
        for name in ("kp", "kd"):
            for value in getattr(self, name):
                strict.require(f"hold: {name}", value, least=0)


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

    def __post_init__(self) -> None:
        strict.check_fields(self, f"camera {self.name!r}: ")
        if not 0 < self.field_of_view < math.pi:
            raise ValueError(f"camera {self.name!r}: field_of_view must be > 0 and < pi rad, got {self.field_of_view} rad")
        if self.look_at == self.position:
            raise ValueError(f"camera {self.name!r}: look_at must be another point than position, got {self.look_at} m for both")
