"""The physical parameters that can be set at reset, by the same names and in the same units in every engine.

`parameter_table` lists them for a robot and a scene. The table says what a name means; each plant says how its engine is told, and refuses what
the engine cannot express. A name is a word (`payload`) or a target and a quantity (`puck.mass`, `elbow_joint.damping`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.scene import Body, Hinge, Scene

__all__ = ["Parameter", "cannot_express", "joint_parameters", "parameter_rows", "parameter_table", "urdf_dynamics"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named physical quantity.

    Attributes:
        name: as typed in randomisation and identification files.
        unit: SI unit.
        nominal: value where nothing is said.
        low: smallest valid value.
        high: largest valid value.
        description: one line.
    """

    name: str
    unit: str
    nominal: float
    low: float
    high: float
    description: str

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"parameter {self.name!r}: low must be < high, got {self.low} and {self.high}")
        if not self.low <= self.nominal <= self.high:
            raise ValueError(f"parameter {self.name!r}: nominal must be in {self.low:g} … {self.high:g}, got {self.nominal:g}")


def parameter_table(robot: Robot, scene: Scene) -> Mapping[str, Parameter]:
    """Every parameter of a robot in a scene, by name.

    Raises:
        ValueError: a body has the name of one of the robot's links or joints.
    """
    robot_names = {element.attrib["name"] for element in ElementTree.parse(robot.urdf_path).getroot() if element.tag in ("link", "joint")}  # noqa: S314 - profiles are installed data
    for body in scene.bodies:
        if body.name in robot_names | set(robot.joint_names):
            raise ValueError(f"body {body.name!r} has the name of a link or joint of robot {robot.name!r}")
    seen = bool(scene.moving) or robot.base.kind != "fixed"
    path = (
        Parameter("action_delay", "s", robot.command_delay, 0.0, 0.5, "time from a command to its effect"),
        Parameter("action_lag", "s", robot.command_lag, 0.0, 0.5, "time constant with which the drives follow a command"),
    )
    return {
        parameter.name: parameter
        for parameter in (*_plain_parameters(robot, seen=seen), *path, *_joint_parameters(robot), *_body_parameters(scene))
    }


def joint_parameters(name: str, damping: float, friction: float, armature: float, *, slides: bool) -> list[Parameter]:
    """Friction and rotor inertia of a joint, with their nominal values in SI units."""
    force, mass, way = ("N", "kg", "m") if slides else ("N*m", "kg*m^2", "rad")
    largest = max(50.0, 10 * friction)
    return [
        Parameter(f"{name}.damping", f"{force}*s/{way}", damping, 0.0, max(50.0, 10 * damping), f"viscous friction of {name}"),
        Parameter(f"{name}.frictionloss", force, friction, 0.0, largest, f"dry (Coulomb) friction of {name}"),
        Parameter(f"{name}.stiction", force, 0.0, 0.0, largest, f"how much higher the dry friction of {name} is at rest (Stribeck)"),
        Parameter(f"{name}.stribeck_velocity", f"{way}/s", 0.1, 1e-3, 10.0, f"speed at which the stiction of {name} is gone but for 1/e"),
        Parameter(f"{name}.load_friction", "1", 0.0, 0.0, 0.9, f"share of the torque of the drive of {name} that is dry friction"),
        Parameter(f"{name}.armature", mass, armature, 0.0, max(2.0, 10 * armature), f"rotor inertia of {name}"),
    ]


def parameter_rows(table: Mapping[str, Parameter], parameters: Mapping[str, Array] | None, count: int) -> dict[str, Array]:
    """Check values for `count` rows, `[count]` per name.

    Raises:
        ValueError: an unknown name, a wrong shape or a value out of range.
    """
    rows = {}
    for name, values in (parameters or {}).items():
        if name not in table:
            raise ValueError(f"unknown parameter {name!r}; {strict.suggest(name, table)}")
        parameter = table[name]
        row = np.asarray(values, dtype=np.float64)
        if row.shape != (count,):
            raise ValueError(f"parameter {name!r} must be [{count}], one value per row, got {list(row.shape)}")
        if bad := [value for value in row if not parameter.low <= value <= parameter.high]:
            raise ValueError(f"parameter {name!r} must be in {parameter.low:g} … {parameter.high:g} {parameter.unit}, got {bad[0]:g}")
        rows[name] = row
    pushes = [name for name in ("push_x", "push_y", "push_z") if name in rows]
    if pushes and "push_duration" not in rows:
        raise ValueError(f"parameter {pushes[0]!r} does nothing without 'push_duration' (s)")
    return rows


def cannot_express(engine: str, name: str, why: str) -> ValueError:
    """The error of a plant whose engine has no such thing."""
    return ValueError(f"plant {engine!r} cannot express parameter {name!r}: {why}")


def urdf_dynamics(robot: Robot) -> dict[str, tuple[float, float]]:
    """Viscous damping and dry friction that the URDF gives each of its joints, N·m·s/rad and N·m."""
    found = {}
    for element in ElementTree.parse(robot.urdf_path).getroot().findall("joint"):  # noqa: S314 - profiles are installed data
        dynamics = element.find("dynamics")
        given = dynamics.attrib if dynamics is not None else {}
        found[element.attrib["name"]] = (float(given.get("damping", 0.0)), float(given.get("friction", 0.0)))
    return found


