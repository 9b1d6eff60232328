"""`isthmus zoo`: trains learners on tasks and checks each policy in every world, one row of figures after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus import strict
from isthmus_cli.console import say, show_table
from isthmus_cli.files import check_output
from isthmus_cli.train.seeds import parse_seeds
from isthmus_evidence.results import Results
from isthmus_policies.identity import holds_training
from isthmus_sim.tasks import get_task

__all__ = ["KEPT", "Zoo", "ZooRow", "zoo_rows"]

WORLDS = ("mujoco", "pybullet", "ros")
EPISODES = 100
KEPT = ("task", "plant", "episodes", "return", "success", "ends", "motion", "specification", "score", "range", "curve", "policy")
"""What a row of figures takes from the result of `isthmus eval`."""


@dataclass(frozen=True, slots=True)
class ZooRow:
    """A training, as `zoo.yaml` has it.

    Attributes:
        task: name.
        learner: its name on the command line.
        options: what is typed besides.
    """

    task: str
    learner: str
    options: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What is typed after `isthmus`."""
        return ("train", self.learner, self.task, *self.options)


def zoo_rows() -> tuple[ZooRow, ...]:
    """All rows, in their order."""
    return strict.decode(tuple[ZooRow, ...], strict.load_yaml(Path(__file__).with_name("zoo.yaml")), "zoo.yaml")


@dataclass(frozen=True, slots=True)
class Zoo:
    """Train rows of the zoo (task × learner) with the settings of the task, and evaluate each policy in MuJoCo and PyBullet.

    What is in the file of figures already is left out, and a training that was interrupted goes on, so the same command goes on after anything.

    Attributes:
        task: only rows of this task; by default all.
        learner: only rows of this learner.
        seeds: of the trainings, such as 0-2.
        worlds: where the policies are checked, of mujoco, pybullet and ros (PyBullet behind ROS 2 topics, stepped).
        episodes: of each check.
        out: folder for the trainings.
        record: file of figures; by default zoo.json in the folder.
        steps: control periods of each training; by default those of the task. For trying, as fewer episodes are: such rows say `trial` and stand for
            no figure, and their trainings for no other.
        list: only say what there is, and what of it is done.
    """

    task: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK]")] = None
    learner: str | None = None
    seeds: str = "0"
    worlds: tuple[str, ...] = ("mujoco", "pybullet")
    episodes: int = EPISODES
    out: Path = Path("runs/zoo")
    record: Path | None = None
    steps: int | None = None
    list: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: no such row, a number below 1, unknown worlds or only some that the tasks do not run in, or a training or check failed.
        """
        if unknown := [world for world in self.worlds if world not in WORLDS]:
            raise ValueError(f"unknown world {unknown[0]!r}; {strict.suggest(unknown[0], WORLDS)}")
        strict.whole("--episodes", self.episodes, least=1)
        if self.steps is not None:
            strict.whole("--steps", self.steps, least=1)
        results = Results(self.record or self.out / "zoo.json", "torch", "gymnasium")
        items = [(row, seed, world) for row in self._chosen() for seed in parse_seeds(self.seeds) for world in self._worlds(row)]
        if not items:
            raise ValueError(
                f"nothing to measure: worlds must be some of {', '.join(WORLDS)} that the tasks run in, got {', '.join(self.worlds) or 'none'}"
            )
        if self.list:
            done = ["done" if self._key(*item) in results.rows else "" for item in items]
            lines = [(row.task, row.learner, str(seed), world, told) for (row, seed, world), told in zip(items, done, strict=True)]
            show_table("", ("task", "learner", "seed", "world", ""), lines)
            return 0
        check_output(results.file)
        for row, seed, world in items:
            if self._key(row, seed, world) not in results.rows:
                self._measure(results, row, seed, world)
        say(f"figures: {results.file}")
        return 0

    def _chosen(self) -> Sequence[ZooRow]:
        rows = zoo_rows()
        found = [row for row in rows if self.task in (None, row.task) and self.learner in (None, row.learner)]
        if not found:
            asked = " ".join(word for word in (self.learner, self.task) if word)
            raise ValueError(f"the zoo has no row for {asked!r}; it has {', '.join(f'{row.learner} {row.task}' for row in rows)}")
        return found

    def _worlds(self, row: ZooRow) -> Iterator[str]:
        """Those that the task runs in; over ROS 2 PyBullet is behind the topics."""
        there = get_task(row.task).plants
        return (world for world in self.worlds if ("pybullet" if world == "ros" else world) in there)

    @property
    def _trial(self) -> str:
        """What is less than in a figure, in words; "" if nothing is."""
        steps = [] if self.steps is None else [f"{self.steps} control periods"]
        return ", ".join(steps + ([f"{self.episodes} episodes"] if self.episodes < EPISODES else []))

    def _key(self, row: ZooRow, seed: int, world: str) -> str:
        return f"{row.task} | {row.learner} | seed {seed} | {world}" + (f" | trial: {self._trial}" if self._trial else "")

    def _measure(self, results: Results, row: ZooRow, seed: int, world: str) -> None:
        policy = self._trained(row, seed)
        file = policy.with_name(f"eval-{world}.json")
        chosen = ("--plant", "ros", "--engine", "pybullet", "--clock", "stepped") if world == "ros" else ("--plant", world)
        _command("eval", policy, *chosen, "--episodes", self.episodes, "--json", file)
        found = json.loads(file.read_text(encoding="utf-8"))
        curve = [json.loads(line) for line in policy.with_name("metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        about: dict[str, Any] = {
            "learner": row.learner,
            "engine": "isthmus",
            "seed": seed,
            "training": " ".join(("isthmus", *row.words, "--seed", str(seed))),
            "steps": curve[-1]["step"],
            "minutes": curve[-1]["seconds"] / 60,
            "world": world,
        }
        kept = {name: found[name] for name in KEPT if name in found}
        concerns = {row.learner, "eval"} | ({"ros"} if world == "ros" else set())
        results.add(self._key(row, seed, world), {**about, **kept, **({"trial": True} if self._trial else {})}, concerns, found["made"])

    def _trained(self, row: ZooRow, seed: int) -> Path:
        """The policy file of a training, which is made or finished if it is not there; a folder has its name when it is finished."""
        folder = self.out / (f"{row.learner}-{row.task}-{seed}" + ("" if self.steps is None else f"-of-{self.steps}"))
        if not folder.exists():
            unfinished = folder.with_name(f"{folder.name}.part")
            words: list[object] = [*row.words, "--seed", seed, "--out", unfinished]
            if self.steps is not None:
                words += ["--steps", self.steps]
            _command(*words, *(["--resume"] if holds_training(unfinished) else []))
            unfinished.rename(folder)
        return folder / "policy.isthmus"


def _command(*words: object) -> None:
    """Run a command of isthmus in this process.

    Raises:
        KeyboardInterrupt: it was interrupted.
        ValueError: it failed.
    """
    from isthmus_cli.main import main

    typed = [str(word) for word in words]
    code = main(typed)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise ValueError(f"isthmus {' '.join(typed)} failed")
