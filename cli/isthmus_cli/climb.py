"""`isthmus climb`: what a recording of a run on the robot shows, as evidence in the policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.ladder import run_evidence
from isthmus_cli.console import say
from isthmus_cli.files import check_output, load_artifact
from isthmus_evidence.provenance import provenance
from isthmus_evidence.runs import read_run

__all__ = ["Climb"]


@dataclass(frozen=True, slots=True)
class Climb:
    """Store what a recording shows in the policy file: a run in shadow mode, at a reduced rate, or at full speed. Nothing moves.

    Attributes:
        policy: policy file.
        recording: folder that record_node wrote, or its .mcap file.
    """

    policy: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    recording: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RECORDING")]

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: the recording is of another policy or of a simulated robot, or nothing ran in it.
        """
        artifact = load_artifact(self.policy)
        digest, found = read_run(self.recording)
        if digest != artifact.policy_digest:
            raise ValueError(f"{self.recording} is of the policy with digest {digest}, {self.policy} has {artifact.policy_digest}")
        check_output(self.policy)
        artifact.with_evidence(run_evidence(found["rung"]), {**found, "made": provenance()}).save(self.policy)
        share = found["stopped"]
        ends = f"stopped {100 * share['rate']:.0f} % ({100 * share['low']:.0f} … {100 * share['high']:.0f} %)"
        say(f"{found['rung']}: {found['runs']} runs on {found['robot']}, {ends}; stored in {self.policy}")
        return 0
