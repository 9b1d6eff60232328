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
        clamped: share of control periods in which the guard cut the command, or more; None where there is no guard.
        stopped: share of episodes that the guard stopped; likewise.
        episodes: of which these are the scores; None where nobody said.
        low: lower end of the 95 % interval of the mean return; None likewise.
        high: upper end.
    """

    mean_return: float
    success: float | None
    clamped: float | None = None
    stopped: float | None = None
    episodes: int | None = None
    low: float | None = None
    high: float | None = None

    @property
    def score(self) -> float:
        """By which policies are compared: the return, made worse in proportion to how much the guard had to do.

        A chattering policy may earn a little more in the engine that it knows, and an arm does not bear it. The return itself already charges an
        episode that ended early for what was left of it.
        """
        return self.mean_return - abs(self.mean_return) * ((self.clamped or 0.0) + (self.stopped or 0.0))

    def scores(self) -> dict[str, float]:
        """What there is of it, by name."""
        found = {"return": self.mean_return, "success": self.success, "clamped": self.clamped, "stopped": self.stopped}
        return {name: value for name, value in found.items() if value is not None}


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
