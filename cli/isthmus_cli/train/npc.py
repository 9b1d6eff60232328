"""`isthmus train npc`: a network that plans for a formula, from a model to a policy file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.contract import Contract
from isthmus.files import write_whole
from isthmus.specification import Specification
from isthmus_cli.console import say
from isthmus_cli.engine_models import check_planned, engine_model, planned_tasks
from isthmus_cli.progress import Progress
from isthmus_controllers.npc.export import npc_artifact
from isthmus_controllers.npc.training import NpcConfig, Training, npc_config, train_npc
from isthmus_evidence.provenance import commit
from isthmus_sim.systems import PREFIX, System, get_system, is_system, system_contract
from isthmus_sim.tasks import get_task

__all__ = ["TrainNpc"]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class TrainNpc:
    """Train a network that plans for a specification in Signal Temporal Logic (Meng & Fan 2023). Defaults are those tuned for the task.

    The folder gets policy.isthmus, which checks its plans and searches where they fail, and curve.json. Ctrl-C ends the training early and keeps
    both.

    Attributes:
        task: name of the task: navigate, dodge, or one of those that `isthmus tasks stl:` lists.
        plant: engine that the model of navigate or dodge is fitted to.
        seed: seed of network and initial states.
        out: folder for the results; by default runs/npc-TASK-SEED.
        config: settings of the training.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    plant: str = "mujoco"
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
            check_planned(words[0])
        name = next((word for word in words if word in planned_tasks()), None)
        return cls(task=tyro.MISSING, config=NpcConfig() if name is None else npc_config(name.removeprefix(PREFIX)))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task, or a setting out of range.
        """
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        check_planned(self.task, self.plant)
        out = self.out or Path("runs") / f"npc-{self.task.replace(':', '-')}-{self.seed}"
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "policy.isthmus").exists():
            raise ValueError(f"{out} already holds a training; remove it or choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        system, contract, asked = self._model()
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
            "replan": system.hold,
        }
        artifact = npc_artifact(contract, training.network, system, training=summary, git=commit())
        dataclasses.replace(artifact, specification=asked).save(out / "policy.isthmus")
        if training.interrupted:
            say(f"interrupted after {training.curve[-1][0]} of {self.config.iterations} iterations")
        say(f"held-out plans that satisfy the specification, without backup: {training.satisfied:.3f} of {self.config.held_out}")
        say(f"policy: {out / 'policy.isthmus'}")
        say(f"next: isthmus eval {out / 'policy.isthmus'} --episodes 500")
        return INTERRUPTED if training.interrupted else 0

    def _model(self) -> tuple[System, Contract, Specification | None]:
        """What is trained on, the contract of its policies, and what the task asks of a run."""
        if is_system(self.task):
            system = get_system(self.task)
            return system, system_contract(system), None
        task = get_task(self.task)
        system = engine_model(self.task, self.plant, self.seed)
        return system, dataclasses.replace(task.contract, horizon=system.horizon), task.specification


def _write_curve(training: Training, path: Path) -> None:
    rows = [dict(zip(("iteration", "seconds", "satisfied", "robustness"), row, strict=True)) for row in training.curve]
    write_whole(path, json.dumps(rows, indent=1) + "\n")
