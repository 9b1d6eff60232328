"""`isthmus gap`: why two sets of recordings differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.robot import load_robot
from isthmus_cli.console import say, show, write_json
from isthmus_cli.files import check_folder, load_artifact
from isthmus_cli.progress import Progress
from isthmus_cli.robots import robot_folders
from isthmus_evidence import gap
from isthmus_evidence.gap.calibrate import calibration_line, unknown_parameters
from isthmus_evidence.replay import action_tolerance
from isthmus_evidence.reports.gap_page import write_gap
from isthmus_evidence.reports.gap_report import gap_report, plain_gap

__all__ = ["Gap"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Compare two sets of recordings, of simulation or robot, and name what makes the second differ from the first.

    Recordings are MCAP files: episodes of isthmus, recordings of `record_node`, or any rosbag2 file with joint states, whose commands
    are on …/guard/executed, on a topic of the robot's profile, or on the one of --commands. Folders with equal names in both sets are taken
    for policies, whose ranks are compared.

    Attributes:
        first: file or folder with what is expected.
        second: file or folder with what is asked about.
        policy: policy file that acted, so that its decisions are compared, too.
        robot: robot, for loads and frames; by default the one that the recordings name.
        commands: topic of the commands in bags, a Float64MultiArray or a JointTrajectory; by default …/guard/executed, else those of the profile.
        robots: folder with profiles of your own, NAME/robot.yaml; searched first.
        out: folder for report.html, gap.json and, where a cause is a parameter, unknown.yaml.
        resample: bring recordings of other rates to the slowest; of those that change, observations, decisions, seeds and outcomes are left out.
        json: also write the result as JSON to this file; - is stdout.
    """

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="B")]
    policy: Path | None = None
    robot: str | None = None
    commands: str | None = None
    robots: Path | None = None
    out: Path | None = None
    resample: bool = False
    json: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a file is no recording, or the sets cannot be compared, with the differences.
        """
        folders = robot_folders(self.robots)
        robot = load_robot(self.robot, folders) if self.robot is not None else None
        artifact = load_artifact(self.policy) if self.policy is not None else None
        policy, tolerance = (artifact.policy(), action_tolerance(artifact.kind)) if artifact is not None else (None, 0.0)
        if self.out is not None:
            check_folder(self.out)
        quiet = self.json == Path("-")
        with Progress("hypotheses", "tested", quiet) as progress:
            found = gap.compare(
                self.first,
                self.second,
                robot=robot,
                policy=policy,
                tolerance=tolerance,
                resample=self.resample,
                commands=self.commands or "",
                progress=progress,
            )
        trace = found.second[0].trace
        target = trace.contract.robot if trace else self.robot or "TARGET"
        folder = self.out or Path("gap")
        line = (
            calibration_line(target, [self.second], folder / "unknown.yaml", folder / "calibration")
            if unknown_parameters(found.named)
            else ""
        )
        if not quiet:
            show(gap_report(found))
        if self.out is not None:
            write_gap(found, self.out, line)
        if self.json is not None:
            write_json(plain_gap(found), self.json)
        if not quiet:
            if line:
                say(f"to calibrate: {line}" + ("" if self.out else "   (unknown.yaml is written with --out gap)"))
            if self.out is not None:
                say(f"report: {self.out / 'report.html'}")
        return 0
