"""A robot and a scene as one MuJoCo model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Joint, Robot
from isthmus_sim.plants.base import sliding
from isthmus_sim.plants.loadable_urdf import loadable_urdf
from isthmus_sim.scene import Body, Hinge, Scene, Shape

__all__ = ["build_spec", "compile_model", "compiled", "pair_friction"]

_GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "plane": mujoco.mjtGeom.mjGEOM_PLANE,
    "heightfield": mujoco.mjtGeom.mjGEOM_HFIELD,
}


def build_spec(robot: Robot, mode: str, timestep: float, scene: Scene | None = None) -> Any:
    """The robot's URDF, the scene around it and one actuator per commanded joint, as an MjSpec.

    Nothing collides but what the scene's contacts name.

    Args:
        robot: profile.
        mode: command mode.
        timestep: physics step, s.
        scene: what stands around it.
    """
    scene = scene or Scene()
    with _told(robot):
        spec = mujoco.MjSpec.from_string(_with_shapes_for_the_eye(robot))
    spec.compiler.fusestatic = False
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A diverged row must stay visible as NaN; MuJoCo would silently put it back to qpos0.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    if scene.contacts:  # pyramids creep, and let things slip out of grippers
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    geoms: dict[str, list[str]] = {}
    for body in spec.bodies:
        drawn = any(not geom.contype for geom in body.geoms)
        for number, geom in enumerate(body.geoms):
            geom.name = f"{body.name}/{number}"
            if geom.contype or geom.conaffinity:
                geoms.setdefault(body.name, []).append(geom.name)
                if drawn:
                    geom.group = 3  # not drawn: the link has shapes for the eye
            else:
                geom.mass = 0
            geom.contype = geom.conaffinity = 0
    if robot.base.kind != "fixed":
        spec.body(Kinematics(robot.urdf_path).base).add_freejoint(name=robot.base_frame)
    for body in scene.bodies:
        geoms[body.name] = _add_body(spec, body)
    _add_contacts(spec, robot, scene, geoms)
    _add_actuators(spec, robot, mode)
    spec.worldbody.add_light(pos=[1, -1, 3], dir=[-0.3, 0.3, -1], castshadow=False)
    white, kind = [1.0, 1.0, 1.0], mujoco.mjtTexture.mjTEXTURE_SKYBOX
    spec.add_texture(name="sky", type=kind, builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT, rgb1=white, rgb2=white, width=8, height=48)
    return spec


def compile_model(robot: Robot, mode: str, timestep: float, scene: Scene | None = None) -> Any:
    """`build_spec`, compiled."""
    return compiled(build_spec(robot, mode, timestep, scene), robot)


def compiled(spec: Any, robot: Robot) -> Any:
    """The model of a spec of `build_spec`.

    Raises:
        ValueError: MuJoCo does not take it.
    """
    with _told(robot):
        return spec.compile()


@contextlib.contextmanager
def _told(robot: Robot) -> Iterator[None]:
    """What MuJoCo says of a robot, which is several lines, in one sentence."""
    try:
        yield
    except ValueError as error:
        if str(robot.urdf_path) in str(error):
            raise
        raise ValueError(f"MuJoCo cannot load robot {robot.name!r}: {' '.join(str(error).split())}") from None


def pair_friction(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """MuJoCo's coefficients of contacts between bodies with the given sliding and torsional friction, each `[n]` → `[n, 5]`."""
    sliding = first[0] * second[0]
    torsional = first[1] * second[0] + second[1] * first[0]
    none = 0 * sliding
    # MuJoCo wants positive numbers; 1e-5 is its own "almost none".
    return np.maximum(np.stack([sliding, sliding, torsional, none, none], axis=-1), 1e-5)


def _with_shapes_for_the_eye(robot: Robot) -> str:
    """The URDF as MuJoCo reads it with the shapes that do not collide, which it drops while it parses unless the file itself says otherwise."""
    root = loadable_urdf(robot)
    for element in root.findall("mujoco"):
        root.remove(element)
    ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", strippath="false", discardvisual="false", fusestatic="false")
    return ElementTree.tostring(root, encoding="unicode")


def _add_body(spec: Any, body: Body) -> list[str]:
    """Add a body; the names of its geoms that may collide."""
    parent = spec.body(body.parent) if body.parent else spec.worldbody
    if parent is None:
        raise ValueError(f"body {body.name!r}: the robot has no link {body.parent!r}")
    element = parent.add_body(name=body.name, pos=list(body.position), quat=_wxyz(body.rotation))
    element.simple = 0  # or MuJoCo would refuse another centre of mass later
    if body.joint == "free":
        element.add_freejoint(name=body.name)
    elif isinstance(body.joint, Hinge):
        hinge = body.joint
        kind = mujoco.mjtJoint.mjJNT_HINGE if hinge.kind == "hinge" else mujoco.mjtJoint.mjJNT_SLIDE
        joint = element.add_joint(
            name=body.name, type=kind, axis=list(hinge.axis), frictionloss=hinge.frictionloss, armature=hinge.armature
        )
        joint.damping, joint.stiffness = [hinge.damping, 0, 0], [hinge.stiffness, 0, 0]
        if np.isfinite([hinge.low, hinge.high]).all():
            joint.limited, joint.range = True, [hinge.low, hinge.high]
    if body.mass > 0:
        element.explicitinertial = True
        element.mass, element.ipos, element.inertia = body.mass, body.centroid(), body.moments()
    names = []
    for number, shape in enumerate(body.shapes):
        geom = element.add_geom(name=f"{body.name}/{number}", type=_GEOMS[shape.kind], mass=0, contype=0, conaffinity=0)
        geom.pos, geom.quat, geom.rgba = list(shape.position), _wxyz(shape.rotation), list(shape.color)
        if shape.kind == "heightfield":
            geom.hfieldname = _add_heightfield(spec, geom.name, shape)
        else:
            geom.size[: len(shape.size)] = list(shape.size)
            if shape.kind == "plane":
                geom.size[2] = 1.0
        if shape.collides:
            names.append(geom.name)
    return names


