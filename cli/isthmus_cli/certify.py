"""`isthmus certify`: one policy in two engines, and how far it may be disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus.files import write_whole
from isthmus.ladder import CERTIFICATE
from isthmus_cli.console import say, show, write_json
from isthmus_cli.files import check_folder, check_output, load_artifact
from isthmus_cli.progress import Progress
from isthmus_cli.train.randomization import NONE, chosen_randomization
from isthmus_evidence.certificate import ENGINES, EPISODES, SEED, certified_task, certify
from isthmus_evidence.provenance import provenance
from isthmus_evidence.reports.certificate_page import certificate_page
from isthmus_evidence.reports.certificate_report import certificate_report
from isthmus_sim.identification.calibration import load_calibration
from isthmus_sim.randomization import with_cadence

__all__ = ["Certify"]


@dataclass(frozen=True, slots=True)
class Certify:
    """Run one policy with the same seeds and guard in two engines, search its margins, and store the certificate in the policy file.

    Attributes:
        policy: policy file.
        task: name of the task; by default the one that the policy was made for.
        engines: the first is where margins are searched; the others are compared with it, and try each margin.
        episodes: of each cell, and of each amount of a disturbance.
        seed: of the first episode; the following ones count up.
        randomize: YAML file of what the randomised cells draw, or none; by default what a training draws in both engines.
        calibration: file that `isthmus identify` wrote, which holds in the calibrated cells; without it there are none.
        cadence: cadence report of a robot's loop, as `isthmus eval --plant ros --json` writes it: its times from wake-up to command are drawn as the
            delay of commands in the randomised cells, on top of the robot's own, in place of what else would be drawn for it.
        margins: which margins to search, such as delay noise, or none; by default all that the task has a word for.
        out: folder for report.html and report.json.
        json: write the certificate as JSON to this file, too; - is stdout.
        no_evidence: leave the policy file as it is.
    """

    policy: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    task: str | None = None
    engines: tuple[str, ...] = ENGINES
    episodes: int = EPISODES
    seed: int = SEED
    randomize: Path | None = None
    calibration: Path | None = None
    cadence: Path | None = None
    margins: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = ()
    out: Path = Path("runs/certify")
    json: Path | None = None
    no_evidence: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: an option is wrong, or the policy does not fit the task.
        """
        quiet = str(self.json) == "-"
        artifact = load_artifact(self.policy)
        task = certified_task(artifact, self.task)
        randomization = chosen_randomization(task, "pybullet", self.randomize)  # what both engines can express
        if self.cadence is not None:
            randomization = with_cadence(randomization, self.cadence, task.parameters)
        if self.calibration is not None:
            load_calibration(self.calibration)
        margins = None if not self.margins else () if self.margins == (str(NONE),) else self.margins
        check_folder(self.out)
        for path in (None if self.no_evidence else self.policy, None if quiet else self.json):
            if path is not None:
                check_output(path)
        with Progress(f"certificate of {self.policy.name}", "steps", quiet) as progress:
            found = certify(
                artifact,
                self.task,
                engines=self.engines,
                episodes=self.episodes,
                seed=self.seed,
                randomization=randomization,
                calibration=self.calibration,
                margins=margins,
                progress=progress,
            )
        found["made"] = provenance()
        if not self.no_evidence:
            self._store(artifact.policy_digest, found)
        write_json(found, self.out / "report.json")
        write_whole(self.out / "report.html", certificate_page(found, artifact.policy_digest))
        if self.json is not None:
            write_json(found, self.json)
        if not quiet:
            show(certificate_report(found))
            say(f"report: {self.out / 'report.html'}{'' if self.no_evidence else f'; stored in {self.policy}'}")
        return 0

    def _store(self, digest: str, found: dict[str, Any]) -> None:
        """Write the certificate into the file as it is now: other evidence may have come meanwhile."""
        artifact = load_artifact(self.policy)
        if artifact.policy_digest != digest:
            raise ValueError(f"{self.policy} holds another policy now than the one that was certified, {digest}; nothing is stored")
        artifact.with_evidence(CERTIFICATE, found).save(self.policy)
