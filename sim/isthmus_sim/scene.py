"""What stands around a robot: bodies made of primitive shapes, compiled by each engine from the same description.

Positions are in the robot's base frame, which is the world (for a mobile robot: the odometry frame). Two things collide only if `contacts`
names them. The friction coefficient of a contact is the product of both bodies' coefficients in every engine; robot links have 1. Torsional
friction is combined as t₁ μ₂ + t₂ μ₁.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from isthmus.records import Array
from isthmus.robot import Robot

__all__ = ["KINDS", "Body", "Hinge", "Scene", "Shape", "flat_ground", "standing_links"]

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)
KINDS = {"box": 3, "sphere": 1, "cylinder": 2, "capsule": 2, "plane": 2, "heightfield": 2}
"""Kind of a shape → how many numbers its size has."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A primitive, for collision and for the eye.

    Attributes:
        kind: a key of `KINDS`.
        size: m. box: half extents; sphere: radius; cylinder, capsule: radius and half length along z; plane, heightfield: half extents.
        position: of its centre in the body's frame, m.
        rotation: qx, qy, qz, qw in the body's frame.
        color: red, green, blue, opacity, 0 … 1.
        collides: False for the eye only.
        heights: of a heightfield, m, rows along y, columns along x; the lowest is at `position`.
    """

    kind: str
    size: tuple[float, ...]
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = _UPRIGHT
    color: tuple[float, float, float, float] = (0.62, 0.64, 0.68, 1.0)
    collides: bool = True
    heights: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"shape must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if len(self.size) != KINDS[self.kind] or not all(value > 0 for value in self.size):
            raise ValueError(f"size of a {self.kind} must be {KINDS[self.kind]} positive numbers, got {self.size}")
        _check_pose(f"a {self.kind}", self.position, self.rotation)
        if (self.kind == "heightfield") != bool(self.heights) or len({len(row) for row in self.heights}) > 1:
            raise ValueError("heights must be a grid, and belong to a heightfield and to no other shape")

    def moments(self) -> tuple[float, Array]:
        """Volume, m³, and principal moments of inertia per kilogram about its centre, `[3]`, m².

        Raises:
            ValueError: the shape has no volume.
        """
        if self.kind == "box":
            x, y, z = self.size
            return 8 * x * y * z, np.array([y * y + z * z, x * x + z * z, x * x + y * y]) / 3
        if self.kind == "sphere":
            (r,) = self.size
            return 4 / 3 * math.pi * r**3, np.full(3, 0.4 * r * r)
        if self.kind == "cylinder":
            r, h = self.size
            across = (3 * r * r + 4 * h * h) / 12
            return 2 * math.pi * r * r * h, np.array([across, across, r * r / 2])
        if self.kind == "capsule":
            r, h = self.size
            tube, ball = 2 * math.pi * r * r * h, 4 / 3 * math.pi * r**3
            total = tube + ball
            along = (tube * r * r / 2 + ball * 0.4 * r * r) / total
            # Two half balls, moved outwards by h; their own centres lie 3/8 r beyond the flat side.
            across = (tube * (3 * r * r + 4 * h * h) / 12 + ball * (0.4 * r * r + h * h + 0.75 * h * r)) / total
            return total, np.array([across, across, along])
        raise ValueError(f"a {self.kind} has no volume; a body that moves needs other shapes, or mass and inertia of its own")


@dataclass(frozen=True, slots=True)
class Hinge:
    """How a body is attached to the world.

    Attributes:
        axis: unit vector in the body's frame, through its origin.
        kind: "hinge" (rad) or "slide" (m).
        low: lower limit.
        high: upper limit.
        damping: N·m·s/rad or N·s/m.
        frictionloss: N·m or N.
        armature: kg·m² or kg.
        stiffness: of a spring towards 0, N·m/rad or N/m.
    """

    axis: Vector
    kind: str = "hinge"
    low: float = -math.inf
    high: float = math.inf
    damping: float = 0.0
    frictionloss: float = 0.0
    armature: float = 0.0
    stiffness: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("hinge", "slide"):
            raise ValueError(f"kind of a hinge must be hinge or slide, got {self.kind!r}")
        if not math.isclose(sum(value * value for value in self.axis), 1.0, abs_tol=1e-9):
            raise ValueError(f"axis of a hinge must be a unit vector, got {self.axis}")
        if not self.low < self.high:
            raise ValueError(f"hinge: low must be < high, got {self.low} and {self.high}")
        if math.isfinite(self.low) != math.isfinite(self.high):
            raise ValueError(f"hinge: low and high must both be finite or both be infinite, got {self.low} and {self.high}")
        for name in ("damping", "frictionloss", "armature", "stiffness"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"hinge: {name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Body:
    """A rigid body: fixed, free, or hinged to the world.

    Attributes:
        name: unique in the scene, and no link or joint of the robot.
        shapes: at least one.
        mass: kg; > 0 if it moves.
        joint: None for fixed, "free", or a hinge.
        parent: "" for the world, or the robot link that carries it; only a fixed body may be carried.
        position: of its frame in the parent's, m.
        rotation: of its frame in the parent's, qx, qy, qz, qw.
        center_of_mass: in its frame, m; None means that of its shapes.
        inertia: principal moments about the centre of mass along the axes of its frame, kg·m²; None means that of its shapes.
        friction: sliding coefficient.
        torsional_friction: m.
    """

    name: str
    shapes: tuple[Shape, ...]
    mass: float = 0.0
    joint: str | Hinge | None = None
    parent: str = ""
    position: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = _UPRIGHT
    center_of_mass: Vector | None = None
    inertia: Vector | None = None
    friction: float = 1.0
    torsional_friction: float = 0.0

    def __post_init__(self) -> None:
        at = f"body {self.name!r}"
        if not self.shapes:
            raise ValueError(f"{at} needs a shape")
        if isinstance(self.joint, str) and self.joint != "free":
            raise ValueError(f"{at}: joint must be None, 'free' or a Hinge, got {self.joint!r}")
        if self.parent and self.joint is not None:
            raise ValueError(f"{at}: only a fixed body can be carried by robot link {self.parent!r}")
        if self.parent and {shape.kind for shape in self.shapes} & {"plane", "heightfield"}:
            raise ValueError(f"{at}: a plane or heightfield cannot be carried by robot link {self.parent!r}")
        _check_pose(at, self.position, self.rotation)
        if not self.mass >= 0 or (self.moves and self.mass == 0):
            raise ValueError(f"{at}: mass must be >= 0, and > 0 for a body that moves, got {self.mass} kg")
        if not (self.friction >= 0 and self.torsional_friction >= 0):
            raise ValueError(f"{at}: friction must be >= 0, got {self.friction} and {self.torsional_friction} m")
        if self.inertia is not None:
            a, b, c = sorted(self.inertia)
            if not (a > 0 and a + b >= c):
                raise ValueError(f"{at}: inertia must be positive and the largest moment at most the sum of the others, got {self.inertia}")
        if self.moves:
            self.moments()

    @property
    def moves(self) -> bool:
        """Whether it has a joint of its own."""
        return self.joint is not None

    def centroid(self) -> Array:
        """Centre of mass in its frame, `[3]`, m; that of its shapes is rounded to a nanometre, as the nominal value of a parameter."""
        if self.center_of_mass is not None:
            return np.array(self.center_of_mass)
        volumes = np.array([shape.moments()[0] for shape in self.shapes])
        centers = np.array([shape.position for shape in self.shapes])
        return np.asarray(np.round((volumes[:, None] * centers).sum(axis=0) / volumes.sum(), 9) + 0.0)

    def moments(self) -> Array:
        """Principal moments of inertia about the centre of mass, along the axes of its frame, `[3]`, kg·m².

        Raises:
            ValueError: shapes lie askew; then `inertia` must be given.
        """
        if self.inertia is not None:
            return np.array(self.inertia)
        volumes = np.array([shape.moments()[0] for shape in self.shapes])
        centers = np.array([shape.position for shape in self.shapes])
        middle = (volumes[:, None] * centers).sum(axis=0) / volumes.sum()
        total = np.zeros((3, 3))
        for shape, share in zip(self.shapes, volumes / volumes.sum(), strict=True):
            axes, away = _matrix(shape.rotation), np.array(shape.position) - middle
            own = axes @ np.diag(shape.moments()[1]) @ axes.T
            total += share * (own + (away @ away) * np.eye(3) - np.outer(away, away))
        if np.abs(total - np.diag(np.diag(total))).max() > 1e-6 * np.trace(total):
            raise ValueError(f"body {self.name!r}: its shapes lie askew in its frame; give its inertia")
        return self.mass * np.diag(total)


@dataclass(frozen=True, slots=True)
class Scene:
    """Bodies and what collides with what.

    Attributes:
        bodies: around the robot, or carried by it.
        contacts: pairs of names of bodies or robot links.
    """

    bodies: tuple[Body, ...] = ()
    contacts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [body.name for body in self.bodies]
        if len(set(names)) != len(names):
            raise ValueError(f"bodies of a scene must have unique names, got {', '.join(names)}")
        for pair in self.contacts:
            if not set(pair) & set(names):
                raise ValueError(f"contact {pair[0]} – {pair[1]} names no body of the scene; it has: {', '.join(names)}")

    def body(self, name: str) -> Body:
        """The body of that name.

        Raises:
            KeyError: there is none; the message lists those that exist.
        """
        for body in self.bodies:
            if body.name == name:
                return body
        raise KeyError(f"unknown body {name!r}; the scene has: {', '.join(body.name for body in self.bodies) or 'none'}")

    @property
    def moving(self) -> tuple[Body, ...]:
        """Bodies with a joint of their own, in order."""
        return tuple(body for body in self.bodies if body.moves)

    @property
    def standing(self) -> tuple[Body, ...]:
        """Bodies that neither move nor are carried, in order; an episode may put them elsewhere."""
        return tuple(body for body in self.bodies if not body.moves and not body.parent)


def flat_ground(robot: Robot) -> Scene:
    """A plane that the wheels, casters or feet of a mobile robot stand on; nothing for a robot with a fixed base."""
    if robot.base.kind == "fixed":
        return Scene()
    plane = Body("ground", (Shape("plane", (20.0, 20.0), color=(0.86, 0.87, 0.89, 1.0)),))
    return Scene((plane,), tuple((link, "ground") for link in standing_links(robot)))


def standing_links(robot: Robot) -> tuple[str, ...]:
    """Links of a mobile robot that touch the ground: those of its wheels, its casters, or the ends of its legs."""
    root = ElementTree.parse(robot.urdf_path).getroot()  # noqa: S314 - profiles are installed data
    ends: dict[str, dict[str, str]] = {
        end: {joint.attrib["name"]: found.attrib["link"] for joint in root.findall("joint") if (found := joint.find(end)) is not None}
        for end in ("parent", "child")
    }
    if robot.base.wheels:
        return (*(ends["child"][wheel] for wheel in robot.base.wheels), *robot.base.casters)
    solid = [link.attrib["name"] for link in root.findall("link") if link.find("collision") is not None]
    return tuple(name for name in solid if name not in ends["parent"].values())


def _check_pose(at: str, position: Vector, rotation: Quaternion) -> None:
    if not all(math.isfinite(value) for value in position):
        raise ValueError(f"{at}: position must be finite, got {position}")
    if not math.isclose(sum(value * value for value in rotation), 1.0, abs_tol=1e-6):
        raise ValueError(f"{at}: rotation must be a unit quaternion qx, qy, qz, qw, got {rotation}")


def _matrix(quaternion: Quaternion) -> Array:
    x, y, z, w = np.array(quaternion) / math.sqrt(sum(value * value for value in quaternion))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
