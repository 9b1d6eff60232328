"""A robot and a scene in one PyBullet client."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pybullet

from isthmus.robot import Robot
from isthmus_sim.plants.base import sliding
from isthmus_sim.scene import Body, Hinge, Scene, Shape

__all__ = ["Place", "World", "robot_urdf"]

_URDF_SIZES = {
    "box": lambda size: {"size": " ".join(str(2 * value) for value in size)},
    "sphere": lambda size: {"radius": str(size[0])},
    "cylinder": lambda size: {"radius": str(size[0]), "length": str(2 * size[1])},
    "capsule": lambda size: {"radius": str(size[0]), "length": str(2 * size[1])},
}


_MOST_SHAPES = 16
"""Of a body; with more, PyBullet ends the process."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where PyBullet keeps a body.

    Attributes:
        body: unique id.
        link: index, -1 for the base.
    """

    body: int
    link: int


def robot_urdf(robot: Robot, scene: Scene) -> str:
    """The robot's URDF, with the bodies that its links carry as further links."""
    root = copy.deepcopy(ElementTree.parse(robot.urdf_path).getroot())  # noqa: S314 - profiles are installed data
    for body in scene.bodies:
        if not body.parent:
            continue
        if not any(link.attrib["name"] == body.parent for link in root.findall("link")):
            raise ValueError(f"body {body.name!r}: the robot has no link {body.parent!r}")
        link = ElementTree.SubElement(root, "link", name=body.name)
        inertial = ElementTree.SubElement(link, "inertial")
        moments = body.moments() if body.mass else np.zeros(3)
        center = body.centroid() if body.mass else np.zeros(3)
        ElementTree.SubElement(inertial, "origin", xyz=_text(center.tolist()), rpy="0 0 0")
        ElementTree.SubElement(inertial, "mass", value=str(body.mass))
        ixx, iyy, izz = (str(value) for value in moments)
        ElementTree.SubElement(inertial, "inertia", ixx=ixx, ixy="0", ixz="0", iyy=iyy, iyz="0", izz=izz)
        for shape in body.shapes:
            for kind in ("visual", "collision") if shape.collides else ("visual",):
                element = ElementTree.SubElement(link, kind)
                ElementTree.SubElement(element, "origin", xyz=_text(shape.position), rpy=_rpy(shape.rotation))
                geometry = ElementTree.SubElement(element, "geometry")
                ElementTree.SubElement(geometry, shape.kind, _URDF_SIZES[shape.kind](shape.size))
                if kind == "visual":
                    material = ElementTree.SubElement(element, "material", name=f"{body.name}-{id(shape)}")
                    ElementTree.SubElement(material, "color", rgba=_text(shape.color))
        joint = ElementTree.SubElement(root, "joint", name=f"{body.name}-mount", type="fixed")
        ElementTree.SubElement(joint, "parent", link=body.parent)
        ElementTree.SubElement(joint, "child", link=body.name)
        ElementTree.SubElement(joint, "origin", xyz=_text(body.position), rpy=_rpy(body.rotation))
    return ElementTree.tostring(root, encoding="unicode")


