"""`isthmus motions`: a short library of motions for the first gap report of a robot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from isthmus import strict
from isthmus.kinds.excitation import ExcitationPolicy, excitation_artifact
from isthmus.robot import load_robot
from isthmus_cli.console import say, show_table
from isthmus_cli.files import check_folder
from isthmus_cli.robots import robot_folders
from isthmus_evidence.gap.played import play
from isthmus_sim.identification.course import find_course
from isthmus_sim.identification.mechanism import Target
from isthmus_sim.identification.motions import MOTIONS, standard_motions
from isthmus_sim.plants import plant_names

__all__ = ["Motions"]


@dataclass(frozen=True, slots=True)
class Motions:
    """Write steps, chirps and slow motions of a robot as policy files, within its limits, and record them in a simulator.

    Run the same files on the robot, and compare: isthmus gap DIR/mujoco ROBOT_RECORDINGS. Collisions are not looked for: rehearse them.

    Attributes:
        robot: name of its profile.
        out: folder for NAME.isthmus, and for ENGINE/NAME.mcap; by default motions-ROBOT.
        record: engine to record them in, mujoco or pybullet, or none.
        mode: of the commands, position or velocity; by default the first that the robot has.
        duration: of each motion, s.
        period: of the commands, s; by default 0.01, or what is nearest of what the robot takes.
        travel: largest distance of a joint from the home pose, rad or m.
        robots: folder with profiles of your own, NAME/robot.yaml; searched first.
    """

    robot: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ROBOT")]
    out: Path | None = None
    record: str = "mujoco"
    mode: str | None = None
    duration: float = 12.0
    period: float | None = None
    travel: float = 0.4
    robots: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown robot, engine or mode, with the known ones, or a number is out of range; nothing has been written then.
        """
        strict.require("--duration", self.duration, least=4)
        strict.require("--travel", self.travel, above=0)
        if self.period is not None:
            strict.require("--period", self.period, above=0)
        if self.record not in (known := [*plant_names(), "none"]):
            raise ValueError(f"unknown engine {self.record!r}; {strict.suggest(self.record, known)}")
        robot = load_robot(self.robot, robot_folders(self.robots))
        if self.mode is not None and self.mode not in robot.command_modes:
            raise ValueError(f"robot {robot.name!r} has no command mode {self.mode!r}; it has: {', '.join(robot.command_modes)}")
        target = Target(robot.name, robot=robot, mode=self.mode or "")
        course = find_course(
            target, travel=self.travel, velocity=None, acceleration=None, period=self.period or float(np.clip(0.01, *robot.control_period))
        )
        out = self.out or Path(f"motions-{robot.name}")
        check_folder(out)
        contract = course.contract("motions")
        for name, wave in standard_motions(course, self.duration).items():
            excitation_artifact(contract, wave, {"motion": name}).save(out / f"{name}.isthmus")
            if self.record != "none":
                play(ExcitationPolicy(contract, wave), robot, self.record, self.duration, out / self.record / f"{name}.mcap")
        show_table("", ("motion", "what it shows"), MOTIONS.items())
        say(
            f"{out}: {len(MOTIONS)} files, each to be run on the robot with isthmus deploy; then: isthmus gap {out / self.record} RECORDINGS"
        )
        return 0
