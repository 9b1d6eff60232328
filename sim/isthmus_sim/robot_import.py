"""A robot in MJCF as a profile: the compiled model is written as a URDF, which the core then imports.

MJCF says more than a URDF (servo gains, rotor inertia, a home pose), and that goes into the profile. Tendons, equality constraints and whatever is
not the robot have no counterpart: they are named, not dropped silently.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from isthmus.files import write_whole
from isthmus.numerals import number_text
from isthmus.records import Array
from isthmus.robot import Robot, Servo
from isthmus.robot_import import Hints, ImportedRobot, import_urdf
from isthmus.robot_import.elements import origin_attributes, turn, vector_text
from isthmus_sim.mjcf_differences import actuator_notes, apart_from_file, left_out, option_notes

__all__ = ["import_mjcf"]

_FREE, _BALL, _SLIDE, _HINGE = (int(getattr(mujoco.mjtJoint, f"mjJNT_{kind}")) for kind in ("FREE", "BALL", "SLIDE", "HINGE"))
_SPHERE, _CAPSULE, _CYLINDER, _BOX, _MESH = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind}")) for kind in ("SPHERE", "CAPSULE", "CYLINDER", "BOX", "MESH")
)
_AFFINE, _NONE, _FIXED = int(mujoco.mjtBias.mjBIAS_AFFINE), int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtGain.mjGAIN_FIXED)
_UPRIGHT = 1e-9  # by which the cosine of a tilt may differ from 1


def import_mjcf(name: str, mjcf: Path, out: Path) -> ImportedRobot:
    """Write the profile `out/name/` for the robot in an MJCF file: the tree of bodies with the most actuated joints.

    Args:
        name: name of the robot and its folder.
        mjcf: the file.
        out: folder of profiles.

    Raises:
        ValueError: MuJoCo cannot read the file, it has no robot, or a joint has no counterpart in a URDF; and what `import_urdf` raises.
    """
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = mujoco.MjSpec.from_file(str(mjcf)).compile()
    except ValueError as error:
        raise ValueError(f"{mjcf}: MuJoCo cannot read it: {' '.join(str(error).split())}") from None
    tree = _Tree(model, mjcf, [f"MuJoCo says of the file: {' '.join(str(line.message).split())}" for line in told])
    with tempfile.TemporaryDirectory() as folder:
        urdf = Path(folder) / "robot.urdf"
        write_whole(urdf, ElementTree.tostring(tree.written(Path(folder))))
        try:
            imported = import_urdf(name, urdf, out, tree.hints(mjcf.name))
        except ValueError as error:
            raise ValueError(str(error).replace(str(urdf), str(mjcf))) from None
        return replace(imported, notes=(*imported.notes, *tree.apart(imported.robot)))


class _Tree:
    """One kinematic tree of a compiled model."""

    def __init__(self, model: Any, mjcf: Path, notes: list[str]) -> None:
        self.model, self.mjcf, self.notes = model, mjcf, notes
        on_joints = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
        self.actuators: dict[int, int] = {}  # joint → its servo of position, or else its first actuator, in the order of the actuators
        for actuator in range(model.nu):
            joint = int(model.actuator_trnid[actuator, 0])
            known = self.actuators.get(joint)
            if model.actuator_trntype[actuator] in on_joints and (known is None or self._is_servo(actuator) > self._is_servo(known)):
                self.actuators[joint] = actuator
        moving = [joint for joint in range(model.njnt) if model.jnt_type[joint] != _FREE]
        candidates = [joint for joint in self.actuators if joint in moving] or moving
        if not candidates:
            raise ValueError(f"{mjcf}: no joint moves; a robot has at least one hinge or slide joint")
        roots = [int(model.body_rootid[model.jnt_bodyid[joint]]) for joint in candidates]
        self.root = max(roots, key=roots.count)
        self.bodies = [body for body in range(1, model.nbody) if model.body_rootid[body] == self.root]
        self.names = {body: model.body(body).name or f"body_{body}" for body in self.bodies}
        if others := sorted({model.body(body).name or f"body_{body}" for body in set(map(int, model.body_rootid)) - {0, self.root}}):
            self.notes.append(f"not part of the robot and left out: {', '.join(others)}")
        self.notes += [*left_out(model, self.actuators), *option_notes(model, self.names)]

    @property
    def moving(self) -> dict[int, str]:
        """The joints of the robot that are not free, and their names."""
        joints = [joint for body in self.bodies for joint in self._joints(body)]
        return {joint: self._joint_name(joint) for joint in joints if self.model.jnt_type[joint] != _FREE}

    def apart(self, robot: Robot) -> list[str]:
        """How the profile that was written differs from the file."""
        return apart_from_file(self.model, self.root, self.names, self.moving, robot)

    def hints(self, source: str) -> Hints:
        """What the profile needs and the URDF does not say."""
        model, names = self.model, self.moving
        actuated = [joint for joint in self.actuators if joint in names]
        passive = [name for joint, name in names.items() if joint not in actuated] if actuated else []
        if passive:
            self.notes.append(f"joints without an actuator move freely, and forward kinematics takes them as 0: {', '.join(passive)}")
        home = {name: start for joint, name in names.items() if (start := float(model.qpos0[model.jnt_qposadr[joint]]))}
        if "home" in (model.key(key).name for key in range(model.nkey)):
            home = {name: float(model.key("home").qpos[model.jnt_qposadr[joint]]) for joint, name in names.items()}
        self.notes += actuator_notes(model, self.actuators, names)
        servos = {name: self._servo(joint) for joint, name in names.items()}
        return Hints(tuple(names[joint] for joint in actuated) or None, home, servos, self.notes, source)

    def written(self, folder: Path) -> Element:
        """The tree as a `<robot>`; meshes are written to `folder`."""
        robot = Element("robot", name="imported")
        first = self._joints(self.root)
        above = ""
        if first:  # the root moves: something must hold it
            above = "base_link" if "base_link" not in self.names.values() else "world"
            SubElement(robot, "link", name=above)
        else:
            above = self._mounting(robot)
        for body in self.bodies:
            parent = above if body == self.root else self.names[int(self.model.body_parentid[body])]
            self._add_body(robot, body, parent, folder)
        return robot

    def _mounting(self, robot: Element) -> str:
        """Name of a link above a root that does not stand upright, or gravity would pull another way; "" for one that does."""
        position, rotation = self.model.body_pos[self.root], _matrix(self.model.body_quat[self.root])
        if rotation[2, 2] > 1 - _UPRIGHT:
            if position.any() or not np.allclose(rotation, np.eye(3), atol=_UPRIGHT):
                yaw = math.atan2(rotation[1, 0], rotation[0, 0])
                self.notes.append(
                    f"the file has {self.names[self.root]} at {vector_text(position.round(6))} m, turned by {yaw:.4g} rad: "
                    "the profile's frame is that link, wherever it stands"
                )
            return ""
        above = "world" if "world" not in self.names.values() else "world_above"
        self.notes.append(f"{self.names[self.root]} does not stand upright in the file: it is fixed to a root link {above} as it is there")
        SubElement(robot, "link", name=above)
        return above

    def _add_body(self, robot: Element, body: int, parent: str, folder: Path) -> None:
        """A joint of a URDF sits in the origin of its child link: bodies whose joints do not get links in between."""
        model, name = self.model, self.names[body]
        position, rotation = model.body_pos[body].copy(), _matrix(model.body_quat[body])
        joints = self._joints(body)
        anchor = np.zeros(3)
        for place, joint in enumerate(joints):
            kind, axis, start = int(model.jnt_type[joint]), model.jnt_axis[joint], float(model.qpos0[model.jnt_qposadr[joint]])
            if kind == _BALL:
                raise ValueError(f"{self.mjcf}: joint {self._joint_name(joint)!r} is a ball joint, which a URDF has not; use three hinges")
            here = np.zeros(3) if kind == _FREE else model.jnt_pos[joint]
            position, anchor = position + rotation @ (here - anchor), here
            if kind == _SLIDE:
                position = position - rotation @ axis * start
            elif kind == _HINGE:
                rotation = rotation @ turn(axis, -start)
            last = place == len(joints) - 1 and not anchor.any()
            child = name if last else f"{name}_{self._joint_name(joint)}"
            if not last:
                SubElement(robot, "link", name=child)
            self._add_joint(robot, joint, parent, child, origin_attributes(position, rotation))
            parent, position, rotation = child, np.zeros(3), np.eye(3)
        if parent and parent != name:
            fixed = SubElement(robot, "joint", name=f"{name}_fixed", type="fixed")
            _connect(fixed, parent, name, origin_attributes(position - rotation @ anchor, rotation))
        link = SubElement(robot, "link", name=name)
        inertial = SubElement(link, "inertial")
        SubElement(inertial, "origin", origin_attributes(model.body_ipos[body], _matrix(model.body_iquat[body])))
        SubElement(inertial, "mass", value=number_text(model.body_mass[body]))
        x, y, z = (number_text(value) for value in model.body_inertia[body])
        SubElement(inertial, "inertia", ixx=x, iyy=y, izz=z, ixy="0", ixz="0", iyz="0")
        self._add_shapes(link, body, folder)

    def _add_joint(self, robot: Element, joint: int, parent: str, child: str, origin: dict[str, str]) -> None:
        model, kind = self.model, int(self.model.jnt_type[joint])
        limited = bool(model.jnt_limited[joint])
        types = {_FREE: "floating", _SLIDE: "prismatic", _HINGE: "revolute" if limited else "continuous"}
        element = SubElement(robot, "joint", name=self._joint_name(joint), type=types[kind])
        _connect(element, parent, child, origin)
        if kind == _FREE:
            return
        SubElement(element, "axis", xyz=vector_text(model.jnt_axis[joint]))
        limit = SubElement(element, "limit")
        if limited:
            limit.attrib |= {"lower": number_text(model.jnt_range[joint, 0]), "upper": number_text(model.jnt_range[joint, 1])}
        for word, bound in (("effort", self._effort(joint)), ("velocity", self._velocity(joint))):
            if bound:
                limit.set(word, number_text(bound))
        dof = int(model.jnt_dofadr[joint])
        damping, friction = float(np.ravel(model.dof_damping[dof])[0]), float(model.dof_frictionloss[dof])
        if damping or friction:
            SubElement(element, "dynamics", damping=number_text(damping), friction=number_text(friction))

    def _add_shapes(self, link: Element, body: int, folder: Path) -> None:
        model = self.model
        geoms = [geom for geom in range(model.ngeom) if model.geom_bodyid[geom] == body]
        touching = [geom for geom in geoms if model.geom_contype[geom] or model.geom_conaffinity[geom]]
        apart = bool(touching) and len(touching) < len(geoms)  # some shapes are for the eye, others for contacts
        for geom in geoms:
            shape = self._shape(geom, folder)
            if shape is None:
                self.notes.append(
                    f"a {mujoco.mjtGeom(model.geom_type[geom]).name[7:].lower()} of {link.get('name')} left out: a URDF has none"
                )
                continue
            for tag in ("visual", "collision"):
                if apart and (tag == "collision") != (geom in touching):
                    continue
                element = SubElement(link, tag)
                SubElement(element, "origin", origin_attributes(model.geom_pos[geom], _matrix(model.geom_quat[geom])))
                SubElement(element, "geometry").append(shape)
                if tag == "visual":
                    color = vector_text(model.geom_rgba[geom])
                    SubElement(SubElement(element, "material", name=f"color_{geom}"), "color", rgba=color)

    def _shape(self, geom: int, folder: Path) -> Element | None:
        kind, (x, y, z) = int(self.model.geom_type[geom]), (float(value) for value in self.model.geom_size[geom])
        if kind == _SPHERE:
            return Element("sphere", radius=number_text(x))
        if kind == _BOX:
            return Element("box", size=vector_text((2 * x, 2 * y, 2 * z)))
        if kind in (_CAPSULE, _CYLINDER):
            return Element("capsule" if kind == _CAPSULE else "cylinder", radius=number_text(x), length=number_text(2 * y))
        if kind == _MESH:
            return Element("mesh", filename=self._mesh(int(self.model.geom_dataid[geom]), folder))
        return None

    def _mesh(self, mesh: int, folder: Path) -> str:
        """Write a compiled mesh, whose frame is that of its geom, as OBJ."""
        view = self.model.mesh(mesh)
        name = f"{re.sub(r'[^A-Za-z0-9_]', '_', view.name)}_{mesh}.obj"
        start, count = int(view.vertadr[0]), int(view.vertnum[0])
        vertices = self.model.mesh_vert[start : start + count]
        faces = self.model.mesh_face[int(view.faceadr[0]) : int(view.faceadr[0]) + int(view.facenum[0])] + 1
        lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices] + [f"f {a} {b} {c}" for a, b, c in faces]
        write_whole(folder / name, "\n".join(lines) + "\n")
        return name

    def _effort(self, joint: int) -> float:
        """Largest effort, N·m or N; 0 if the file does not say."""
        model, limits = self.model, []
        if model.jnt_actfrclimited[joint]:
            limits.append(float(np.abs(model.jnt_actfrcrange[joint]).max()))
        if (actuator := self.actuators.get(joint)) is not None:
            gear = abs(float(model.actuator_gear[actuator, 0]))
            if model.actuator_forcelimited[actuator]:
                limits.append(gear * float(np.abs(model.actuator_forcerange[actuator]).max()))
            elif model.actuator_ctrllimited[actuator] and self._is_motor(actuator):
                limits.append(gear * float(model.actuator_gainprm[actuator, 0]) * float(np.abs(model.actuator_ctrlrange[actuator]).max()))
        return min(limits, default=0.0)

    def _velocity(self, joint: int) -> float:
        """Largest speed that a servo of velocity may be told, rad/s or m/s; 0 if the file does not say."""
        model, actuator = self.model, self.actuators.get(joint)
        if actuator is None or not model.actuator_ctrllimited[actuator] or model.actuator_biastype[actuator] != _AFFINE:
            return 0.0
        _, position, velocity = model.actuator_biasprm[actuator, :3]
        gear = abs(float(model.actuator_gear[actuator, 0]))
        return float(np.abs(model.actuator_ctrlrange[actuator]).max()) / gear if position == 0 and velocity < 0 and gear else 0.0

    def _is_servo(self, actuator: int) -> bool:
        """Whether an actuator drives its joint to a position."""
        return bool(self.model.actuator_biastype[actuator] == _AFFINE and self.model.actuator_biasprm[actuator, 1] < 0)

    def _is_motor(self, actuator: int) -> bool:
        """Whether an actuator's force is its command times a constant."""
        model = self.model
        return bool(model.actuator_biastype[actuator] == _NONE and model.actuator_gaintype[actuator] == _FIXED)

    def _servo(self, joint: int) -> Servo:
        """Rotor inertia, and the gains of a position actuator."""
        model, actuator = self.model, self.actuators.get(joint)
        armature = float(model.dof_armature[model.jnt_dofadr[joint]])
        if actuator is None or not self._is_servo(actuator):
            return Servo(armature)
        square = float(model.actuator_gear[actuator, 0]) ** 2
        return Servo(armature, -square * float(model.actuator_biasprm[actuator, 1]), -square * float(model.actuator_biasprm[actuator, 2]))

    def _joints(self, body: int) -> range:
        first = int(self.model.body_jntadr[body])
        return range(first, first + int(self.model.body_jntnum[body]))

    def _joint_name(self, joint: int) -> str:
        return self.model.joint(joint).name or f"{self.names[int(self.model.jnt_bodyid[joint])]}_joint_{joint}"


def _connect(joint: Element, parent: str, child: str, origin: dict[str, str]) -> None:
    SubElement(joint, "origin", origin)
    SubElement(joint, "parent", link=parent)
    SubElement(joint, "child", link=child)


def _matrix(quaternion: Array) -> Array:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