class World:
    """Loads robot and scene into clients.

    Attributes:
        robot: unique id of the robot.
        joints: URDF joint name → index.
        links: link name → index, -1 for the root.
        places: scene body → where it is.
    """

    def __init__(self, robot: Robot, scene: Scene, timestep: float) -> None:
        for body in scene.bodies:
            if len(body.shapes) > _MOST_SHAPES:
                raise ValueError(
                    f"plant 'pybullet' cannot express body {body.name!r}: it has {len(body.shapes)} shapes, {_MOST_SHAPES} are allowed"
                )
            if len(body.shapes) > 1 and any(shape.kind == "heightfield" for shape in body.shapes):
                raise ValueError(f"plant 'pybullet' cannot express body {body.name!r}: a heightfield must be its only shape")
            if isinstance(body.joint, Hinge) and body.joint.armature:
                raise ValueError(f"plant 'pybullet' cannot express the armature of the hinge of body {body.name!r}")
        self._profile, self._scene, self._timestep = robot, scene, timestep
        self._names = {body.name for body in scene.bodies}
        self._folder = tempfile.TemporaryDirectory(prefix="isthmus-")
        self._urdf = robot.urdf_path
        if any(body.parent for body in scene.bodies):
            self._urdf = Path(self._folder.name) / "robot.urdf"
            self._urdf.write_text(robot_urdf(robot, scene), encoding="utf-8")
        self._fresh: dict[int, tuple[dict[str, float], int]] = {}  # client → what its world was made with, and its saved state
        self.robot = -1
        self.joints: dict[str, int] = {}
        self.links: dict[str, int] = {}
        self.places: dict[str, Place] = {}

    def begin(self, client: int, values: Mapping[str, float], height: float) -> None:
        """Put a client's world back to its beginning, with the bodies' parameters as in `values`; a mobile robot's root link is at `height` m.

        Bullet's solver remembers its last impulses, so that placing bodies is not enough. The saved state of a fresh world leads to the same bits
        as making the world anew, and is a hundred times faster; but not for mobile robots, whose motors remember more.
        """
        # The rest is told to the world after it has begun, or is none of its business, as noise and delays.
        built_in = {name: value for name, value in values.items() if name == "payload" or name.rpartition(".")[0] in self._names}
        if client in self._fresh and self._fresh[client][0] == built_in:
            pybullet.restoreState(self._fresh[client][1], physicsClientId=client)
            return
        self._load(client, values, height)
        if self._profile.base.kind == "fixed":
            self._fresh[client] = built_in, pybullet.saveState(physicsClientId=client)

    def _load(self, client: int, values: Mapping[str, float], height: float) -> None:
        c: dict[str, Any] = {"physicsClientId": client}
        pybullet.resetSimulation(**c)
        pybullet.setTimeStep(self._timestep, **c)
        fixed = self._profile.base.kind == "fixed"
        flags = pybullet.URDF_USE_INERTIA_FROM_FILE
        self.robot = pybullet.loadURDF(str(self._urdf), [0, 0, height], useFixedBase=fixed, flags=flags, **c)
        if not self.joints:
            self._learn_names(client)
        for link in range(-1, len(self.joints)):
            # Bullet damps every link by default; the other engines do not.
            pybullet.changeDynamics(self.robot, link, linearDamping=0, angularDamping=0, jointDamping=0, lateralFriction=1.0, **c)
            pybullet.setCollisionFilterGroupMask(self.robot, link, 0, 0, **c)
        for body in self._scene.bodies:
            self.places[body.name] = Place(self.robot, self.links[body.name]) if body.parent else self._add(client, body, values)
            place = self.places[body.name]
            friction = values.get(f"{body.name}.friction", body.friction)
            torsion = values.get(f"{body.name}.torsional_friction", body.torsional_friction)
            pybullet.changeDynamics(place.body, place.link, lateralFriction=friction, spinningFriction=torsion, rollingFriction=0, **c)
        for caster in self._profile.base.casters:
            pybullet.changeDynamics(self.robot, self.links[caster], lateralFriction=0.0, **c)
        for index in sliding(self._profile):
            # Friction without position creeps: Bullet's solver would let anything turn slowly between two fingers.
            pybullet.changeDynamics(self.robot, self.joints[self._profile.joints[index].name], frictionAnchor=1, **c)
        for first, second in self._scene.contacts:
            one, other = self._place_of(first), self._place_of(second)
            pybullet.setCollisionFilterPair(one.body, other.body, one.link, other.link, 1, **c)

    def center(self, body: Body, values: Mapping[str, float]) -> list[float]:
        """Centre of mass of a moving body in its frame, m."""
        return [values.get(f"{body.name}.com_{axis}", float(x)) for axis, x in zip("xyz", body.centroid(), strict=True)]

    def _learn_names(self, client: int) -> None:
        self.links[pybullet.getBodyInfo(self.robot, physicsClientId=client)[0].decode()] = -1
        for index in range(pybullet.getNumJoints(self.robot, physicsClientId=client)):
            information = pybullet.getJointInfo(self.robot, index, physicsClientId=client)
            self.joints[information[1].decode()] = index
            self.links[information[12].decode()] = index

    def _place_of(self, name: str) -> Place:
        if name in self.places:
            return self.places[name]
        if name not in self.links:
            raise ValueError(f"a contact names {name!r}, which is no body and no link")
        return Place(self.robot, self.links[name])

    def _add(self, client: int, body: Body, values: Mapping[str, float]) -> Place:
        c: dict[str, Any] = {"physicsClientId": client}
        collision, visual = _collision(body, client), _visual(body, client)
        offset = [values.get(f"{body.name}.{axis}", x) for axis, x in zip("xyz", body.position, strict=True)]
        yaw = pybullet.getQuaternionFromEuler([0, 0, values.get(f"{body.name}.yaw", 0.0)])
        rotation = pybullet.multiplyTransforms([0, 0, 0], yaw, [0, 0, 0], body.rotation)[1]
        if body.shapes[0].kind == "heightfield":
            number = _add_terrain(client, body.shapes[0], collision, (offset, rotation))
            place = Place(number, 0)
        elif not body.moves:
            number = pybullet.createMultiBody(0, collision, visual, offset, rotation, **c)
            place = Place(number, -1)
        elif body.joint == "free":
            center = self.center(body, values)
            number = pybullet.createMultiBody(body.mass, collision, visual, offset, rotation, baseInertialFramePosition=center, **c)
            place = Place(number, -1)
        else:
            number = self._add_hinged(client, body, values, (collision, visual), (offset, rotation))
            place = Place(number, 0)
        if body.moves:
            mass = values.get(f"{body.name}.mass", body.mass)
            moments = body.moments() * mass / body.mass * values.get(f"{body.name}.inertia", 1.0)
            pybullet.changeDynamics(number, place.link, mass=mass, localInertiaDiagonal=moments.tolist(), **c)
        for link in range(-1, place.link + 1):
            pybullet.changeDynamics(number, link, linearDamping=0, angularDamping=0, **c)
            pybullet.setCollisionFilterGroupMask(number, link, 0, 0, **c)
        return place

    def _add_hinged(
        self, client: int, body: Body, values: Mapping[str, float], shapes: tuple[int, int], pose: tuple[Sequence[float], Sequence[float]]
    ) -> int:
        hinge = body.joint
        assert isinstance(hinge, Hinge)  # noqa: S101 - the caller's case
        c: dict[str, Any] = {"physicsClientId": client}
        number = pybullet.createMultiBody(
            0,
            -1,
            -1,
            *pose,
            linkMasses=[body.mass],
            linkCollisionShapeIndices=[shapes[0]],
            linkVisualShapeIndices=[shapes[1]],
            linkPositions=[[0, 0, 0]],
            linkOrientations=[[0, 0, 0, 1]],
            linkInertialFramePositions=[self.center(body, values)],
            linkInertialFrameOrientations=[[0, 0, 0, 1]],
            linkParentIndices=[0],
            linkJointTypes=[pybullet.JOINT_REVOLUTE if hinge.kind == "hinge" else pybullet.JOINT_PRISMATIC],
            linkJointAxis=[hinge.axis],
            **c,
        )
        damping = values.get(f"{body.name}.damping", hinge.damping)
        if np.isfinite([hinge.low, hinge.high]).all():
            pybullet.changeDynamics(number, 0, jointLowerLimit=hinge.low, jointUpperLimit=hinge.high, **c)
        pybullet.changeDynamics(number, 0, jointDamping=damping, **c)
        # A velocity motor towards zero with a small largest torque is dry friction; without it PyBullet's default motor would hold the joint.
        friction = values.get(f"{body.name}.frictionloss", hinge.frictionloss)
        pybullet.setJointMotorControl2(number, 0, pybullet.VELOCITY_CONTROL, targetVelocity=0, force=friction, **c)
        return number


