"""The figures of learners and planners on the pages, measured by today's code: trainings and evaluations, each kept as soon as it is known.

    python benchmarks/published.py --list                      what there is, what of it is done, and about how long the rest takes
    python benchmarks/published.py engines                     goes on where it stopped; without a name, all groups
    python benchmarks/published.py engines --minutes 60        begins nothing that would end later
    python benchmarks/published.py engines --only reach-wide   only rows with that in their key, so that several processes can share the work
    python benchmarks/published.py --trial FOLDER              all of the script in a few minutes, with no figure worth anything

Groups are files of `docs/results`, and `python docs/generate.py` makes their tables. `engines`: SAC here and of stable-baselines3, in both worlds.
`sequences`: SAC, DSAC-T and sequence RL, in both worlds and at 1 … 30 actions per decision. `planning`: neural predictive control, MPC and scripts
on `navigate` and `dodge`. `stl`: the analytic systems. Trainings lie in `runs/published` and go on where they stopped, those of stable-baselines3
and neural predictive control from their beginning. Everything is a command of `isthmus` that is written beside its row, one after the other.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus_cli.zoo import KEPT
from isthmus_evidence.results import Results

SEEDS, PLANNED_SEEDS = range(5), range(3)  # of learners; of neural predictive control
EPISODES = 100
WORLDS = ("mujoco", "pybullet")
MINUTES = {  # of a training on one idle core, from those of November 2026
    ("sac", "isthmus", "pendulum"): 1,
    ("sac", "sb3", "pendulum"): 3,
    ("sac", "isthmus", "reach"): 6,
    ("sac", "sb3", "reach"): 9,
    ("sac", "isthmus", "reach-wide"): 35,
    ("sac", "sb3", "reach-wide"): 50,
    ("dsac-t", "isthmus", "pendulum"): 2,
    ("srl", "isthmus", "pendulum"): 5,
    ("srl", "isthmus", "reach"): 15,
    ("npc", "", "navigate"): 11,
    ("npc", "", "dodge"): 6,
}
STL_MINUTES = {"traffic": 12, "maze": 13, "ship-safe": 16, "ship-track": 25, "rover": 20, "arm": 14}  # training and all methods


@dataclass(frozen=True, slots=True)
class Item:
    """One row, or for `stl` all rows of a task.

    Attributes:
        group: file that it goes into.
        key: of its row.
        minutes: about how long it takes, with the training that it needs.
        run: measures and saves it.
        done: whether it is in the file.
    """

    group: str
    key: str
    minutes: float
    run: Callable[[], None]
    done: Callable[[], bool]


class Bench:
    """Where things go, and how much is done."""

    def __init__(self, trial: Path | None) -> None:
        self.trial = trial is not None
        self.runs, out = (trial / "runs", trial) if trial else (Path("runs/published"), Path("docs/results"))
        self.results = {group: Results(out / f"{group}.json", "torch", "gymnasium") for group in GROUPS}
        self.seeds, self.planned_seeds = (range(2), range(1)) if trial else (SEEDS, PLANNED_SEEDS)
        self.episodes = 3 if trial else EPISODES

    def trained(self, learner: str, task: str, seed: int, engine: str = "isthmus") -> Path:
        """The policy file of a training, which is made if it is not there."""
        folder = self.runs / f"{learner if engine == 'isthmus' else engine}-{task.replace(':', '-')}-{seed}"
        if not folder.exists():
            words = ["--engine", engine] if engine != "isthmus" else []
            if self.trial:
                words += ["--iterations", "3"] if learner == "npc" else ["--steps", "400", "--learning-starts", "200"]
            unfinished = folder.with_name(f"{folder.name}.part")
            if unfinished.exists():
                if learner == "npc" or engine != "isthmus":
                    shutil.rmtree(unfinished)
                else:
                    words += ["--resume"]
            isthmus("train", learner, task, "--seed", seed, "--out", unfinished, *words)
            unfinished.rename(folder)
        return folder / "policy.isthmus"

    def written(self, name: str, *words: str) -> Path:
        """A policy file that needs no training."""
        file = self.runs / f"{name}.isthmus"
        if not file.exists():
            isthmus(*words, "--out", file)
        return file

    def scored(self, group: str, key: str, about: dict[str, Any], make: Callable[[], Path], words: tuple[str, ...], minutes: float) -> Item:
        """Evaluate a policy file by `isthmus eval`."""
        results = self.results[group]

        def run() -> None:
            policy = make()
            file = policy.parent / ("-".join(["eval", policy.stem, *words]).replace("--", "") + ".json")
            isthmus("eval", policy, *words, "--json", file)
            found = json.loads(file.read_text(encoding="utf-8"))
            row = {**about, **{name: found[name] for name in KEPT if name in found}, "first_seed": found["seed"]}
            concerns = (
                {about["learner"], "eval"} | ({"sb3"} if about["engine"] == "sb3" else set()) | ({"fas"} if "curve" in found else set())
            )
            results.add(key, row | ({"trial": True} if self.trial else {}), concerns, found["made"])

        return Item(group, key, minutes, run, lambda: key in results.rows)

    def engines(self) -> Iterator[Item]:
        """SAC here and there, on the same seeds."""
        for task in ("pendulum",) if self.trial else ("pendulum", "reach", "reach-wide"):
            for seed in self.seeds:
                for engine in ("isthmus", "sb3"):
                    yield from self.worlds("engines", "sac", task, seed, engine, MINUTES["sac", engine, task])

    def worlds(self, group: str, learner: str, task: str, seed: int, engine: str, minutes: float) -> Iterator[Item]:
        """One policy in both engines; its training belongs to the first."""
        about = {"learner": learner, "engine": engine, "seed": seed, "training": f"isthmus train {learner} {task} --seed {seed}"}
        if engine == "sb3":
            about["training"] += " --engine sb3"

        def make() -> Path:
            return self.trained(learner, task, seed, engine)

        for world in WORLDS:
            key = f"{task} | {learner} | {engine} | seed {seed} | {world}"
            words = ("--plant", world, "--episodes", str(self.episodes))
            yield self.scored(group, key, about, make, words, minutes + 0.3)
            minutes = 0.0

    def sequences(self) -> Iterator[Item]:
        """Learners that decide once per one or more actions."""
        tasks = {"pendulum": ("sac", "dsac-t", "srl")} | ({} if self.trial else {"reach": ("sac", "srl")})
        for task, learners in tasks.items():
            for seed in self.seeds:
                for learner in learners:
                    minutes = 0.0 if learner == "sac" else MINUTES[learner, "isthmus", task]  # SAC's trainings are those of `engines`
                    yield from self.worlds("sequences", learner, task, seed, "isthmus", minutes)
                    yield self.at_lengths(learner, task, seed)

    def at_lengths(self, learner: str, task: str, seed: int) -> Item:
        """Its return at 1 … 30 actions per decision."""
        about = {"learner": learner, "engine": "isthmus", "seed": seed}
        words = ("--fas", *(("--episodes", "2") if self.trial else ()))
        return self.scored(
            "sequences", f"{task} | {learner} | seed {seed} | fas", about, lambda: self.trained(learner, task, seed), words, 1.0
        )

    def planning(self) -> Iterator[Item]:
        """Policies that plan on a model fitted to an engine."""
        for task in () if self.trial else ("navigate", "dodge"):
            for seed in self.planned_seeds:
                yield from self.worlds("planning", "npc", task, seed, "", MINUTES["npc", "", task])
            others = {"planner": ("mpc", task), **({"script": ("script", task)} if task == "navigate" else {})}
            for learner, words in others.items():
                for world in WORLDS:
                    about = {"learner": learner, "engine": "", "seed": 0}
                    name = f"{task}-{words[0]}"
                    yield self.scored(
                        "planning",
                        f"{task} | {learner} | {world}",
                        about,
                        lambda name=name, words=words: self.written(name, *words),
                        ("--plant", world, "--episodes", str(self.episodes)),
                        5.0 if learner == "planner" else 0.5,
                    )

    def stl(self) -> Iterator[Item]:
        """The analytic systems, by `benchmarks/stl_tasks.py`, which knows itself what is missing."""
        results = self.results["stl"]
        for task in ("maze",) if self.trial else STL_MINUTES:

            def run(task: str = task) -> None:
                self.trained("npc", f"stl:{task}", 0)
                less = ["--methods", "NPC", "--starts", "20", "--episodes", "4", "--trial"] if self.trial else []
                script = [sys.executable, "benchmarks/stl_tasks.py", "--tasks", task, "--runs", self.runs, "--record", results.file, *less]
                subprocess.run(script, check=True)

            last = "NPC + backup" if self.trial else "SAC"
            yield Item("stl", task, STL_MINUTES[task], run, lambda task=task, last=last: f"{task} | {last}" in Results(results.file).rows)


GROUPS: dict[str, Callable[[Bench], Iterator[Item]]] = {
    "engines": Bench.engines,
    "sequences": Bench.sequences,
    "planning": Bench.planning,
    "stl": Bench.stl,
}


def main() -> int:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--list", action="store_true", help="only say what there is to do")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing that would end later")
    parser.add_argument("--only", default="", metavar="WORDS", help="only items with this in their key, as --list shows them")
    parser.add_argument("--trial", type=Path, metavar="FOLDER", help="a few steps of one task, into this folder")
    arguments = parser.parse_args()
    if unknown := {*arguments.groups} - {*GROUPS}:
        parser.error(f"unknown groups {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    bench, began = Bench(arguments.trial), time.monotonic()
    items = [
        item
        for name, group in GROUPS.items()
        if name in (arguments.groups or GROUPS)
        for item in group(bench)
        if arguments.only in item.key
    ]
    missing = [item for item in items if not item.done()]
    if arguments.list:
        for item in items:
            print(f"{item.group:10} {item.key:48} {'done' if item.done() else f'{item.minutes:.1f} min'}")
    print(
        f"{len(items) - len(missing)} of {len(items)} done, about {sum(item.minutes for item in missing):.0f} minutes left on one core",
        flush=True,
    )
    for item in [] if arguments.list else missing:
        if (time.monotonic() - began) / 60 + item.minutes <= arguments.minutes:
            started = time.monotonic()
            item.run()
            print(f"{item.group}: {item.key}, {(time.monotonic() - started) / 60:.1f} min", flush=True)
    return 0


def isthmus(*words: object) -> None:
    """Run a command of isthmus; what it prints is not for this table."""
    subprocess.run([Path(sys.executable).with_name("isthmus"), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
