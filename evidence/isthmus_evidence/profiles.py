"""What a mean hides: how the scores of episodes are spread, and how often one policy does better than another from the same start.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264), with Wilson intervals of the shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.statistics import success_interval

__all__ = ["performance_profile", "probability_of_improvement"]


def performance_profile(scores: Array, grid: Array) -> dict[str, list[float]]:
    """Share of episodes whose score is above each value.

    Args:
        scores: `[n]`.
        grid: values, `[m]`.

    Returns:
        plain data: `score`, the values; `share` with `low` and `high`, the pointwise 95 % interval; `[m]` each.
    """
    above = [int((scores > value).sum()) for value in grid]
    ends = [success_interval(count, len(scores)) for count in above]
    return {
        "score": grid.tolist(),
        "share": [count / len(scores) for count in above],
        "low": [low for low, _ in ends],
        "high": [high for _, high in ends],
    }


def probability_of_improvement(here: Array, there: Array) -> dict[str, Any]:
    """Share of pairs in which the first scores higher; a tie counts half.

    Args:
        here: scores, `[n]`.
        there: of the same seeds, `[n]`.

    Returns:
        plain data: `rate` with its 95 % interval `low` … `high`, and `pairs`.
    """
    better = float((here > there).sum() + (here == there).sum() / 2)
    low, high = success_interval(better, len(here))
    return {"rate": better / len(here), "low": low, "high": high, "pairs": int(np.size(here))}
