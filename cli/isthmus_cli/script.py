"""`isthmus script`: the policy file of a task's scripted solution."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus_cli.console import say
from isthmus_cli.files import check_output
from isthmus_controllers.scripted import scripted_artifact
from isthmus_sim.tasks import get_task

__all__ = ["Script"]


@dataclass(frozen=True, slots=True)
class Script:
    """Write the policy file of a task's scripted solution: what the task looks like when it is solved, and a yardstick for learning.

    Attributes:
        task: name of the task.
        out: file to write; by default runs/TASK-scripted.isthmus.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    out: Path | None = None

    def run(self) -> int:
        """Write the file.

        Raises:
            ValueError: there is no such task, or it has no scripted solution.
        """
        path = self.out or Path("runs") / f"{self.task}-scripted.isthmus"
        task = get_task(self.task)
        artifact = dataclasses.replace(scripted_artifact(task.contract), specification=task.specification)
        check_output(path)
        artifact.save(path)
        say(f"{path}; try: isthmus eval {path} --episodes 20")
        return 0
