"""`isthmus identify design`: the motion to record, before there is any data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from isthmus import strict
from isthmus.files import write_whole
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.files import check_folder
from isthmus_cli.progress import Progress
from isthmus_sim.identification.course import Course, find_course, placeholder
from isthmus_sim.identification.design import Design, DesignOptions, design
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, read_parameter_file

__all__ = ["DesignExcitation"]


@dataclass(frozen=True, slots=True)
class DesignExcitation:
    """Search for the motion that tells most of the unknown parameters, within the limits of the robot. Collisions are not looked for: rehearse it.

    Attributes:
        target: task, robot, or MJCF or URDF file.
        out: folder for excitation.isthmus, validation.isthmus and design.json; for a model file also the commands as CSV.
        parameters: YAML file that says what is unknown; by default friction, rotor inertia and delay.
        duration: of a motion, s.
        travel: largest distance of a joint from where the motion begins, rad or m.
        velocity: largest speed of all joints, rad/s or m/s; a model file does not say it.
        acceleration: likewise, rad/s^2 or m/s^2.
        period: of commands, s; by default the task's, the robot's or 0.005.
        harmonics: number of sines of each joint.
        criterion: d for the determinant of the information, a for the trace of the expected covariance.
        rounds: of the search.
        seed: of the search.
    """

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    out: Path
    parameters: Path | None = None
    duration: float = 15.0
    travel: float = 0.5
    velocity: float | None = None
    acceleration: float | None = None
    period: float | None = None
    harmonics: int = 5
    criterion: Literal["d", "a"] = "d"
    rounds: int = 6
    seed: int = 0

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name or a number is wrong, or no motion identifies a parameter; nothing has been written then.
        """
        for name in ("travel", "velocity", "acceleration", "period"):
            if (value := getattr(self, name)) is not None:
                strict.require(f"--{name}", value, above=0)
        strict.require("--duration", self.duration, least=4)
        strict.require("--harmonics", self.harmonics, least=2)
        strict.require("--rounds", self.rounds, least=1)
        target = find_target(self.target)
        file = read_parameter_file(self.parameters) if self.parameters else ParameterFile()
        course = find_course(target, travel=self.travel, velocity=self.velocity, acceleration=self.acceleration, period=self.period)
        options = DesignOptions(self.duration, self.harmonics, self.criterion, rounds=self.rounds, seed=self.seed)
        with Progress(f"design {self.target}", "rounds", False) as progress:
            found = design(target, file, course, options, progress=progress)
        self._write(found, course)
        return 0

    def _write(self, found: Design, course: Course) -> None:
        check_folder(self.out)
        waves = {"excitation": found.motion, "validation": found.validation}
        for name, wave in waves.items():
            contract = course.contract(f"identify {name}")
            excitation_artifact(contract, wave, {"design": found.plain()}).save(self.out / f"{name}.isthmus")
            if found.problem.mechanism.target.file:
                write_whole(self.out / f"{name}.csv", _table(course, wave))
        write_json(found.plain(), self.out / "design.json")
        names, span = found.problem.names, found.problem.high - found.problem.low
        rows = zip(names, found.sd, 100 * found.sd / span, found.naive_sd, found.problem.units, found.verdicts, strict=True)
        show_table(
            "expected after one recording",
            ("parameter", "sd", "% of its range", "sd after one sine", "unit", "verdict"),
            [(name, f"{sd:.2g}", f"{share:.2g}", f"{naive:.2g}", unit, word) for name, sd, share, naive, unit, word in rows],
        )
        say(f"motion to fit: {self.out / 'excitation.isthmus'}; motion to predict: {self.out / 'validation.isthmus'}")


def _table(course: Course, wave: MultiSine) -> str:
    """Time and commands, by joint."""
    (log,) = placeholder(course, [wave])
    header = ",".join(["t", *(f"target_{joint}" for joint in log.joints)])
    return "\n".join([header, *(",".join(f"{value:.6f}" for value in row) for row in np.column_stack([log.time, log.command]))]) + "\n"
