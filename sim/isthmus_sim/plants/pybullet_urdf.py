"""A robot's URDF for PyBullet: with what it carries, as nothing is joined to a robot that is loaded, and without what PyBullet misreads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import pybullet

from isthmus.robot import Robot
from isthmus.robot_import.elements import MOVING, vector, vector_text
from isthmus.urdf import unit
from isthmus_sim.plants.loadable_urdf import loadable_urdf
from isthmus_sim.scene import Scene

__all__ = ["robot_urdf"]

_URDF_SIZES = {
    "box": lambda size: {"size": " ".join(str(2 * value) for value in size)},
    "sphere": lambda size: {"radius": str(size[0])},
    "cylinder": lambda size: {"radius": str(size[0]), "length": str(2 * size[1])},
    "capsule": lambda size: {"radius": str(size[0]), "length": str(2 * size[1])},
}


def robot_urdf(robot: Robot, scene: Scene) -> str:
    """The robot's URDF, with the bodies that its links carry as further links.

    PyBullet moves further along an axis that is longer than 1, and locks continuous joints that have limits: both are corrected.
    """
    root = loadable_urdf(robot)
    for joint in root.findall("joint"):
        axis, limit = joint.find("axis"), joint.find("limit")
        if axis is not None and joint.get("type") in MOVING:
            axis.set("xyz", vector_text(unit(vector(axis, "xyz", "1 0 0"))))
        if limit is not None and joint.get("type") == "continuous":
            for end in ("lower", "upper"):
                limit.attrib.pop(end, None)
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


def _text(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _rpy(rotation: tuple[float, float, float, float]) -> str:
    return _text(pybullet.getEulerFromQuaternion(rotation))