def _add_terrain(client: int, shape: Shape, collision: int, pose: tuple[Sequence[float], Sequence[float]]) -> int:
    """A body with a heightfield as its link: Bullet ignores a heightfield's own place, and counts it from half its height instead of its lowest."""
    up = pybullet.rotateVector(shape.rotation, [0, 0, float(np.ptp(shape.heights)) / 2])
    return int(
        pybullet.createMultiBody(
            0,
            -1,
            -1,
            *pose,
            linkMasses=[0],
            linkCollisionShapeIndices=[collision],
            linkVisualShapeIndices=[-1],
            linkPositions=[[place + lift for place, lift in zip(shape.position, up, strict=True)]],
            linkOrientations=[shape.rotation],
            linkInertialFramePositions=[[0, 0, 0]],
            linkInertialFrameOrientations=[[0, 0, 0, 1]],
            linkParentIndices=[0],
            linkJointTypes=[pybullet.JOINT_FIXED],
            linkJointAxis=[[0, 0, 1]],
            physicsClientId=client,
        )
    )


_SHAPES = {
    "box": pybullet.GEOM_BOX,
    "sphere": pybullet.GEOM_SPHERE,
    "cylinder": pybullet.GEOM_CYLINDER,
    "capsule": pybullet.GEOM_CAPSULE,
    "plane": pybullet.GEOM_PLANE,
}