def _add_heightfield(spec: Any, name: str, shape: Shape) -> str:
    heights = np.array(shape.heights)
    heights -= heights.min()
    top = max(float(heights.max()), 1e-6)
    data = (heights / top).ravel().tolist()
    spec.add_hfield(name=name, nrow=heights.shape[0], ncol=heights.shape[1], size=[*shape.size, top, 0.1], userdata=data)
    return name


def _add_contacts(spec: Any, robot: Robot, scene: Scene, geoms: dict[str, list[str]]) -> None:
    friction = {link: (np.zeros(1), np.zeros(1)) for link in robot.base.casters}
    friction |= {body.name: (np.array([body.friction]), np.array([body.torsional_friction])) for body in scene.bodies}
    usual = (np.ones(1), np.zeros(1))
    fingers = {spec.joint(robot.joints[index].name).parent.name for index in sliding(robot)}
    for first, second in scene.contacts:
        for name in (first, second):
            if not geoms.get(name):
                raise ValueError(f"contact {first} – {second}: {name!r} is no body or link with a collision shape")
        coefficients = pair_friction(friction.get(first, usual), friction.get(second, usual))[0].tolist()
        for one in geoms[first]:
            for other in geoms[second]:
                pair = spec.add_pair(name=f"{one}:{other}", geomname1=one, geomname2=other, condim=4)
                pair.friction = coefficients
                if fingers & {first, second}:
                    # What a gripper holds is light for its force: by default pads sink millimetres into it, and it creeps out of the grip.
                    pair.solref, pair.solimp = [2 * spec.option.timestep, 1], [0.995, 0.995, 0.001, 0.5, 2]


def _add_actuators(spec: Any, robot: Robot, mode: str) -> None:
    if mode == "twist":
        for name in robot.base.wheels:
            spec.joint(name).armature = robot.base.wheel_armature
            actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
            actuator.set_to_velocity(kv=robot.base.wheel_gain)
            actuator.forcelimited, actuator.forcerange = True, [-robot.base.wheel_effort, robot.base.wheel_effort]
        return
    for joint in robot.joints:
        spec.joint(joint.name).armature = joint.servo.armature
        actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        _set_servo(actuator, joint, mode)


def _set_servo(actuator: Any, joint: Joint, mode: str) -> None:
    """Drive a joint.

    A velocity command moves the set-point of the position servo (MuJoCo's `intvelocity`), as industrial arms do: a proportional velocity servo
    would creep under gravity.

    Raises:
        ValueError: a DC motor in velocity mode; MuJoCo's set-point integrator has no voltage limit.
    """
    servo = joint.servo
    if np.isfinite(servo.no_load_speed):
        _set_dc_motor(actuator, joint, mode)
    elif mode == "effort":
        actuator.set_to_motor()
    elif mode == "position":
        actuator.set_to_position(kp=servo.position_gain, kv=servo.velocity_gain)
    else:
        actuator.set_to_intvelocity(kp=servo.position_gain, kv=servo.velocity_gain)
        if np.isfinite(joint.position).all():  # or the set-point would wind up behind a joint limit
            actuator.actlimited, actuator.actrange = True, list(joint.position)
    actuator.forcelimited = True
    actuator.forcerange = [-joint.effort, joint.effort]


def _set_dc_motor(actuator: Any, joint: Joint, mode: str) -> None:
    """A motor at 1 V whose constant and resistance give the stall torque and the no-load speed; its controller compensates the back-EMF."""
    if mode == "velocity":
        raise ValueError(
            f"joint {joint.name!r}: a torque that depends on speed (servo.no_load_speed) needs position or effort commands, not velocity"
        )
    fastest, stall = joint.servo.no_load_speed, joint.effort
    gains = [joint.servo.position_gain, 0, joint.servo.velocity_gain] if mode == "position" else [0, 0, 0]
    kind = mujoco.mjtCtrlInput.mjINPUT_POS if mode == "position" else mujoco.mjtCtrlInput.mjINPUT_FF
    actuator.set_to_dcmotor(
        motorconst=[1 / fastest, 1 / fastest],
        resistance=1 / (fastest * stall),
        saturation=[stall, 0, 0],
        controller=[*gains, 0, 0, 1.0],
        ctrlspec=int(kind),
    )


def _wxyz(rotation: tuple[float, float, float, float]) -> list[float]:
    x, y, z, w = rotation
    return [w, x, y, z]
