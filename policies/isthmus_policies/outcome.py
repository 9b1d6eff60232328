"""What a training tells while it runs and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Evaluation", "Progress", "TrainingResult"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Score of a policy during training.

    Attributes:
        mean_return: undiscounted, over the evaluation episodes.
        success: share of successes; None where the task does not say what success is.
    """

    mean_return: float
    success: float | None

    def scores(self) -> dict[str, float]:
        """What there is of it, by name."""
        return {"return": self.mean_return, **({} if self.success is None else {"success": self.success})}


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
        policy: the best policy's file.
        steps: control periods done.
        best: its score during training; None if there was no evaluation.
        interrupted: whether Ctrl-C ended it early.
        checkpoint: newest checkpoint.
        reached: whether it ended because an evaluation reached the target of the settings.
    """

    policy: Path
    steps: int
    best: Evaluation | None
    interrupted: bool
    checkpoint: Path
    reached: bool = False


class Progress(Protocol):
    """Told about a training as it goes."""

    def __call__(self, step: int, total: int, evaluation: Evaluation | None) -> None:
        """After each control period, and with a score after each evaluation."""
