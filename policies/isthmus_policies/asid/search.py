"""Cross-entropy search (Rubinstein, "The Cross-Entropy Method for Combinatorial and Continuous Optimization", 1999), a population at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isthmus import strict
from isthmus.records import Array

__all__ = ["Candidate", "SearchConfig", "search"]

_ELITE = 0.25
_KEPT = 0.3  # of the old mean and spread, so that one lucky round does not decide
_LEAST = 0.05  # of the spread at the beginning


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How to search.

    Attributes:
        population: motions that are simulated at once.
        samples: of the unknown parameters and the start, for each motion.
        rounds: of the search.
        finalists: best of the last rounds that are compared by simulated identification.
    """

    population: int = 24
    samples: int = 6
    rounds: int = 12
    finalists: int = 3

    def __post_init__(self) -> None:
        for name, least in (("population", 4), ("samples", 1), ("rounds", 1), ("finalists", 1)):
            strict.require(name, getattr(self, name), least=least)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One point of the search.

    Attributes:
        numbers: that describe it, `[n]`.
        score: more is better; of its own round, so of its own draws.
    """

    numbers: Array
    score: float


def search(
    evaluate: Callable[[Array, int], Array],
    spread: Array,
    config: SearchConfig,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    least: float = _LEAST,
) -> list[Candidate]:
    """Search from zero on.

    Args:
        evaluate: points `[population, n]` and number of the round → scores `[population]`, of which more is better.
        spread: where the search begins, `[n]`.
        config: how to search.
        seed: of the draws.
        progress: told of each round.
        least: share of the first spread below which none falls.

    Returns:
        the best of each of the last rounds, the newest first, `finalists` at most.
    """
    generator = np.random.default_rng(seed)
    mean, deviation = np.zeros_like(spread), spread.copy()
    elite = max(int(_ELITE * config.population), 2)
    best: list[Candidate] = []
    for number in range(config.rounds):
        points = mean + deviation * generator.standard_normal((config.population, len(spread)))
        if best:
            points[0], points[1] = best[-1].numbers, mean
        scores = np.asarray(evaluate(points, number))
        order = np.argsort(-scores, kind="stable")
        best.append(Candidate(points[order[0]].copy(), float(scores[order[0]])))
        chosen = points[order[:elite]]
        mean = _KEPT * mean + (1 - _KEPT) * chosen.mean(0)
        deviation = np.maximum(_KEPT * deviation + (1 - _KEPT) * chosen.std(0), least * spread)
        if progress:
            progress(number + 1, config.rounds, f"objective {scores[order[0]]:.4g}")
    return best[::-1][: config.finalists]
