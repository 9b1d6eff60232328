"""Somebody else's URDF as a robot profile: what the file says is read, what it cannot say is marked for a person to fill in.

Three steps, one module each: `description` repairs the URDF so that the core and every engine read the same robot from it, `meshes` copies what it
refers to, `profile` writes `robot.yaml`. An MJCF file is turned into a URDF first (`isthmus_sim.robot_import`).
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from isthmus.files import write_whole
from isthmus.kinematics import Kinematics
from isthmus.robot import Robot, load_robot
from isthmus.robot_import.description import is_mjcf, read_description, repair
from isthmus.robot_import.hints import Hints
from isthmus.robot_import.meshes import copy_meshes
from isthmus.robot_import.profile import write_profile

__all__ = ["Hints", "ImportedRobot", "import_urdf", "is_mjcf"]


@dataclass(frozen=True, slots=True)
class ImportedRobot:
    """A new profile and what its reader must know.

    Attributes:
        robot: the profile, as loaded from its folder.
        fill_in: values that a person must check or fill in; each is marked `# FILL IN` in `robot.yaml`.
        notes: what was changed, guessed or left out.
    """

    robot: Robot
    fill_in: tuple[str, ...]
    notes: tuple[str, ...]


def import_urdf(name: str, urdf: Path, out: Path, hints: Hints | None = None) -> ImportedRobot:
    """Write the profile `out/name/`: `robot.yaml`, `name.urdf` and its meshes.

    Args:
        name: name of the robot and its folder: lower-case letters, digits and underscores.
        urdf: the file; xacro must have been run.
        out: folder of profiles; made if it does not exist.
        hints: what is known besides.

    Raises:
        ValueError: the name is not valid or taken, or the file is not a URDF that describes one tree of links; the message says what is wrong.
        OSError: a file cannot be read or written.
    """
    hints = hints or Hints()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == "import":
        raise ValueError(
            f"a robot's name is lower-case letters, digits and underscores, starts with a letter and is not 'import', got {name!r}"
        )
    folder = out / name
    if folder.exists():
        raise ValueError(f"{folder} already exists; delete it, or choose another name or --out")
    notes = list(hints.notes)
    root = read_description(urdf)
    try:
        description = repair(root, urdf, hints.home, notes)
    except ValueError as error:
        raise ValueError(str(error) if str(urdf) in str(error) else f"{urdf}: {error}") from None
    folder.mkdir(parents=True)
    try:
        copy_meshes(root, urdf, folder, notes)
        root.set("name", name)
        ElementTree.indent(root)
        written = folder / f"{name}.urdf"
        write_whole(written, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
        fill_in = write_profile(folder, hints.source or urdf.name, description, Kinematics(written), hints)
        return ImportedRobot(load_robot(name, [out]), tuple(fill_in), tuple(notes))
    except BaseException:
        shutil.rmtree(folder)
        raise