def _plain_parameters(robot: Robot, *, seen: bool) -> list[Parameter]:
    """Those that every robot has; what is the same number for all joints has both units where some turn and some slide."""

    def unit(turns: str, slides: str) -> str:
        return " or ".join(dict.fromkeys(slides if joint.type == "prismatic" else turns for joint in robot.joints))

    parameters = [
        Parameter("gravity", "m/s^2", 9.81, 0.0, 20.0, "gravitational acceleration, downwards"),
        Parameter("payload", "kg", 0.0, 0.0, 20.0, "point mass at the tool frame"),
        Parameter("joint_damping", unit("N*m*s/rad", "N*s/m"), 0.0, 0.0, 50.0, "viscous friction of every joint, on top of its own"),
        Parameter("observation_delay", "s", 0.0, 0.0, 0.5, "age of what the sensors say"),
        Parameter("observation_dropout", "1", 0.0, 0.0, 0.99, "share of control periods in which no new sample comes: the last one stays"),
        Parameter(
            "control_jitter",
            "s",
            0.0,
            0.0,
            0.5,
            "the time from a command to its effect is longer by 0 … this, drawn in each control period",
        ),
        Parameter("position_noise", unit("rad", "m"), 0.0, 0.0, 0.5, "standard deviation of measured joint positions"),
        Parameter("velocity_noise", unit("rad/s", "m/s"), 0.0, 0.0, 5.0, "standard deviation of measured joint velocities"),
        Parameter("pose_noise", "m", 0.0, 0.0, 0.5, "standard deviation of measured body positions, along each axis"),
        Parameter("push_x", "N", 0.0, -500.0, 500.0, "force on the tool frame (mobile robot: its base) during a push, along x"),
        Parameter("push_y", "N", 0.0, -500.0, 500.0, "the same along y"),
        Parameter("push_z", "N", 0.0, -500.0, 500.0, "the same along z"),
        Parameter("push_time", "s", 0.0, 0.0, 1000.0, "when the push begins"),
        Parameter("push_duration", "s", 0.0, 0.0, 1000.0, "how long it lasts"),
    ]
    return [parameter for parameter in parameters if parameter.name != "pose_noise" or seen]


def _joint_parameters(robot: Robot) -> list[Parameter]:
    if robot.base.kind == "differential":
        return []
    dynamics = urdf_dynamics(robot)
    parameters = []
    for joint in robot.joints:
        name = joint.name
        damping, friction = dynamics.get(name, (0.0, 0.0))
        parameters += joint_parameters(name, damping, friction, joint.servo.armature, slides=joint.type == "prismatic")
        parameters.append(Parameter(f"{name}.gain", "1", 1.0, 0.01, 10.0, f"factor on the servo gains of {name}"))
        fastest = joint.servo.no_load_speed
        if math.isfinite(fastest):
            low, high, way = fastest / 10, fastest * 10, "m" if joint.type == "prismatic" else "rad"
            parameters.append(
                Parameter(f"{name}.no_load_speed", f"{way}/s", fastest, low, high, f"speed at which the motor of {name} has no torque")
            )
    return parameters


def _body_parameters(scene: Scene) -> list[Parameter]:
    parameters = []
    touching = {name for pair in scene.contacts for name in pair}
    for body in scene.bodies:
        name = body.name
        if name in touching:
            parameters += [
                Parameter(f"{name}.friction", "1", body.friction, 0.0, 10.0, f"sliding friction coefficient of {name}"),
                Parameter(f"{name}.torsional_friction", "m", body.torsional_friction, 0.0, 1.0, f"torsional friction of {name}"),
            ]
        if body.moves:
            parameters += _moving_parameters(body)
        elif not body.parent:
            parameters += [
                Parameter(f"{name}.{axis}", "m", value, value - 5.0, value + 5.0, f"position of {name} along {axis}")
                for axis, value in zip("xyz", body.position, strict=True)
            ]
            parameters.append(Parameter(f"{name}.yaw", "rad", 0.0, -math.pi, math.pi, f"{name} turned about the vertical"))
    return parameters


def _moving_parameters(body: Body) -> list[Parameter]:
    name, centroid = body.name, body.centroid()
    parameters = [
        Parameter(f"{name}.mass", "kg", body.mass, 1e-3, max(100.0, 10 * body.mass), f"mass of {name}; its inertia follows"),
        Parameter(f"{name}.inertia", "1", 1.0, 0.01, 100.0, f"factor on the moments of inertia of {name}"),
    ]
    parameters += [
        Parameter(
            f"{name}.com_{axis}", "m", float(value), float(value) - 1.0, float(value) + 1.0, f"centre of mass of {name} along its {axis}"
        )
        for axis, value in zip("xyz", centroid, strict=True)
    ]
    if isinstance(body.joint, Hinge):
        unit = "N*m" if body.joint.kind == "hinge" else "N"
        per = "rad" if body.joint.kind == "hinge" else "m"
        parameters += [
            Parameter(f"{name}.damping", f"{unit}*s/{per}", body.joint.damping, 0.0, 100.0, f"viscous friction of the joint of {name}"),
            Parameter(f"{name}.frictionloss", unit, body.joint.frictionloss, 0.0, 100.0, f"dry (Coulomb) friction of the joint of {name}"),
            Parameter(f"{name}.stiffness", f"{unit}/{per}", body.joint.stiffness, 0.0, 1000.0, f"spring of the joint of {name} towards 0"),
        ]
        parameters += [
            Parameter(f"{name}.{axis}", "m", value, value - 5.0, value + 5.0, f"position of the joint of {name} along {axis}")
            for axis, value in zip("xyz", body.position, strict=True)
        ]
    return parameters
