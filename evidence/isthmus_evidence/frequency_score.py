"""The Frequency-Averaged Score: how well a policy does over a range of decision frequencies, in one number.

Patel & Siegelmann, "Overcoming Slow Decision Frequencies in Continuous Control: Model-Based Sequence Reinforcement Learning for Model-Free Control"
(arXiv 2410.08979); lengths, ranges of returns and divisor are those of the authors' evaluation, `notebooks/table2.ipynb` of
dee0512/Sequence-Reinforcement-Learning. The area divides by 30 although it spans 29, so a policy with the highest return at every length has 29/30.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array

__all__ = ["LENGTHS", "ReturnRange", "frequency_averaged_score", "published_range"]

LENGTHS = (1, *range(2, 31, 2))
"""Primitive actions per decision at which a policy is evaluated."""

# Environment → what is added to its returns, and R_max after that. Later versions of an environment are scored by the range of the published one.
_PUBLISHED = {
    "Pendulum-v1": (1550, 1350),
    "LunarLanderContinuous-v2": (0, 300),
    "Hopper-v2": (0, 3600),
    "Walker2d-v2": (0, 5000),
    "Ant-v2": (0, 6500),
    "HalfCheetah-v2": (0, 17000),
    "Humanoid-v2": (0, 10500),
    "InvertedPendulum-v2": (0, 1000),
    "InvertedDoublePendulum-v2": (0, 9400),
    "Reacher-v2": (65, 60),
    "Swimmer-v2": (0, 350),
}
_OURS = {"pendulum": "Pendulum-v1"}  # task of ours with the dynamics, reward and episodes of a published one


@dataclass(frozen=True, slots=True)
class ReturnRange:
    """Returns that count as nothing and as all.

    Attributes:
        low: return that scores 0.
        high: return that scores 1.
        source: where it is from: the published environment's id, or "given".

    Raises:
        ValueError: not finite, or low >= high.
    """

    low: float
    high: float
    source: str = "given"

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(f"a range of returns is two finite numbers LOW < HIGH, got {self.low:g} {self.high:g}")


def published_range(task: str) -> ReturnRange | None:
    """The range that the authors use for this environment in any version; None if there is none.

    Args:
        task: name as typed, such as gym:Hopper-v5 or pendulum.
    """
    gym = re.fullmatch(r"gym:(\w+)-v\d+(@\d+)?", task)
    wanted = gym[1] if gym else _OURS.get(task, "").partition("-")[0]
    for name, (shift, highest) in _PUBLISHED.items():
        if name.partition("-")[0] == wanted:
            return ReturnRange(-shift, highest - shift, name)
    return None


def frequency_averaged_score(returns: Array, bounds: ReturnRange) -> float:
    """Trapezoidal area of the shifted return over the action-sequence length, divided by R_max · 30.

    Args:
        returns: mean return at each of `LENGTHS`, `[16]`.
        bounds: R_max is high − low, and the shift is −low.

    Raises:
        ValueError: another number of returns.
    """
    from scipy.integrate import trapezoid

    if returns.shape != (len(LENGTHS),):
        raise ValueError(f"the score is of {len(LENGTHS)} returns, got {list(returns.shape)}")
    area = trapezoid(returns - bounds.low, LENGTHS)
    return float(area / ((bounds.high - bounds.low) * LENGTHS[-1]))
