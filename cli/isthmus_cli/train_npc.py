"""`isthmus train npc`: a network that plans for a formula, from a model to a policy file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus_cli.console import say
from isthmus_cli.progress import Progress
from isthmus_cli.training import git_state
from isthmus_controllers.npc.export import npc_artifact
from isthmus_controllers.npc.training import NpcConfig, Training, npc_config, train_npc
from isthmus_sim.systems import get_system, system_contract, system_names

__all__ = ["TrainNpc"]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class TrainNpc:
    """Train a network that plans for a specification in Signal Temporal Logic (Meng & Fan 2023). Defaults are those tuned for the task.

    The folder gets policy.isthmus, which checks its plans and searches where they fail, and curve.json. Ctrl-C ends the training early and keeps
    both.

    Attributes:
        task: name of the task; `isthmus tasks stl:` lists them.
        seed: seed of network and initial states.
        out: folder for the results; by default runs/npc-TASK-SEED.
        config: settings of the training.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    seed: int = 0
    out: Path | None = None
    config: NpcConfig = field(default_factory=NpcConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainNpc:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no such task; the message lists the known ones.
        """
        if words and not words[0].startswith("-"):
            get_system(words[0])
        name: Any = next((word for word in words if word in system_names()), tyro.MISSING)
        return cls(task=tyro.MISSING, config=NpcConfig() if name is tyro.MISSING else npc_config(get_system(name).name))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task, or a setting out of range.
        """
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        system = get_system(self.task)
        out = self.out or Path("runs") / f"npc-{self.task.replace(':', '-')}-{self.seed}"
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "policy.isthmus").exists():
            raise ValueError(f"{out} already holds a training; remove it or choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        say(f"{self.task}: {system.description}")
        say(f"specification, in samples of {system.dt:g} s: {system.specification}")
        say(f"results: {out}")
        with Progress(f"npc {self.task}", "iterations") as progress:
            training = train_npc(system, self.config, self.seed, progress)
        _write_curve(training, out / "curve.json")
        summary = {
            "algorithm": "npc",
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "held_out_satisfied": training.satisfied,
            "seconds": training.curve[-1][1],
        }
        artifact = npc_artifact(system_contract(system), training.network, system, training=summary, git=git_state())
        artifact.save(out / "policy.isthmus")
        if training.interrupted:
            say(f"interrupted after {training.curve[-1][0]} of {self.config.iterations} iterations")
        say(f"held-out plans that satisfy the specification, without backup: {training.satisfied:.3f} of {self.config.held_out}")
        say(f"policy: {out / 'policy.isthmus'}")
        say(f"next: isthmus eval {out / 'policy.isthmus'} --episodes 500")
        return INTERRUPTED if training.interrupted else 0


def _write_curve(training: Training, path: Path) -> None:
    rows = [dict(zip(("iteration", "seconds", "satisfied", "robustness"), row, strict=True)) for row in training.curve]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
