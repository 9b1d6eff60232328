"""Which of the policies that a training comes by is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_policies.export import export_graph
from isthmus_policies.learner import LearnerConfig
from isthmus_policies.outcome import Evaluation

__all__ = ["Selection"]


class Selection:
    """Evaluates exported files; the best of them so far is `policy.isthmus`.

    Attributes:
        best: the best score so far, or the one that reached the target; None before the first.
        reached: whether an evaluation reached the target of the settings, which ends the training.
    """

    def __init__(
        self,
        contract: Contract,
        config: LearnerConfig,
        evaluate: Callable[[Policy], Evaluation],
        out: Path,
        git: str,
        told: Mapping[str, Any],
    ) -> None:
        """Begin without any.

        Args:
            contract: of the policies.
            config: settings of the training.
            evaluate: scores a policy on episodes of its own.
            out: folder for the best.
            git: state of the source tree, for the manifest.
            told: what the manifest's training summary says of every policy, such as algorithm and seed; plain data.
        """
        self.best: Evaluation | None = None
        self.reached = False
        self._contract, self._config, self._evaluate, self._out, self._git, self._told = contract, config, evaluate, out, git, told

    def export(self, policy: nn.Module, samples: Mapping[str, Array], step: int) -> Artifact:
        """A policy as a file.

        Args:
            policy: raw SI observations → SI actions.
            samples: observations on which the exported graph is compared with it, `[n, history, *shape]` per signal.
            step: control periods done.
        """
        training: Mapping[str, Any] = {
            "steps": step,
            "config": dataclasses.asdict(self._config),
            **({"reached_target": self.reached} if self._config.has_target else {}),
            **self._told,
        }
        return export_graph(self._contract, policy, samples, training=training, git=self._git)

    def consider(self, export: Callable[[], Artifact]) -> Evaluation:
        """Evaluate the policy of this moment, and keep it if it is the best so far or reached the target."""
        artifact = export()
        evaluation = self._evaluate(artifact.policy())
        self.reached = self._config.reached(evaluation)
        if self.reached:
            artifact = export()  # which says so
        if self.reached or self.best is None or evaluation.score >= self.best.score:
            self.best = evaluation
            artifact.save(self._out / "policy.isthmus")
        return evaluation
