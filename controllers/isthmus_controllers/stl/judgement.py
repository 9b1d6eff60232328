"""What a run that has ended says about a formula, also where the formula looks later than the run lasted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus_controllers.stl.evaluation import robustness
from isthmus_controllers.stl.formula import Formula

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Robustness of one run.

    Attributes:
        robustness: what is cut off under "eventually" is not met, and under "always" not broken: the reading `ended`. Infinite where only what is
            missing decides.
        low: not below it, however the run would have gone on: the reading `strong`.
        high: nor above it: the reading `weak`.
        early: whether the run ended before it was meant to.
    """

    robustness: float
    low: float
    high: float
    early: bool

    @property
    def verdict(self) -> str:
        """`satisfied`, `violated`, or `unbroken`: nothing speaks against it, but the run ended early, or before any sample that matters.

        To end early never satisfies a formula that would be violated if the run went on.
        """
        if self.robustness < 0:
            return "violated"
        return "satisfied" if self.low >= 0 or (not self.early and self.robustness < math.inf) else "unbroken"


def judge(formula: Formula, signals: Mapping[str, Array], samples: int, early: bool) -> Judgement:
    """Judge one run.

    Args:
        formula: what is asked at its first sample.
        signals: `[1, T]` per name.
        samples: how many of them belong to the run. One without any has met nothing, and broken nothing.
        early: whether it ended before it was meant to.

    Raises:
        ValueError: a signal is missing, of another shape or not a number within the run.
    """
    if samples == 0:
        return Judgement(-math.inf, -math.inf, math.inf, early)
    cut = {name: signals[name][:, :samples] for name in formula.signals}
    ended, low, high = (float(np.asarray(robustness(formula, cut, end=end))[0]) for end in ("ended", "strong", "weak"))
    return Judgement(ended, low, high, early)
