"""What `isthmus eval` leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus_cli.console import say, write_json
from isthmus_cli.files import check_folder, check_output
from isthmus_evidence.pictures.figures import chart_path
from isthmus_evidence.pictures.film import check_format
from isthmus_evidence.provenance import provenance
from isthmus_evidence.stored import Evidence

__all__ = ["Outputs"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What an evaluation is asked to leave behind; None where nothing is.

    Attributes:
        json: file for the result as JSON; - is stdout, where nothing else is printed then.
        video: file for the film of the first episode.
        record: folder for traces.
        plot: file for the chart.
        policy: policy file that stores the result.
    """

    json: Path | None
    video: Path | None
    record: Path | None
    plot: Path | None
    policy: Path | None

    @property
    def quiet(self) -> bool:
        """Whether nothing but JSON is printed."""
        return str(self.json) == "-"

    def check(self) -> None:
        """See that the files can be written, before hours are spent on what goes into them.

        Raises:
            ValueError: unknown format, or a path is a folder or cannot be written to.
        """
        if self.video:
            check_format(self.video)
        if self.plot:
            chart_path(self.plot)
        for path in (self.video, self.plot, None if self.quiet else self.json):
            if path is not None:
                check_output(path)
        if self.record is not None:
            check_folder(self.record)

    def save(
        self, summary: Mapping[str, Any], draw: Callable[[Mapping[str, Any], Path], None], artifact: Artifact, known: Evidence
    ) -> None:
        """Write chart, JSON and evidence, those that are asked for.

        Args:
            summary: of the evaluation. JSON also says which training and commit the policy is of, and which command, commit, versions and machine
                the figures.
            draw: draws the chart of a summary into a file.
            artifact: of the policy file.
            known: as what the result is stored there.
        """
        if self.plot:
            draw(summary, self.plot)
        if self.json:
            of_policy = {name: artifact.training[name] for name in ("algorithm", "engine", "seed") if name in artifact.training}
            write_json({**summary, "policy": {**of_policy, "commit": artifact.git}, "made": provenance()}, self.json)
        if self.policy:
            known.stored_in(artifact, summary).save(self.policy)

    def show(self) -> None:
        """Print where the files are."""
        for name, path in (("json", self.json), ("video", self.video), ("traces", self.record), ("plot", self.plot)):
            if path:
                say(f"{name}: {path}")
