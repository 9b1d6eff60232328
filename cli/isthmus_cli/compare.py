"""`isthmus compare`: policies, or one policy in several worlds, on the same seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.files import write_whole
from isthmus_cli.console import say, show, write_json
from isthmus_cli.eval.typed_parameters import parse_parameters
from isthmus_cli.files import check_folder, check_output, load_artifact
from isthmus_cli.progress import Progress
from isthmus_evidence.comparison import check_comparison, compare
from isthmus_evidence.evaluation import find_task
from isthmus_evidence.protocol import Protocol, World, load_protocol
from isthmus_evidence.provenance import provenance
from isthmus_evidence.reports.comparison_page import comparison_page
from isthmus_evidence.reports.comparison_report import comparison_report
from isthmus_sim.identification.calibration import calibrated
from isthmus_sim.randomization import load_randomization
from isthmus_sim.task import Task

__all__ = ["Compare"]

_JUDGED = ("episodes", "seed", "metric", "threshold")
_FIXED = ("task", "plants", "parameters", "randomize", "calibration", *_JUDGED)  # by a protocol


@dataclass(frozen=True, slots=True)
class Compare:
    """Run policies on the same seeds, compare each with the first, and write report.html; of one policy the worlds are compared with the first.

    A protocol file fixes task, worlds, seeds, number, metric and threshold; its hash is said before the first episode and in the report.

    Attributes:
        policies: policy files.
        protocol: YAML file with task, worlds, seed, episodes, metric and threshold, in place of the options below.
        task: name of the task; by default the one that the first policy was made for.
        plants: where episodes run: mujoco, pybullet or ros; by default mujoco.
        parameters: physical parameters that differ from the task's own, in SI units, such as payload=1.5 (kg).
        randomize: YAML file of physical parameters to draw for each episode.
        calibration: file that `isthmus identify` wrote: its values hold for all that --parameters and --randomize do not say.
        episodes: of each policy in each world; by default 50.
        seed: of the first episode, by default 0; the following ones count up.
        metric: what the verdict is about: success, return or robustness; by default success.
        threshold: differences of the metric up to it do not count, in its unit; by default 0.
        out: folder for report.html and report.json.
        json: write the result as JSON to this file, too; - is stdout.
    """

    policies: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="POLICY …")]
    protocol: Path | None = None
    task: str | None = None
    plants: tuple[str, ...] = ()
    parameters: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE …")] = ()
    randomize: Path | None = None
    calibration: Path | None = None
    episodes: int | None = None
    seed: int | None = None
    metric: str | None = None
    threshold: float | None = None
    out: Path = Path("runs/compare")
    json: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: an option or a file is wrong, or the policies cannot be compared.
        """
        if not self.policies:
            raise ValueError("isthmus compare needs a policy file, and another one or another world")
        quiet = str(self.json) == "-"
        artifacts = [load_artifact(path) for path in self.policies]
        protocol = load_protocol(self.protocol) if self.protocol else None
        if protocol is None:
            protocol = self._typed(self.task or artifacts[0].contract.task)
        elif fixed := [f"--{name}" for name in _FIXED if getattr(self, name) not in (None, ())]:
            raise ValueError(f"{self.protocol} fixes what is compared, so {' and '.join(fixed)} cannot be given")
        check_comparison(len(artifacts), protocol)
        check_folder(self.out)
        if self.json is not None and not quiet:
            check_output(self.json)
        if not quiet:
            say(f"protocol {protocol.digest()}")
        with Progress("comparison", "evaluations", quiet) as progress:
            found = compare(self.policies, protocol, progress=progress)
        made = provenance()
        write_json({**found, "made": made}, self.out / "report.json")
        write_whole(self.out / "report.html", comparison_page(found, made))
        if self.json is not None:
            write_json({**found, "made": made}, self.json)
        if not quiet:
            show(comparison_report(found))
            say(f"report: {self.out / 'report.html'}")
        return 0

    def _typed(self, name: str) -> Protocol:
        """The protocol that the options say."""
        task = find_task(name)
        parameters = parse_parameters(self.parameters, task.parameters if isinstance(task, Task) else {})
        drawn = calibrated(load_randomization(self.randomize) if self.randomize else None, self.calibration)
        worlds = tuple(World(plant, parameters, drawn) for plant in self.plants or ("mujoco",))
        given = {option: value for option in _JUDGED if (value := getattr(self, option)) is not None}
        return Protocol(name, worlds, **given)
