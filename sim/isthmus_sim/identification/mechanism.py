"""The model that a recording is fitted with: a task, a robot or any MJCF or URDF file.

It is driven as the recording says, and stands still where the recording says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np

from isthmus import strict
from isthmus.robot import Robot, load_robot, robot_names
from isthmus_sim.identification.table import SENSORS, SINGLE, model_table
from isthmus_sim.parameters import Parameter, parameter_table
from isthmus_sim.plants.base import substeps
from isthmus_sim.plants.mujoco_model import build_spec
from isthmus_sim.scene import Hinge, Scene
from isthmus_sim.tasks import get_task, task_names

__all__ = ["Mechanism", "Servo", "Target", "build_mechanism", "find_target", "load_spec"]

_FILES = (".xml", ".mjcf", ".urdf")


@dataclass(frozen=True, slots=True)
class Servo:
    """Gains of the position servos that the controller runs, where the model has none.

    Attributes:
        kp: N·m/rad.
        kd: N·m·s/rad.
    """

    kp: float
    kd: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is identified.

    Attributes:
        name: as typed.
        file: of the model; None for a robot or a task.
        robot: its profile; None for a file.
        scene: what stands around the robot.
        mode: command mode of the task; "" if the recording says it.
        period: control period of the task, s; 0 likewise.
        identifiable: what the task is about, with the ranges to be searched.
    """

    name: str
    file: Path | None = None
    robot: Robot | None = None
    scene: Scene = field(default_factory=Scene)
    mode: str = ""
    period: float = 0.0
    identifiable: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A compiled model, and how the recording drives it.

    Attributes:
        target: what it was made of.
        model: MuJoCo's.
        table: every parameter that can be identified.
        joints: those of the recording, in its order.
        mode: what drives them: "position", "velocity" or "effort".
        tool: body at the end of the arm.
        notes: what was done to the model, in sentences.
        objects: bodies whose poses were recorded and that move freely, or by one joint that nothing drives.
        hinged: of these the ones with such a joint → its name.
    """

    target: Target
    model: Any
    table: Mapping[str, Parameter]
    joints: tuple[str, ...]
    mode: str
    tool: str
    notes: tuple[str, ...]
    objects: tuple[str, ...] = ()
    hinged: Mapping[str, str] = field(default_factory=dict)

    def owner(self, parameter: str) -> str:
        """What a parameter is of; those of the joint of an object are of the object."""
        name = parameter.rpartition(".")[0]
        return next((body for body, joint in self.hinged.items() if joint == name), name)


def find_target(name: str, folders: Sequence[Path] = ()) -> Target:
    """A model file if it has the suffix of one, else a robot or a task.

    Raises:
        ValueError: it is none of them; the message lists near names.
    """
    path = Path(name)
    if path.suffix.lower() in _FILES:
        if not path.is_file():
            raise ValueError(f"{name} cannot be read: No such file or directory")
        return Target(name, file=path)
    if name in task_names():
        task = get_task(name)
        contract = task.contract
        return Target(
            name,
            robot=load_robot(contract.robot, folders),
            scene=task.scene or Scene(),
            mode=contract.mode,
            period=contract.control_period,
            identifiable=task.identifiable,
        )
    known = robot_names(folders)
    if name in known:
        return Target(name, robot=load_robot(name, folders))
    raise ValueError(f"{name!r} is no task, robot or model file ({', '.join(_FILES)}); {strict.suggest(name, [*known, *task_names()])}")


def build_mechanism(
    target: Target,
    joints: Sequence[str],
    mode: str,
    *,
    servo: Mapping[str, Servo] | None = None,
    tool: str = "",
    bodies: Sequence[str] = (),
    period: float = 0.0,
) -> Mechanism:
    """Compile the model of a recording.

    Joints that the recording does not show stand still, and so does a free-floating base unless its pose is recorded.

    Args:
        target: from `find_target`.
        joints: those that were recorded.
        mode: what was commanded.
        servo: gains by joint, where they are not those of the model.
        tool: body that carries the payload; "" is a robot's tool frame, or the last body below the last recorded joint.
        bodies: whose poses were recorded.
        period: of the commands, s, from which a robot's physics step follows where no task says it.

    Raises:
        ValueError: the model cannot be simulated, has no such joint, or no servo that follows the commands.
    """
    if target.robot is not None:
        return _robot(target, tuple(joints), mode, servo or {}, tool, bodies, period)
    spec, notes = load_spec(target.file)
    known = {joint.name: joint for joint in spec.joints}
    for name in joints:
        if name not in known:
            raise ValueError(f"{target.name} has no joint {name!r}, which the log names; {strict.suggest(name, known)}")
    free = [joint.parent.name for joint in spec.joints if joint.type == mujoco.mjtJoint.mjJNT_FREE]
    hinged = {joint.parent.name: joint.name for joint in spec.joints if joint.parent.name in bodies and _passive(spec, joint, joints)}
    objects = tuple(name for name in bodies if name in free or name in hinged)
    still = [joint for joint in spec.joints if joint.name not in joints and joint.parent.name not in objects]
    if still:
        notes.append(f"not in the log, so held still: {', '.join(joint.name or joint.parent.name for joint in still)}")
    for joint in still:
        _drop(spec, [actuator for actuator in spec.actuators if actuator.target == joint.name])
        spec.delete(joint)
    _drive(spec, joints, mode, servo or {}, target.name)
    if not objects:
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    model = _compile(spec, target.name)
    place = _tool(model, joints[-1], tool, target.name)
    return Mechanism(target, model, model_table(model), tuple(joints), mode, place, tuple(notes), objects, hinged)


def _robot(
    target: Target, joints: tuple[str, ...], mode: str, servo: Mapping[str, Servo], tool: str, bodies: Sequence[str], asked: float
) -> Mechanism:
    robot = target.robot
    assert robot is not None  # noqa: S101 - the caller looked
    if robot.base.kind == "differential":
        raise ValueError(f"robot {robot.name!r} is a mobile base, which `identify` does not fit; give its model as a file")
    if set(joints) != set(robot.joint_names):
        raise ValueError(f"the log is of other joints ({', '.join(joints)}) than robot {robot.name!r} has ({', '.join(robot.joint_names)})")
    period = target.period or asked or robot.control_period[0]
    spec = build_spec(robot, mode, period / substeps(period), target.scene)
    _drive(spec, joints, mode, servo, target.name)
    for body in spec.bodies:
        body.simple = 0
    model = _compile(spec, target.name)
    table = model_table(model, delay=robot.command_delay, lag=robot.command_lag)
    own = {name: row for name, row in parameter_table(robot, target.scene).items() if name not in SENSORS}
    objects = tuple(body.name for body in target.scene.moving if body.name in bodies)
    hinged = {body.name: body.name for body in target.scene.moving if body.name in bodies and isinstance(body.joint, Hinge)}
    return Mechanism(target, model, {**table, **own}, joints, mode, tool or robot.tool_frame, (), objects, hinged)


def load_spec(path: Path | None) -> tuple[Any, list[str]]:
    """A spec without what only the eye sees."""
    assert path is not None  # noqa: S101 - the caller looked
    notes: list[str] = []
    try:
        if path.suffix.lower() == ".urdf":
            spec = mujoco.MjSpec.from_string(_without_meshes(path, notes))
            spec.compiler.fusestatic = False
            spec.compiler.boundmass, spec.compiler.boundinertia = 1e-6, 1e-9  # a URDF may have moving links without mass
            spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        else:
            spec = mujoco.MjSpec.from_file(str(path))
            _forget_meshes(spec, notes)
    except (ValueError, ElementTree.ParseError) as error:
        raise ValueError(f"{path} cannot be read: {_one_line(error)}") from None
    for body in spec.bodies:
        body.simple = 0  # or MuJoCo would refuse another centre of mass later
    for elements in (spec.keys, spec.sensors):
        _drop(spec, list(elements))
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return spec, notes


def _without_meshes(path: Path, notes: list[str]) -> str:
    root = ElementTree.parse(path).getroot()  # noqa: S314 - the user's own model
    if root.tag != "robot":
        raise ValueError(f"its root element is <{root.tag}>, not <robot>")
    dropped = 0
    for link in root.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            if shape.find("geometry/mesh") is not None:
                link.remove(shape)
                dropped += 1
    for element in root.findall("mujoco"):
        root.remove(element)
    if dropped:
        notes.append(f"{dropped} meshes were left out: inertias are those that the file gives")
    ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", fusestatic="false", discardvisual="true")
    return ElementTree.tostring(root, encoding="unicode")


def _forget_meshes(spec: Any, notes: list[str]) -> None:
    """Meshes of bodies whose inertia is given are not needed, and their files may be missing."""
    meshes = [geom for geom in spec.geoms if geom.type == mujoco.mjtGeom.mjGEOM_MESH and geom.parent.explicitinertial]
    _drop(spec, meshes)
    if meshes and not any(geom.type == mujoco.mjtGeom.mjGEOM_MESH for geom in spec.geoms):
        _drop(spec, list(spec.meshes))
        notes.append(f"{len(meshes)} meshes were left out: inertias are those that the file gives")


def _drive(spec: Any, joints: Sequence[str], mode: str, servo: Mapping[str, Servo], name: str) -> None:
    """One actuator per recorded joint that takes what was commanded."""
    for joint in joints:
        old = [actuator for actuator in spec.actuators if actuator.target == joint]
        kept = next((actuator for actuator in old if _follows(actuator) == mode and joint not in servo), None)
        if kept is not None and mode != "effort":
            kept.name = joint
            _drop(spec, [actuator for actuator in old if actuator is not kept])
            continue
        if kept is not None and kept.gaintype == mujoco.mjtGain.mjGAIN_DCMOTOR:
            continue
        limit = _force_limit(old)
        _drop(spec, old)
        fresh = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        if mode == "effort":
            fresh.set_to_motor()
            continue
        if joint not in servo:
            raise ValueError(
                f"the log commands {mode}s of joint {joint!r}, but {name} has no {mode} servo for it; give the gains of the controller: "
                "servo: {kp: 20, kd: 1.5} in the file of parameters"
            )
        gains = servo[joint]
        if mode == "position":
            fresh.set_to_position(kp=gains.kp, kv=gains.kd)
        else:
            fresh.set_to_intvelocity(kp=gains.kp, kv=gains.kd)
        if limit:
            fresh.forcelimited, fresh.forcerange = True, [-limit, limit]


def _follows(actuator: Any) -> str:
    """What an actuator is commanded."""
    if actuator.gaintype == mujoco.mjtGain.mjGAIN_DCMOTOR:
        return "position" if actuator.gainprm[4] else "effort"
    if actuator.dyntype == mujoco.mjtDyn.mjDYN_INTEGRATOR:
        return "velocity"
    if actuator.biastype == mujoco.mjtBias.mjBIAS_AFFINE and actuator.biasprm[1]:
        return "position"
    return "velocity" if actuator.biasprm[2] else "effort"


def _force_limit(actuators: Sequence[Any]) -> float:
    """Largest force of what drove a joint; 0 if there was no limit."""
    for actuator in actuators:
        gear = abs(actuator.gear[0]) * abs(actuator.gainprm[0] if _follows(actuator) == "effort" else 1.0)
        if actuator.forcelimited and actuator.forcerange[1] > 0:
            return float(actuator.forcerange[1] * abs(actuator.gear[0]))
        if _follows(actuator) == "effort" and actuator.ctrlrange[1] > 0:
            return float(actuator.ctrlrange[1] * gear)
    return 0.0


def _passive(spec: Any, joint: Any, driven: Sequence[str]) -> bool:
    """Whether a joint alone holds its body, on something that stands still, and nothing drives it."""
    if joint.name in driven or int(joint.type) not in SINGLE or len(joint.parent.joints) > 1:
        return False
    body = joint.parent.parent
    while body is not None and body.name != spec.worldbody.name:
        if len(body.joints):
            return False
        body = body.parent
    return not any(actuator.target == joint.name for actuator in spec.actuators)


def _tool(model: Any, joint: str, asked: str, name: str) -> str:
    names = [model.body(number).name for number in range(1, model.nbody)]
    if asked:
        if asked not in names:
            raise ValueError(f"tool {asked!r} is no body of {name}; {strict.suggest(asked, names)}")
        return asked
    number = int(model.joint(joint).bodyid[0])
    while (children := np.flatnonzero(model.body_parentid == number)[-1:]).size and children[0] != number:
        number = int(children[0])
    return str(model.body(number).name)


def _compile(spec: Any, name: str) -> Any:
    try:
        model = spec.compile()
    except ValueError as error:
        raise ValueError(f"{name} cannot be simulated: {_one_line(error)}") from None
    data = mujoco.MjData(model)
    for _ in range(10):
        mujoco.mj_step(model, data)
    if not np.isfinite(data.qacc).all():
        raise ValueError(f"{name} cannot be simulated: its accelerations are not finite within 10 steps")
    return model


def _drop(spec: Any, elements: Sequence[Any]) -> None:
    for element in elements:
        spec.delete(element)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
