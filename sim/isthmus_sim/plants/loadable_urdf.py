"""A robot's URDF with the meshes that engines load: others end a process without a word, or are loaded by one engine alone."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from isthmus.robot import Robot
from isthmus.robot_import.meshes import loaded_mesh

__all__ = ["loadable_urdf"]

_CURE = "`isthmus robots import` writes a URDF with meshes that engines load"


def loadable_urdf(robot: Robot) -> Element:
    """The `<robot>` element, its meshes with their whole paths; one for the eye alone that engines do not load is left out.

    Raises:
        ValueError: a mesh for contacts that engines do not load, or two files with one name, which MuJoCo would take for one mesh.
    """
    root = ElementTree.parse(robot.urdf_path).getroot()  # noqa: S314 - profiles are installed data
    imported = any(compiler.get("discardvisual") == "false" for compiler in root.findall("mujoco/compiler"))
    named: dict[str, Path] = {}  # file name without its ending → file
    for link in root.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            try:
                file = loaded_mesh(mesh, robot.urdf_path, copied=imported)
            except ValueError as error:
                if shape.tag == "collision":
                    raise ValueError(
                        f"{robot.urdf_path}: link {link.get('name')!r}: mesh {mesh.get('filename')!r} for contacts: {error}; {_CURE}"
                    ) from None
                link.remove(shape)  # for other readers of the file
                continue
            if (other := named.setdefault(file.stem, file)) != file:
                raise ValueError(f"{robot.urdf_path}: meshes {other} and {file} have one name, which MuJoCo takes for one mesh; {_CURE}")
            mesh.set("filename", str(file))
    return root
