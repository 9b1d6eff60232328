"""Which robots there are, and reading their profiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from isthmus import strict
from isthmus.installed import find_installed, installed_names, load_installed
from isthmus.robot.agreement import profile_problems
from isthmus.robot.robot import Robot

__all__ = ["load_robot", "robot_names"]

_GROUP = "isthmus.robots"
_PACKAGED = Path(__file__).parents[1] / "robots"


def robot_names(folders: Sequence[Path | str] = ()) -> list[str]:
    """Names of the profiles in `folders`, in this package and in others that are installed, sorted."""
    found = {path.parent.name for folder in (*_folders(folders), _PACKAGED) for path in folder.glob("*/robot.yaml")}
    return sorted(found.union(installed_names(_GROUP)))


def load_robot(name: str, folders: Sequence[Path | str] = ()) -> Robot:
    """Read a robot profile.

    Args:
        name: name of the profile's folder.
        folders: searched before the profiles of this package and of others that are installed.

    Raises:
        ValueError: a folder is not there, no such robot (the message lists the known ones), two packages have one of that name, or its file is
            wrong or contradicts its URDF.
    """
    if not isinstance(name, str):
        raise ValueError(f"unknown robot {name!r}; {strict.suggest(name, robot_names())}")
    path = _profile(name, _folders(folders))
    robot = strict.decode(Robot, strict.load_yaml(path), str(path))
    if robot.name != name:
        raise ValueError(f"{path}: name is {robot.name!r}, the folder is {name!r}")
    robot = dataclasses.replace(robot, folder=str(path.parent))
    if not robot.urdf_path.is_file():
        raise ValueError(f"{path}: URDF {robot.urdf!r} is not beside it")
    if problems := profile_problems(robot):
        raise ValueError(f"{path}: {'; '.join(problems)}")
    return robot


def _folders(folders: Sequence[Path | str]) -> list[Path]:
    if not isinstance(folders, Sequence) or isinstance(folders, str):
        raise ValueError(f"folders must be a list of paths, got {folders!r}")
    return [strict.path("a folder of profiles", folder) for folder in folders]


def _profile(name: str, folders: Sequence[Path]) -> Path:
    """Where the profile is."""
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder}; it must hold NAME/robot.yaml")
        if (path := folder / name / "robot.yaml").is_file():
            return path
    own = _PACKAGED / name / "robot.yaml"
    entry = find_installed(_GROUP, name, own=own.is_file())
    if entry is None:
        if own.is_file():
            return own
        raise ValueError(f"unknown robot {name!r}; {strict.suggest(name, robot_names(folders))}")
    for place in getattr(load_installed(entry), "__path__", ()):
        if (path := Path(place) / name / "robot.yaml").is_file():
            return path
    raise ValueError(f"{_GROUP}: {name!r} is {entry.value}, but there is no {name}/robot.yaml in that package")
