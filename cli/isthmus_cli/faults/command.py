"""`isthmus faults`: what guard and robot do when processes, states and commands fail, measured on a simulated robot of your own profile."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.robot import load_robot
from isthmus_cli.console import say

__all__ = ["Faults"]

_MODES = ("position", "velocity", "effort", "twist")


@dataclasses.dataclass(frozen=True, slots=True)
class Faults:
    """Bring faults about with real processes over DDS, and write a table of what came of them.

    Robot, guard and policy are processes of their own; the robot is simulated in PyBullet, one that is commanded by effort in MuJoCo. It takes about
    5 s a line and repeat, 20 s where rows need processes of their own, and goes on where it was interrupted.

    Attributes:
        robot: name of the robot profile.
        task: task that simulates it; by default the first installed ones of that robot.
        robots_dir: folder with robot profiles of your own, searched first; the robot is simulated by its task's own profile.
        rows: numbers and ranges of rows, such as 1,20-30; all by default.
        mode: only settings in which the policy commands this: position, velocity, effort or twist.
        repeats: of each row and setting; 0 only writes the page.
        out: folder of the results, faults.json, and of the page; by default faults-ROBOT.
        page: file of the page, Markdown; by default faults.md in that folder.
    """

    robot: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ROBOT")]
    task: str = ""
    robots_dir: Path | None = None
    rows: str = ""
    mode: str = ""
    repeats: int = 5
    out: Path | None = None
    page: Path | None = None

    def run(self) -> int:
        """Run the command.

        Returns:
            0 if all runs came out as the table asks, 1 otherwise.

        Raises:
            ValueError: an unknown robot, mode or row, a robot that cannot be simulated, or a folder with another kind of results.
        """
        if self.mode and self.mode not in _MODES:
            raise ValueError(f"--mode must be one of {', '.join(_MODES)}, got {self.mode!r}")
        if self.repeats < 0:
            raise ValueError(f"--repeats must be >= 0, got {self.repeats}")
        from isthmus_cli.faults.measure import Record, measure
        from isthmus_cli.faults.page import page
        from isthmus_cli.faults.review_rows import REVIEW_ROWS
        from isthmus_cli.faults.rows import NOTES, ROWS, VT
        from isthmus_cli.faults.subject import Subject

        robot = load_robot(self.robot, [self.robots_dir] if self.robots_dir else [])
        subject = Subject.of(robot, self.task, self.robots_dir)
        known = (*ROWS, *REVIEW_ROWS)
        wanted = row_numbers(self.rows, {int(row.number) for row in known})
        rows = [row.asked_of(subject) for row in known if int(row.number) in wanted]
        if self.mode:
            rows = [dataclasses.replace(row, settings=tuple(s for s in row.settings if s.mode == self.mode)) for row in rows]
        folder = self.out or Path(f"faults-{self.robot}")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "faults.json"
        record = Record(file)
        measure(subject, rows, self.repeats, record)
        written = self.page or folder / "faults.md"
        written.write_text(page(subject, subject.speed(VT), record.made, record.lines, known, NOTES), encoding="utf-8")
        say(f"{file} and {written}")
        return int(any(run["outcome"] not in entry["expected"] for entry in record.lines.values() for run in entry["runs"]))


def row_numbers(text: str, known: set[int]) -> set[int]:
    """The rows that numbers and ranges such as "1,20-30" name; all if it is empty.

    Raises:
        ValueError: it cannot be read, or names no row.
    """
    if not text:
        return known
    found: set[int] = set()
    for word in text.split(","):
        first, _, last = word.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise ValueError(f"--rows must be numbers and ranges such as 1,20-30, got {word!r}")
        found |= set(range(int(first), int(last or first) + 1))
    if not found & known:
        raise ValueError(f"--rows {text} names no row; there are {min(known)} to {max(known)}")
    return found & known
