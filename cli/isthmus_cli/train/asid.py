"""`isthmus train asid`: one motion that tells what is unknown of a task, from a search to a policy file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.progress import Progress
from isthmus_cli.train.asid_closed import remembering, train_explorer
from isthmus_evidence.asid.bounds import Bounds
from isthmus_evidence.asid.exploration import Checked, Exploration, check_best, check_told, facts_of
from isthmus_evidence.asid.motions import find_explorations, search_space
from isthmus_evidence.asid.strikes import STRIKE_SECONDS, StrikeSpace
from isthmus_evidence.provenance import commit
from isthmus_policies.asid.search import SearchConfig
from isthmus_policies.identity import holds_training
from isthmus_policies.ppo import PpoConfig
from isthmus_sim.identification.information_preflight import with_length
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.identification.problem import read_parameter_file
from isthmus_sim.tasks import get_task

__all__ = ["TrainAsid"]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class TrainAsid:
    """Search for one motion that tells unknown parameters of a task, averaged over their ranges (ASID, Memmel et al. 2024), in MuJoCo.

    Identification is simulated before anything is written: a motion after which a parameter stays unknown is refused. The folder gets
    policy.isthmus, of kind excitation or graph, and exploration.json.

    Attributes:
        task: name of the task.
        unknown: names of parameters that the task gives a range; by default all of them.
        parameters: YAML file with names and bounds under `unknown`, as for `isthmus identify`; where both are given, both hold.
        objective: a for the expected squared error, d for the determinant of the information, t for its trace, as in the authors' code.
        every: control periods after which compared simulations are put back together; 1 is the information of single steps; by default never.
        motion: strike for strikes of a body, sines for sums of sines; auto takes strikes of what can be struck.
        duration: of the motion, or of each strike, s.
        strikes: how many of them.
        harmonics: number of sines of each direction.
        draws: of the prior, for which identification is simulated before the file is written.
        specification: formula in Signal Temporal Logic over what is observed, such as "always (tool0.z >= 0.2)"; it must hold in every draw.
        most_force: how hard the body may be pushed, N: the mean over a control period.
        force: write it even if a parameter stays unknown; the file says so.
        seed: of the search.
        out: folder for the results; by default runs/asid-TASK-SEED.
        closed_loop: train a policy that sees what it does, in place of a search for a motion.
        config: settings of the search.
        ppo: settings of the learner, for --closed-loop.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    unknown: tuple[str, ...] = ()
    parameters: Path | None = None
    objective: Literal["a", "d", "t"] = "a"
    every: int | None = None
    motion: Literal["auto", "strike", "sines"] = "auto"
    duration: float = STRIKE_SECONDS
    strikes: int = 3
    harmonics: int = 3
    draws: int = 100
    specification: str = ""
    most_force: float = math.inf
    force: bool = False
    seed: int = 0
    out: Path | None = None
    closed_loop: bool = False
    config: SearchConfig = field(default_factory=SearchConfig)
    ppo: PpoConfig = field(default_factory=lambda: PpoConfig(steps=200_000, num_envs=64, evaluate_every=20_000, checkpoint_every=100_000))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name or a number is wrong, or a parameter stays unknown; nothing has been written then.
        """
        strict.require("--duration", self.duration, least=0.5)
        for name, least in (("harmonics", 1), ("draws", 2), ("seed", 0), ("strikes", 1)):
            strict.require(f"--{name}", getattr(self, name), least=least)
        task = get_task(self.task)
        bounds = {one.name: (one.low, one.high) for one in read_parameter_file(self.parameters).unknown} if self.parameters else None
        unknown = find_unknown(task, self.unknown, bounds)
        out = self.out or Path("runs") / f"asid-{self.task}-{self.seed}"
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "policy.isthmus").exists():
            raise ValueError(f"{out} already holds an exploration; remove it or choose another --out")
        asked = Exploration.of(task, unknown, self.objective, self.every, self.seed, self.duration)
        say(f"unknown of {self.task}: {', '.join(f'{one.name} in {one.low:g} … {one.high:g}' for one in unknown)}")
        asked = dataclasses.replace(asked, bounds=Bounds(self.specification, self.most_force))
        if self.objective == "t" and len(unknown) > 1:
            say("the trace of the information is content with the loudest of several parameters; a and d are not")
        if self.closed_loop:
            return self._closed(remembering(asked), out)
        space = search_space(asked, self.motion, self.duration, self.harmonics, self.strikes)
        whole = dataclasses.replace(asked, task=with_length(task, self.duration * (self.strikes if isinstance(space, StrikeSpace) else 1)))
        if isinstance(space, StrikeSpace) and self.every is None:
            whole = dataclasses.replace(whole, every=space.contract.horizon)  # each strike is replayed from where it began
        with Progress(f"search {self.task}", "rounds") as progress:
            artifacts = find_explorations(whole, space, self.config, self.duration, progress)
        found, facts = self._check(whole, [artifact.policy() for artifact in artifacts])
        summary = {"algorithm": "asid", "config": dataclasses.asdict(self.config), "seed": self.seed}
        self._write(
            dataclasses.replace(artifacts[found.best], training=summary, specification=asked.bounds.specification, git=commit()), facts, out
        )
        say(f"next: ros2 launch isthmus_bringup identify.launch.py policy:={out / 'policy.isthmus'} sim:=true log_dir:=bag")
        return 0

    def _closed(self, asked: Exploration, out: Path) -> int:
        if holds_training(out / "training"):
            raise ValueError(f"{out / 'training'} already holds a training; remove it or choose another --out")
        notes = {"exploration of": self.task, "unknown": {one.name: [one.low, one.high] for one in asked.unknown}}
        artifact, interrupted = train_explorer(asked, self.ppo, out / "training", notes)
        _, facts = self._check(asked, [artifact.policy()])
        self._write(artifact, facts, out)
        return INTERRUPTED if interrupted else 0

    def _check(self, asked: Exploration, policies: Sequence[Policy]) -> tuple[Checked, dict[str, Any]]:
        """Simulate identification.

        Raises:
            ValueError: a parameter stays unknown, and the file is not asked for all the same.
        """
        with Progress("simulated identification", "passes") as progress:
            found = check_best(asked, policies, self.draws, progress)
        facts = facts_of(asked, found, self.draws, forced=self.force)
        _show_facts(asked, facts)
        if not self.force:
            check_told(asked, found)
        return found, facts

    def _write(self, artifact: Artifact, facts: dict[str, Any], out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(facts, out / "exploration.json")
        dataclasses.replace(artifact, training={**artifact.training, "exploration": facts}).save(out / "policy.isthmus")
        say(f"exploration: {out / 'policy.isthmus'}")


def _show_facts(asked: Exploration, facts: Mapping[str, Any]) -> None:
    """Print them."""
    rows = [
        (
            one.name,
            f"{facts['expected_sd'][one.name]:.2g}",
            facts["unit"][one.name],
            f"{100 * facts['expected_share_of_range'][one.name]:.2g}",
            f"{facts['promised_by_information'][one.name]:.2g}",
            facts["expected_verdict"][one.name],
        )
        for one in asked.unknown
    ]
    columns = ("parameter", "expected sd", "unit", "% of its range", "promised by information", "verdict")
    show_table(f"identification, simulated for {facts['draws']} draws", columns, rows)
    say(
        f"{facts['duration_s']:g} s, at most {100 * facts['peak_speed_share_of_limit']:.0f} % of a joint's speed limit and "
        f"{100 * facts['peak_effort_share_of_limit']:.0f} % of its effort limit; ended early in {facts['ended_early']} of {facts['draws']} draws"
    )
