"""`isthmus inspect`: what is in a policy file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.ladder import CERTIFICATE, climbed
from isthmus_cli.console import say, show, show_table, write_json
from isthmus_cli.files import load_artifact
from isthmus_cli.signals import show_limits, show_signals
from isthmus_evidence.reports.card import ladder_table
from isthmus_evidence.reports.certificate_report import certificate_report, is_certificate
from isthmus_evidence.reports.frequency_report import curve_table, is_curve

__all__ = ["Inspect"]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Show what is in a policy file. Nothing in it is executed.

    Attributes:
        policy: policy file.
        json: print JSON.
    """

    policy: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    json: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ArtifactError: the file is refused; the message names the member.
        """
        artifact = load_artifact(self.policy)
        if self.json:
            write_json({"file": str(self.policy), **_facts(artifact), "contract": artifact.contract})
            return 0
        contract = artifact.contract
        place = f"on robot {contract.robot!r}" if not contract.no_robot else "for no robot"
        say(f"{self.policy}: kind {artifact.kind}, for task {contract.task!r} {place}")
        say(f"control period {contract.control_period:g} s, {contract.horizon} action(s) per decision, {contract.mode} commands")
        show_signals(contract)
        if not contract.no_robot:
            show_limits(contract)
        show_table("identity", ("what", "value"), [("policy digest", artifact.policy_digest), ("contract digest", contract.digest())])
        members = [(name, len(content)) for name, content in artifact.members.items()]
        show_table("members", ("name", "size, bytes"), members)
        if artifact.specification:
            say(f"specification of the task: {artifact.specification.formula}")
            for name, text in artifact.specification.signals.items():
                say(f"  {name}: {text}")
        show_table("training", ("setting", "value"), _flat({**artifact.training, "git": artifact.git or "unknown"}))
        show_table("versions", ("package", "version"), sorted(artifact.versions.items()))
        show(iter([ladder_table(artifact)]))
        for name, data in artifact.evidence.items():
            _show_evidence(name, data if isinstance(data, Mapping) else {"value": data})
        return 0


def _facts(artifact: Artifact) -> dict[str, Any]:
    """Plain data; sizes in bytes."""
    return {
        "kind": artifact.kind,
        "policy_digest": artifact.policy_digest,
        "contract_digest": artifact.contract.digest(),
        "members": {name: len(content) for name, content in artifact.members.items()},
        "specification": None if artifact.specification is None else strict.encode(artifact.specification),
        "training": artifact.training,
        "ladder": climbed(artifact.evidence, artifact.members),
        "evidence": artifact.evidence,
        "versions": artifact.versions,
        "git": artifact.git,
    }


def _show_evidence(name: str, data: Mapping[str, Any]) -> None:
    """One table, and one more for each curve over decision frequencies in it; a certificate as `isthmus certify` tells it."""
    if name == CERTIFICATE and is_certificate(data):
        show(certificate_report(data))
        return
    curves = {key: value for key, value in data.items() if is_curve(value)}
    show_table(f"evidence: {name}", ("quantity", "value"), _flat({key: value for key, value in data.items() if key not in curves}))
    show(curve_table(curve, f"{key} of {name}") for key, curve in curves.items())


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain data as rows, names joined by dots."""
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(strict.encode(value), ensure_ascii=False)))
    return rows
