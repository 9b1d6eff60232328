"""`isthmus new`: a package of one's own, with a robot and a first task, that trains at once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from isthmus.files import write_whole
from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot, robot_names
from isthmus.robot_import import Hints, ImportedRobot, import_urdf, is_mjcf
from isthmus_cli.console import say
from isthmus_cli.files import check_folder
from isthmus_sim.tasks import task_names
from isthmus_sim.tasks.reach import reach_of

__all__ = ["New"]

_TRIED = 2000  # poses, of which the one that moves the tool best becomes the home pose
_BENT = 1.6  # rad at most from the middle of a joint's travel
_PROJECT = """[build-system]
requires = ["setuptools>=69"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
dependencies = ["isthmus"]

[project.entry-points."isthmus.robots"] # name of the robot = package with the folder of that name
{robot} = "{package}.robots"

[project.entry-points."isthmus.tasks"] # name of the task = function that makes it
{task} = "{package}.tasks:{function}"

[tool.setuptools.packages.find]
include = ["{package}*"]

[tool.setuptools.package-data] # of robots
"*" = ["*.yaml", "*.urdf", "*.obj", "*.stl"]
"""
_TASKS = '''"""Tasks of {package}."""

from isthmus import load_robot
from isthmus_sim.task import Task
from isthmus_sim.tasks.reach import reach_of

__all__ = ["{function}"]


def {function}() -> Task:
    """Bring the tool to a goal; see `reach_with` for goals, commands and lengths of your own."""
    return reach_of(load_robot("{robot}"), "{task}")
'''


@dataclass(frozen=True, slots=True)
class New:
    """Write a Python package with a robot of yours and a first task for it: bring the tool to a goal. It is installed, and then trains.

    The robot is an arm on a fixed base. Its profile is made as `isthmus robots import` makes it, and what a person must fill in
    is marked and listed there, too.

    Attributes:
        name: of the package: lower-case letters, digits and underscores.
        robot: URDF (xacro already expanded) or MJCF file.
        out: folder into which the package is written, as OUT/NAME.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    robot: Annotated[Path, tyro.conf.arg(metavar="URDF_OR_MJCF")]
    out: Path = Path()

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name is taken or wrong, the file is no arm on a fixed base, or the file is wrong; nothing is written then.
            OSError: a file cannot be read or written.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"the name of a package is lower-case letters, digits and underscores, got {self.name!r}")
        if keyword.iskeyword(self.name) or importlib.util.find_spec(self.name) or _distributed(self.name):
            raise ValueError(f"Python has {self.name!r} already, and the new package would take its place; choose another name")
        target = self.out / self.name
        if target.exists():
            raise ValueError(f"there is {target} already; choose another name or another --out")
        if self.robot.is_dir():
            raise ValueError(f"{self.robot} is a folder; --robot is a URDF or MJCF file")
        robot = re.sub(r"\W+", "_", self.robot.stem.lower(), flags=re.ASCII).strip("_")
        if not re.match("[a-z]", robot) or robot in robot_names():
            robot = f"{self.name}_arm"
        task = f"{robot.replace('_', '-')}-reach"
        if task in task_names():
            raise ValueError(f"there is a task {task!r} already; rename {self.robot}, the task has its name")
        check_folder(self.out)
        with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=self.out) as scratch:
            whole = Path(scratch) / self.name
            package = whole / self.name
            imported = _imported(robot, self.robot, package / "robots", Path(scratch))
            reach_of(imported.robot, task)
            words = {
                **{"distribution": self.name.replace("_", "-"), "package": self.name, "robot": robot, "task": task},
                "function": task.replace("-", "_"),
            }
            write_whole(whole / "pyproject.toml", _PROJECT.format(**words))
            write_whole(package / "__init__.py", f'"""Robots and tasks of {self.name}, for isthmus."""\n')
            write_whole(package / "tasks.py", _TASKS.format(**words))
            whole.rename(target)
        profile = target / self.name / "robots" / robot / "robot.yaml"
        say(f"package: {target}, with robot {robot!r} and task {task!r}")
        guessed, missing = "Changed, guessed or left out", f"To fill in before a real robot moves, in {profile}"
        for title, lines in ((guessed, imported.notes), (missing, imported.fill_in)):
            say(f"{title}:")
            for line in lines or ("nothing",):
                say(f"  {line}")
        say("next:")
        for line in (f"pip install -e {target}", f"isthmus view {task} --video {task}.mp4", f"isthmus train sac {task}"):
            say(f"  {line}")
        return 0


def _distributed(name: str) -> bool:
    """Whether a distribution of this name is installed, whatever its modules are called."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _imported(name: str, file: Path, out: Path, scratch: Path) -> ImportedRobot:
    """The robot; one of a URDF, which names no home pose, gets a bent one, because an arm at 0 is often stretched."""
    if is_mjcf(file):
        from isthmus_sim.robot_import import import_mjcf

        return import_mjcf(name, file, out)
    straight = import_urdf(name, file, scratch / "straight").robot
    home = _bent(straight)
    shutil.rmtree(scratch / "straight")
    imported = import_urdf(name, file, out, Hints(home=home))
    said = ", ".join(f"{joint} {angle:g}" for joint, angle in home.items())
    chosen = f"home: chosen for its bent arm, see that it is safe to start from: {said}"
    return ImportedRobot(imported.robot, (chosen, *imported.fill_in), imported.notes)


def _bent(robot: Robot) -> dict[str, float]:
    """Of many poses with no link below the base, if there are any, the one from which the tool moves best in all directions, rad."""
    low, high = np.array([joint.position for joint in robot.joints]).T
    low, high = np.maximum(low, -np.pi), np.minimum(high, np.pi)
    middle, half = (low + high) / 2, np.minimum((high - low) * 0.35, _BENT)
    poses = middle + half * np.random.default_rng(0).uniform(-1, 1, (_TRIED, len(middle)))
    kinematics = Kinematics(robot.urdf_path)
    places = kinematics.positions(robot.joint_names, poses, kinematics.links)
    heights = np.stack([place[:, 2] for place in places.values()], axis=1).min(axis=1)
    above = heights >= -1e-6
    best = int(np.argmax(np.where(above | ~above.any(), _dexterity(kinematics, robot, poses), -1)))  # a hanging arm is below in every pose
    return {joint: round(float(angle), 2) for joint, angle in zip(robot.joint_names, poses[best], strict=True)}


def _dexterity(kinematics: Kinematics, robot: Robot, poses: Array) -> Array:
    """The tool's way per radian in its worst direction, of those in which it moves at all, m, `[B]`."""
    ways = kinematics.jacobian(robot.joint_names, poses, robot.tool_frame)[:, :3]
    singular = np.linalg.svd(ways, compute_uv=False)
    return np.asarray(singular[:, max(0, int((singular.max(axis=0) > 1e-6).sum()) - 1)])
