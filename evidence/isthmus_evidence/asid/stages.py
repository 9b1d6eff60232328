"""The stages of a loop, each of which leaves its files and is not done again where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence.asid.asked import EXPLORING, Asked, WaitingError
from isthmus_evidence.asid.exploration import SEEDS, Exploration, check_best, check_told, facts_of
from isthmus_evidence.asid.learned import Belief, learn, nominal_belief, prior_belief
from isthmus_evidence.asid.motions import Space, find_explorations, random_exploration, search_space
from isthmus_evidence.asid.real import explore
from isthmus_evidence.asid.solve import solve
from isthmus_evidence.asid.strikes import StrikeSpace
from isthmus_evidence.files import write_json
from isthmus_evidence.provenance import commit
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.information_preflight import with_length

__all__ = ["Progress", "Stages"]

Progress = Callable[[str], Callable[..., None]]
"""Name of a stage → what is told how far it is."""


class Stages:
    """Each returns what it found, from its file if that is there."""

    def __init__(self, asked: Asked, out: Path) -> None:
        """Bind.

        Args:
            asked: what is asked for.
            out: folder.

        Raises:
            ValueError: something of it cannot be explored or identified.
        """
        self.asked, self.out = asked, out
        exploration = Exploration.of(asked.task, asked.unknown, "a", None, asked.seed, asked.seconds)
        self._space: Space = search_space(exploration, asked.motion, asked.seconds, asked.harmonics, asked.strikes)
        strikes = isinstance(self._space, StrikeSpace)
        self._exploration = replace(
            exploration,
            task=with_length(asked.task, asked.seconds * (asked.strikes if strikes else 1)),
            every=self._space.contract.horizon if isinstance(self._space, StrikeSpace) else None,
            bounds=asked.bounds,
        )

    @property
    def steps(self) -> int:
        """Control periods of an exploration."""
        return self._exploration.task.episode_steps

    def explored(self, arm: str, progress: Progress) -> dict[str, Any]:
        """The policy file of an exploration, and what the pre-flight expects of it; of a random one nothing is asked.

        Raises:
            ValueError: a parameter stays unknown, and it is not forced.
        """
        folder = self.out / "explore" / arm
        if (folder / "exploration.json").is_file():
            return _read(folder / "exploration.json")
        if arm == "random":
            artifact, facts = random_exploration(self._space, self.asked.seed), {}
        else:
            found = find_explorations(self._exploration, self._space, self.asked.search, self.asked.seconds, progress("search"))
            checked = check_best(self._exploration, [one.policy() for one in found], self.asked.draws, progress("pre-flight"))
            if not self.asked.force:
                check_told(self._exploration, checked)
            artifact, facts = found[checked.best], facts_of(self._exploration, checked, self.asked.draws, forced=self.asked.force)
        folder.mkdir(parents=True, exist_ok=True)
        training = {"algorithm": "asid" if facts else "random", "seed": self.asked.seed, "exploration": facts}
        bounded = replace(artifact, training=training, specification=self.asked.bounds.specification, git=commit())
        bounded.save(folder / "policy.isthmus")
        write_json(facts, folder / "exploration.json")
        return facts

    def ran(self, arm: str) -> dict[str, Any]:
        """The exploration on the real plant.

        Raises:
            WaitingError: the real plant is a robot, and there is no recording yet.
        """
        file, policy = self.out / "run" / f"{arm}.json", self.out / "explore" / arm / "policy.isthmus"
        if file.is_file():
            return _read(file)
        if not self.asked.real.simulated:
            self._recording(arm)
            return {"steps": None, "stopped_by_guard": ""}
        film = self.out / "run" / f"{arm}.gif" if self.asked.film else None
        file.parent.mkdir(parents=True, exist_ok=True)
        artifact = Artifact.load(policy)
        told = explore(self.asked.real, self.asked.task, artifact, file.with_suffix(".mcap"), self.asked.seed, self.steps, film)
        write_json(told, file)
        return told

    def learned(self, arm: str, progress: Progress) -> dict[str, Any]:
        """What the recording told; see `learned.learn`."""
        folder = self.out / "identified" / arm
        if (folder / "learned.json").is_file():
            return _read(folder / "learned.json")
        options = FitOptions(self.asked.starts, self.asked.seed)
        return learn(self.asked.task.name, self.asked.unknown, self._recording(arm), folder, options, progress("identify"))

    def _recording(self, arm: str) -> Path:
        """Of an exploration; of a robot the newest in the folder that the launch file was given."""
        if self.asked.real.simulated:
            return self.out / "run" / f"{arm}.mcap"
        bag, policy = self.out / "run" / arm, self.out / "explore" / arm / "policy.isthmus"
        if found := max(bag.rglob("*.mcap"), default=None):
            return found
        raise WaitingError(
            f"play the exploration once on the robot: ros2 launch isthmus_bringup identify.launch.py policy:={policy} log_dir:={bag}; "
            "then give the same command again"
        )

    def belief(self, arm: str) -> Belief:
        """What an arm solves the task with; an exploration that told nothing leaves the prior."""
        unknown, table = self.asked.unknown, self.asked.task.parameters
        if arm == "nominal":
            return nominal_belief(unknown, [table[one.name].nominal for one in unknown])
        told = _read(self.out / "identified" / arm / "learned.json") if arm in EXPLORING else {}
        if not told.get("identified"):
            return prior_belief(unknown)
        mean = np.array([told["parameters"][one.name]["value"] for one in unknown])
        return replace(prior_belief(unknown), mean=mean, covariance=np.array(told["covariance"]))

    def solved(self, arm: str, progress: Progress) -> dict[str, Any]:
        """The policy file of the task; see `solve.solve`."""
        folder = self.out / "task" / arm
        if (folder / "solved.json").is_file():
            return _read(folder / "solved.json")
        task = self.asked.task
        found = solve(task, self.belief(arm), self.asked.solver, self.asked.seed, progress(f"solve, {arm}"))
        folder.mkdir(parents=True, exist_ok=True)
        artifact = scripted_artifact(task.contract, found["settings"])
        training = {"algorithm": f"asid: {arm}", "seed": self.asked.seed, **found}
        replace(artifact, training=training, specification=task.specification, git=commit()).save(folder / "policy.isthmus")
        write_json(found, folder / "solved.json")
        return found

    def deployed(self, arm: str) -> dict[str, Any]:
        """Episodes of the task on the real plant.

        Raises:
            WaitingError: the real plant is a robot, and its episodes are not there yet.
        """
        file, policy = self.out / "task" / arm / "episodes.json", self.out / "task" / arm / "policy.isthmus"
        if file.is_file():
            return _read(file)
        if not self.asked.real.simulated:
            raise WaitingError(
                f"run the task on the robot: isthmus eval {policy} --plant ros --attach --episodes {self.asked.episodes} --json {file}; "
                "then give the same command again"
            )
        real = self.asked.real
        found = evaluate_task(
            self.asked.task,
            Artifact.load(policy).policy(),
            real.engine,
            episodes=self.asked.episodes,
            seed=3 * SEEDS + self.asked.seed,
            parameters=real.values,
        )
        write_json(found, file)
        return found


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = strict.load_json(file.read_bytes(), str(file))
    return found
