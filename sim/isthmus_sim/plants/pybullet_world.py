"""A robot and a scene in one PyBullet client."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pybullet

from isthmus.files import write_whole
from isthmus.robot import Robot
from isthmus_sim.plants.base import sliding
from isthmus_sim.plants.pybullet_shapes import collision_shape, visual_shape
from isthmus_sim.plants.pybullet_urdf import robot_urdf
from isthmus_sim.scene import Body, Hinge, Scene, Shape

__all__ = ["Place", "World"]

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
        self._urdf = Path(self._folder.name) / "robot.urdf"
        write_whole(self._urdf, robot_urdf(robot, scene))
        self._fresh: dict[int, tuple[dict[str, float], int]] = {}  # client → what its world was made with, and its saved state
        self.robot = -1
        self.joints: dict[str, int] = {}
        self.links: dict[str, int] = {}
        self.places: dict[str, Place] = {}

    def begin(self, client: int, values: Mapping[str, float], height: float) -> None:
        """Put a client's world back to its beginning, with the bodies' parameters as in `values`; a mobile robot's root link is at `height` m.

        Bullet's solver remembers its last impulses, so that placing bodies is not enough. The saved state of a fresh world leads to the same bits
        as making the world anew, in much less time; but not for mobile robots, whose motors remember more.
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
        try:
            self.robot = pybullet.loadURDF(str(self._urdf), [0, 0, height], useFixedBase=fixed, flags=flags, **c)
        except pybullet.error as error:
            raise ValueError(f"PyBullet cannot load robot {self._profile.name!r}: {error}") from None
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
        collision, visual = collision_shape(body, client), visual_shape(body, client)
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
