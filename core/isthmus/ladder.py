"""The ladder of evidence: what is known of a policy before it may move a robot at full speed.

Each rung is evidence in the policy file, bound to the policy's digest. A robot's profile says which of them `deploy` demands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from isthmus import strict

__all__ = ["CERTIFICATE", "HOW", "LADDER", "PARITY", "check_rungs", "climbed", "missing", "run_evidence", "rung_of"]

HOW = {
    "simulation": "isthmus eval POLICY --evidence",
    "second-engine": "isthmus certify POLICY",
    "export-parity": "written where isthmus exports a trained network",
    "shadow": "isthmus deploy POLICY --shadow, then isthmus climb POLICY RECORDING",
    "reduced-rate": "isthmus deploy POLICY --rate-scale 0.25 --record, then isthmus climb POLICY RECORDING",
    "full": "isthmus deploy POLICY --record, then isthmus climb POLICY RECORDING",
}
"""Rung, from the lowest on → the command that reaches it."""

LADDER = tuple(HOW)
"""Names of the rungs, from the lowest on."""

CERTIFICATE = "certificate"
"""Name of the evidence of `isthmus certify`."""

PARITY = "export-parity"
"""Name of the evidence that the exported graph computes what the trained network does."""

_RUNS = ("shadow", "reduced-rate", "full")
_SLOW = 0.5  # share of the limits up to which a run is at a reduced rate


def run_evidence(rung: str) -> str:
    """Name of the evidence of runs on a robot."""
    return f"run-{rung}"


def check_rungs(where: str, names: Collection[str]) -> None:
    """Refuse what is no rung.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    for name in names:
        if name not in LADDER:
            raise ValueError(f"{where}: unknown rung {name!r}; {strict.suggest(name, LADDER)}")


def climbed(evidence: Mapping[str, Any], members: Collection[str], robot: str = "") -> dict[str, str]:
    """The rungs that a policy file shows, from the lowest on.

    Args:
        evidence: of the file.
        members: of the policy's kind; without a graph among them there is nothing of which export could make something else.
        robot: on which a run must have been to count; "" means any.

    Returns:
        rung → name of the evidence that shows it, or why none is needed.
    """
    found: dict[str, str] = {}
    certificate = evidence.get(CERTIFICATE)
    engines = certificate.get("engines") if isinstance(certificate, Mapping) else None
    engines = engines if isinstance(engines, list) else []
    evaluated = [name for name in evidence if name.startswith("eval-") and not name.startswith("eval-ros")]
    if evaluated or engines:
        found["simulation"] = evaluated[0] if evaluated else CERTIFICATE
    if len(engines) > 1:
        found["second-engine"] = CERTIFICATE
    if PARITY in evidence:
        found["export-parity"] = PARITY
    elif not any(name.endswith(".onnx") for name in members):
        found["export-parity"] = "no network was exported"
    for rung in _RUNS:
        run = evidence.get(name := run_evidence(rung))
        if isinstance(run, Mapping) and robot in ("", run.get("robot")):
            found[rung] = name
    return found


def rung_of(*, shadow: bool, rate_scale: float) -> str:
    """Which rung a run on a robot is; at more than half of the limits it counts as full."""
    return "shadow" if shadow else "reduced-rate" if rate_scale <= _SLOW else "full"


def missing(demanded: Collection[str], found: Collection[str], rung: str) -> list[str]:
    """Rungs that a robot demands, that come before a run of that rung, and that the policy does not show; from the lowest on."""
    return [name for name in LADDER[: LADDER.index(rung)] if name in demanded and name not in found]