def _collision(body: Body, client: int) -> int:
    shapes = [shape for shape in body.shapes if shape.collides]
    if not shapes:
        return -1
    if shapes[0].kind == "heightfield":
        return _heightfield(shapes[0], client)
    return int(
        pybullet.createCollisionShapeArray(
            shapeTypes=[_SHAPES[shape.kind] for shape in shapes],
            radii=[_radius(shape) for shape in shapes],
            halfExtents=[_extents(shape) for shape in shapes],
            lengths=[_length(shape) for shape in shapes],
            planeNormals=[[0, 0, 1]] * len(shapes),
            collisionFramePositions=[shape.position for shape in shapes],
            collisionFrameOrientations=[shape.rotation for shape in shapes],
            physicsClientId=client,
        )
    )


def _visual(body: Body, client: int) -> int:
    shapes = [shape for shape in body.shapes if shape.kind not in ("heightfield", "plane")]
    if not shapes:
        return -1
    return int(
        pybullet.createVisualShapeArray(
            shapeTypes=[_SHAPES[shape.kind] for shape in shapes],
            radii=[_radius(shape) for shape in shapes],
            halfExtents=[_extents(shape) for shape in shapes],
            lengths=[_length(shape) for shape in shapes],
            rgbaColors=[shape.color for shape in shapes],
            visualFramePositions=[shape.position for shape in shapes],
            visualFrameOrientations=[shape.rotation for shape in shapes],
            physicsClientId=client,
        )
    )


def _heightfield(shape: Shape, client: int) -> int:
    heights = np.array(shape.heights)
    rows, columns = heights.shape
    scale = [2 * shape.size[0] / (columns - 1), 2 * shape.size[1] / (rows - 1), 1]
    return int(
        pybullet.createCollisionShape(
            pybullet.GEOM_HEIGHTFIELD,
            meshScale=scale,
            heightfieldData=(heights - heights.min()).ravel().tolist(),
            numHeightfieldRows=columns,
            numHeightfieldColumns=rows,
            physicsClientId=client,
        )
    )


def _radius(shape: Shape) -> float:
    return shape.size[0] if shape.kind in ("sphere", "cylinder", "capsule") else 0.0


def _extents(shape: Shape) -> tuple[float, ...]:
    return shape.size if shape.kind == "box" else (0.0, 0.0, 0.0)


def _length(shape: Shape) -> float:
    return 2 * shape.size[1] if shape.kind in ("cylinder", "capsule") else 0.0


def _text(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _rpy(rotation: tuple[float, float, float, float]) -> str:
    return _text(pybullet.getEulerFromQuaternion(rotation))
