"""`isthmus robots`: the robot profiles, and how one is made from a file of somebody else's."""

from __future__ import annotations

import functools
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus.robot import Robot, load_robot, robot_names
from isthmus.robot_import import ImportedRobot, import_urdf, is_mjcf
from isthmus_cli.console import made, say, show_table, write_json
from isthmus_sim.engine_agreement import compare_engines
from isthmus_sim.graphics import has_screen

__all__ = ["NOT_RUN", "ImportRobot", "Robots", "robot_folders"]

NOT_RUN = "not run"
"""What is said of a profile of which nothing was run on the real robot."""


@dataclass(frozen=True, slots=True)
class Robots:
    """List the robots, or show the joints, limits and topics of one; `isthmus robots import --help` tells how to add one.

    Attributes:
        name: robot to show; without it all are listed.
        robots: folder with profiles of your own, NAME/robot.yaml; searched first.
        copy: folder into which the profile is copied, as COPY/NAME, to be edited there.
        json: print JSON: a list, or the whole profile with a name.
    """

    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None
    robots: Path | None = None
    copy: Path | None = None
    json: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown robot (the message lists the known ones), a wrong profile, or a copy without a name or to where there is one.
            OSError: the copy cannot be written.
        """
        folders = robot_folders(self.robots)
        if self.copy is not None:
            if self.name is None:
                raise ValueError("--copy needs the name of a robot: isthmus robots NAME --copy FOLDER")
            source, target = Path(load_robot(self.name, folders).folder), self.copy / self.name
            if target.exists():
                raise ValueError(f"there is {target} already; choose another folder for --copy")
            self.copy.mkdir(parents=True, exist_ok=True)
            try:
                with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=self.copy) as scratch:
                    shutil.copytree(source, Path(scratch) / self.name).rename(target)
            except shutil.Error as error:  # a list of what could not be copied, and why
                file, _, why = error.args[0][0]
                raise OSError(f"{file} cannot be copied: {why}") from None
            say(f"{target / 'robot.yaml'}; it is used with --robots {self.copy}, robots_dir:={self.copy}")
            return 0
        if self.name is not None:
            robot = load_robot(self.name, folders)
            if self.json:
                write_json(robot)
            else:
                _show(robot)
            return 0
        robots, code = made(robot_names(folders), functools.partial(load_robot, folders=folders))
        if self.json:
            write_json([_facts(robot) for robot in robots])
        else:
            rows = [
                (robot.name, len(robot.joints), ", ".join(robot.command_modes), robot.description, robot.hardware or NOT_RUN)
                for robot in robots
            ]
            show_table("", ("robot", "joints", "command modes", "description", "on hardware"), rows)
        return code


@dataclass(frozen=True, slots=True)
class ImportRobot:
    """Write a robot profile from a URDF or MJCF file, with everything that it says; what a person must fill in is marked and listed.

    Attributes:
        name: name of the new robot: lower-case letters, digits and underscores.
        file: URDF (xacro already expanded) or MJCF.
        out: folder of profiles; the robot becomes OUT/NAME/robot.yaml with its URDF and meshes.
        json: print JSON: folder, joints, base, what to fill in, notes, how the engines differ, and by how much (m, share of the largest inertia).
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="URDF_OR_MJCF")]
    out: Path = Path("robots")
    json: bool = False

    def run(self) -> int:
        """Run the command; 1 if one of the engines that are installed cannot load what was written.

        Raises:
            ValueError: the name is taken, or the file is wrong; the message says what is. If no engine loads it, nothing stays written.
            OSError: a file cannot be read or written.
        """
        imported = _import(self.name, self.file, self.out)
        robot = imported.robot
        compared = compare_engines(robot)
        if compared.broken and not compared.apart:
            shutil.rmtree(robot.folder)
            raise ValueError(f"{self.file}: {'; '.join(compared.lines)}; nothing was written")
        code = 1 if compared.broken else 0
        if self.json:
            facts = {"folder": robot.folder, "joints": robot.joint_names, "base": robot.base.kind, "tool_frame": robot.tool_frame}
            told = {"fill_in": imported.fill_in, "notes": imported.notes, "engines": compared.lines}
            write_json({**facts, **told, "apart": compared.apart})
            return code
        _show(robot)
        for title, lines in (
            ("Changed, guessed or left out", imported.notes),
            ("To fill in, marked FILL IN in robot.yaml", imported.fill_in),
            ("Differences between the profile and the engines", compared.lines),
        ):
            say(f"{title}:")
            for line in lines or ("nothing",):
                say(f"  {line}")
        say("next:")
        use, film = f"--robots {shlex.quote(str(self.out))}", "" if has_screen() else f" --video {robot.name}.mp4"
        for line in (f"isthmus view {robot.name} {use}{film}", f"isthmus doctor --robot {robot.name} {use}"):
            say(f"  {line}")
        return code


def _import(name: str, file: Path, out: Path) -> ImportedRobot:
    if is_mjcf(file):
        from isthmus_sim.robot_import import import_mjcf

        return import_mjcf(name, file, out)
    return import_urdf(name, file, out)


def robot_folders(folder: Path | None) -> list[Path]:
    """The folders to search before the profiles that come with isthmus.

    Raises:
        ValueError: the folder does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise ValueError(f"--robots {folder} is not a folder; it must hold NAME/robot.yaml")
    return [] if folder is None else [folder]


def _facts(robot: Robot) -> dict[str, Any]:
    """Units: control_period in s, shortest and longest."""
    return {
        "name": robot.name,
        "description": robot.description,
        "joints": robot.joint_names,
        "command_modes": robot.command_modes,
        "control_period": robot.control_period,
        "ros": robot.ros is not None,
        "hardware": robot.hardware or NOT_RUN,
        "evidence": robot.evidence,
        "folder": robot.folder,
    }


def _show(robot: Robot) -> None:
    say(f"{robot.name}: {robot.description}")
    say(f"profile: {Path(robot.folder) / 'robot.yaml'}")
    say(f"commands: {', '.join(robot.command_modes)}, every {robot.control_period[0]:g} to {robot.control_period[1]:g} s")
    say(f"frames: base {robot.base_frame}, tool {robot.tool_frame}")
    say(f"on hardware: {robot.hardware or NOT_RUN}")
    if robot.evidence:
        say(f"evidence that deploy demands: {', '.join(robot.evidence)}")
    rows = [
        (
            joint.name,
            joint.type,
            f"{joint.home:.4g}",
            f"{joint.position[0]:.4g} … {joint.position[1]:.4g}",
            f"{joint.velocity:.4g}",
            f"{joint.acceleration:g}, braking {joint.stop_acceleration:g}",
            joint.effort,
        )
        for joint in robot.joints
    ]
    units = ("joint", "type", "home, rad or m", "position, rad or m", "velocity, 1/s", "acceleration, 1/s²", "effort, N·m or N")
    show_table("joints in hardware order", units, rows)
    if robot.ros:
        topics = [("joint states", robot.ros.state_topic), *((f"{mode} commands", name) for mode, name in robot.ros.command_topics.items())]
        topics += [(f"transport {name}", topic) for name, topic in robot.ros.transports.items()]
        show_table("ROS 2 topics, in the robot's namespace", ("what", "topic"), topics)
