"""Evaluations that are kept in the policy file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.artifact import Artifact
from isthmus_evidence.provenance import provenance
from isthmus_sim.randomization import Randomization

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a stored result is called, and under which conditions it was found.

    Attributes:
        name: of the entry in the policy file; an earlier one of the same name is replaced.
        conditions: plain data that is stored with the result.
    """

    name: str
    conditions: Mapping[str, Any]

    @classmethod
    def under(cls, what: str, where: str, parameters: Mapping[str, float], randomization: Randomization | None) -> Evidence:
        """Evidence whose name tells the conditions.

        Args:
            what: kind of evaluation.
            where: plant or suite.
            parameters: physical parameters that differ from the task's own, SI.
            randomization: parameters that were drawn.
        """
        name = "-".join([what, where, *(f"{key}-{value:g}" for key, value in sorted(parameters.items()))])
        if randomization is None:
            return cls(name, {"parameters": parameters})
        return cls(f"{name}-randomized-{randomization.digest()[:8]}", {"parameters": parameters, "randomization": randomization.summary()})

    def stored_in(self, artifact: Artifact, summary: Mapping[str, Any]) -> Artifact:
        """The policy file with a result in it, without its `per_episode`, and with what made it: command, commit, versions, machine."""
        short = {key: value for key, value in summary.items() if key != "per_episode"}
        return artifact.with_evidence(self.name, {**short, **self.conditions, "made": provenance()})
