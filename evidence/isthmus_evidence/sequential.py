"""Decides whether a success rate reaches a threshold as soon as episodes say so, and the interval of the rate after such a stop.

The test is a pair of mixture e-processes, one against each side of the threshold, with a uniform mixture over the other side: whenever it is looked
at, each is wrong with at most 5 % (Ville's inequality; Ramdas et al., "Game-Theoretic Statistics and Safe Anytime-Valid Inference", 2023).
The interval knows the rule: it inverts mid-p tests over all ends that the rule can have, ordered by their share of successes (Emerson & Fleming,
"Parameter estimation following group sequential hypothesis testing", 1990). A Wilson interval of the same counts is too narrow.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.statistics import CONFIDENCE, episodes_needed, success_interval

__all__ = ["MISSED", "REACHED", "UNDECIDED", "SequentialTest"]

REACHED, MISSED, UNDECIDED = "reached", "missed", "undecided"
_MOST = 10_000  # episodes; the ends of the rule are counted one by one
_HALVINGS = 50


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Whether a success rate is at least, or at most, a threshold.

    Attributes:
        threshold: of the success rate, in 0 … 1, both excluded.
        episodes: after which it ends undecided.

    Raises:
        ValueError: out of range.
    """

    threshold: float
    episodes: int

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"the success rate that is asked for must be > 0 and < 1, got {self.threshold}")
        if not 1 <= self.episodes <= _MOST:
            raise ValueError(f"a sequential test needs 1 … {_MOST} episodes, got {self.episodes}")

    def stop(self, successes: Sequence[bool]) -> int | None:
        """How many of these episodes, in their order, it takes until the test ends; None if they are not enough."""
        shares = np.cumsum(successes)
        ends = np.flatnonzero(_decided(self.threshold, shares, 1 + np.arange(len(shares))) != 0)
        if ends.size:
            return int(ends[0]) + 1
        return self.episodes if len(shares) >= self.episodes else None

    def plain(self, successes: int, episodes: int) -> dict[str, Any]:
        """What came of it, as plain data: `threshold`, `verdict`, after how many `episodes` `of` how many, and if undecided how many `more` would do.

        The last is None where no number would, with the rate that was found.
        """
        verdict, more = self.verdict(successes, episodes), None
        if verdict == UNDECIDED:
            rate = (successes + 1) / (episodes + 2)  # never certain
            needed = episodes_needed(successes / episodes - self.threshold, math.sqrt(rate * (1 - rate)))
            more = None if needed is None else max(1, needed - episodes)
        return {"threshold": self.threshold, "verdict": verdict, "episodes": episodes, "of": self.episodes, "more": more}

    def verdict(self, successes: int, episodes: int) -> str:
        """What is known after so many episodes: "reached", "missed" or "undecided"."""
        found = int(_decided(self.threshold, np.array([successes]), np.array([episodes]))[0])
        return (MISSED, UNDECIDED, REACHED)[found + 1]

    def interval(self, successes: int, episodes: int) -> tuple[float, float]:
        """95 % interval of the rate where the test ended, or where somebody else ended it."""
        most = episodes if self.verdict(successes, episodes) == UNDECIDED else self.episodes
        ends = _ends(self.threshold, most)
        if not ((ends.successes == successes) & (ends.episodes == episodes)).any():
            return success_interval(successes, episodes)  # this rule does not end here
        share = successes / episodes
        tail = (1 - CONFIDENCE) / 2
        low = _root(lambda rate: ends.beyond(rate, share, 1) - tail) if successes else 0.0
        high = _root(lambda rate: tail - ends.beyond(rate, share, -1)) if successes < episodes else 1.0
        return low, high


def _decided(threshold: float, successes: Array, episodes: Array) -> Array:
    """1 where the rate is known to be at least the threshold, -1 where at most, else 0; `[n]` each."""
    from scipy.special import betainc, betaincc, betaln

    failures = episodes - successes
    with np.errstate(divide="ignore"):  # an e-value of 0
        weight = betaln(successes + 1, failures + 1) - successes * np.log(threshold) - failures * np.log1p(-threshold)
        above = weight + np.log(betaincc(successes + 1, failures + 1, threshold)) - np.log1p(-threshold)
        below = weight + np.log(betainc(successes + 1, failures + 1, threshold)) - np.log(threshold)
    needed = -np.log(1 - CONFIDENCE)
    return np.asarray((above >= needed).astype(np.int64) - (below >= needed))


@dataclass(frozen=True, slots=True)
class _Ends:
    """All ends of a rule: successes, episodes and the logarithm of how many sequences lead there, `[n]` each."""

    successes: Array
    episodes: Array
    sequences: Array

    def beyond(self, rate: float, share: float, side: int) -> float:
        """Probability of an end with a larger share of successes (`side` -1: smaller), and half that of one with this share."""
        chance = np.exp(self.sequences + self.successes * np.log(rate) + (self.episodes - self.successes) * np.log1p(-rate))
        apart = side * (self.successes / self.episodes - share)
        return float(chance[apart > 1e-12].sum() + chance[np.abs(apart) <= 1e-12].sum() / 2)


@functools.lru_cache(maxsize=8)
def _ends(threshold: float, most: int) -> _Ends:
    going = np.zeros(1)  # logarithm of how many sequences of n episodes with s successes have not ended before, by s
    found = []
    for episodes in range(1, most + 1):
        nothing = np.full(1, -np.inf)
        going = np.logaddexp(np.append(going, nothing), np.append(nothing, going))
        successes = np.arange(episodes + 1)
        ended = (_decided(threshold, successes, np.full(episodes + 1, episodes)) != 0) | (episodes == most)
        ended &= np.isfinite(going)
        found.append(np.stack([successes[ended], np.full(ended.sum(), episodes), going[ended]]))
        going[ended] = -np.inf
    return _Ends(*np.concatenate(found, axis=1))


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of a rate crosses 0."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
