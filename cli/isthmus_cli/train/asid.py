"""`isthmus train asid`: one motion that tells what is unknown of a task, from a search to a policy file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from isthmus import strict
from isthmus.kinds.excitation import excitation_artifact
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.progress import Progress
from isthmus_cli.train.asid_search import Checked, Exploration, check_motions, check_told, find_motions
from isthmus_evidence.provenance import commit
from isthmus_policies.asid.motion import excitation_contract
from isthmus_policies.asid.search import SearchConfig
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.identification.problem import read_parameter_file
from isthmus_sim.tasks import get_task

__all__ = ["TrainAsid"]


@dataclass(frozen=True, slots=True)
class TrainAsid:
    """Search for one motion that tells unknown parameters of a task, averaged over their ranges (ASID, Memmel et al. 2024), in MuJoCo.

    Identification is simulated before anything is written: a motion after which a parameter stays unknown is refused. The folder gets
    policy.isthmus, of kind excitation, and exploration.json.

    Attributes:
        task: name of the task.
        unknown: names of parameters that the task gives a range; by default all of them.
        parameters: YAML file with names and bounds under `unknown`, as for `isthmus identify`; where both are given, both hold.
        objective: a for the expected squared error, d for the determinant of the information, t for its trace, as in the authors' code.
        every: control periods after which compared simulations are put back together; 1 is the information of single steps; by default never.
        duration: of the motion, s.
        harmonics: number of sines of each direction.
        draws: of the prior, for which identification is simulated before the file is written.
        force: write it even if a parameter stays unknown; the file says so.
        seed: of the search.
        out: folder for the results; by default runs/asid-TASK-SEED.
        config: settings of the search.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    unknown: tuple[str, ...] = ()
    parameters: Path | None = None
    objective: Literal["a", "d", "t"] = "a"
    every: int | None = None
    duration: float = 4.0
    harmonics: int = 3
    draws: int = 100
    force: bool = False
    seed: int = 0
    out: Path | None = None
    config: SearchConfig = field(default_factory=SearchConfig)

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name or a number is wrong, or a parameter stays unknown; nothing has been written then.
        """
        strict.require("--duration", self.duration, least=0.5)
        for name, least in (("harmonics", 1), ("draws", 2), ("seed", 0)):
            strict.require(f"--{name}", getattr(self, name), least=least)
        task = get_task(self.task)
        bounds = {one.name: (one.low, one.high) for one in read_parameter_file(self.parameters).unknown} if self.parameters else None
        unknown = find_unknown(task, self.unknown, bounds)
        out = self.out or Path("runs") / f"asid-{self.task}-{self.seed}"
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "policy.isthmus").exists():
            raise ValueError(f"{out} already holds an exploration; remove it or choose another --out")
        asked = Exploration(task, unknown, self.objective, self.every, self.duration, self.harmonics, self.seed)
        say(f"unknown of {self.task}: {', '.join(f'{one.name} in {one.low:g} … {one.high:g}' for one in unknown)}")
        if self.objective == "t" and len(unknown) > 1:
            say("the trace of the information is content with the loudest of several parameters; a and d are not")
        with Progress(f"search {self.task}", "rounds") as progress:
            motions = find_motions(asked, self.config, progress)
        with Progress("simulated identification", "passes") as progress:
            found = check_motions(asked, motions, self.draws, progress)
        facts = self._facts(asked, found)
        _show(asked, facts)
        check_told(asked, found.expected, force=self.force)
        out.mkdir(parents=True, exist_ok=True)
        write_json(facts, out / "exploration.json")
        summary = {"algorithm": "asid", "config": dataclasses.asdict(self.config), "seed": self.seed, "exploration": facts}
        excitation_artifact(excitation_contract(task.contract), found.motion, summary, commit()).save(out / "policy.isthmus")
        say(f"exploration: {out / 'policy.isthmus'}")
        say(f"next: ros2 launch isthmus_bringup identify.launch.py policy:={out / 'policy.isthmus'} sim:=true record:=bag")
        return 0

    def _facts(self, asked: Exploration, found: Checked) -> dict[str, Any]:
        """What the manifest says: standard deviations in the parameters' units, and as shares of their ranges."""
        names = [one.name for one in asked.unknown]
        units = {name: asked.task.parameters[name].unit for name in names}
        width = [one.high - one.low for one in asked.unknown]
        expected, run = found.expected, found.expected.run
        return {
            "unknown": {one.name: [one.low, one.high] for one in asked.unknown},
            "unit": units,
            "expected_sd": dict(zip(names, (expected.sd * width).tolist(), strict=True)),
            "expected_share_of_range": dict(zip(names, expected.sd.tolist(), strict=True)),
            "expected_verdict": dict(zip(names, expected.verdicts, strict=True)),
            "promised_by_information": dict(zip(names, (found.promised * width).tolist(), strict=True)),
            "draws": self.draws,
            "ended_early": int(run.bad.sum()),
            "duration_s": found.motion.duration,
            "peak_speed_share_of_limit": float(run.speed.max()),
            "peak_effort_share_of_limit": float(run.effort.max()),
            "objective": self.objective,
            "every": self.every,
            "forced": self.force,
        }


def _show(asked: Exploration, facts: dict[str, Any]) -> None:
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
