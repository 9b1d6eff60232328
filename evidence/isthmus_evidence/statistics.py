"""Intervals of what episodes and seeds say: means, success rates, interquartile means, and differences of pairs; and how many episodes a claim needs.

All are of 95 %. How often they hold the truth was measured by `python benchmarks/intervals.py` (evidence.md, "Intervals").
"""

from __future__ import annotations

import math

import numpy as np

from isthmus.records import Array

__all__ = [
    "CONFIDENCE",
    "POWER",
    "RESAMPLES",
    "episodes_needed",
    "interquartile_mean",
    "mean_interval",
    "paired_rate_interval",
    "rate_difference_interval",
    "sign_flip_test",
    "sign_test",
    "success_interval",
]

CONFIDENCE = 0.95
POWER = 0.8
"""Share of evaluations that decide, of those with as many episodes as a claim is said to need."""
RESAMPLES = 9999  # of a bootstrap
_TRIMMED = 0.25  # share of seeds that an interquartile mean leaves out at either end


def mean_interval(values: Array) -> tuple[float, float]:
    """Interval of a mean (Student's t), from no random numbers.

    Of few normal returns it holds the mean as often as it says, where percentiles of a bootstrap do less often; both are too narrow for returns of
    which few are far below the others.

    Equal values, and a single one, have no spread to tell from: both ends are that value.

    Args:
        values: `[n]`.

    Raises:
        ValueError: there is no value.
    """
    from scipy.special import stdtrit  # all of scipy.stats takes a second to load

    if values.size == 0:
        raise ValueError("an interval needs at least one episode, got 0")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    mean = float(values.mean())
    reach = float(stdtrit(values.size - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1)) / math.sqrt(values.size)
    return mean - reach, mean + reach


def success_interval(successes: float, episodes: int) -> tuple[float, float]:
    """Interval of a success rate (Wilson 1927); what is half a success, a tie, counts as half of one."""
    from scipy.special import ndtri

    rate, normal = successes / episodes, float(ndtri((1 + CONFIDENCE) / 2))
    whole = 2 * (episodes + normal**2)
    middle = (2 * episodes * rate + normal**2) / whole
    reach = normal / whole * math.sqrt(4 * episodes * rate * (1 - rate) + normal**2)
    return (middle - reach if successes else 0.0), (middle + reach if successes < episodes else 1.0)


def rate_difference_interval(successes: int, episodes: int, other_successes: int, other_episodes: int) -> tuple[float, float]:
    """Interval of the difference of two success rates of different episodes, first less second.

    Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10.
    """
    rate, other = successes / episodes, other_successes / other_episodes
    (low, high), (other_low, other_high) = success_interval(successes, episodes), success_interval(other_successes, other_episodes)
    difference = rate - other
    return difference - math.hypot(rate - low, other_high - other), difference + math.hypot(high - rate, other - other_low)


def paired_rate_interval(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """Interval of the difference of two success rates of the same episodes, first less second.

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on paired data", method 10.

    Args:
        both: episodes that succeed in both.
        first: that succeed only in the first.
        second: only in the second.
        neither: in neither.
    """
    episodes = both + first + second + neither
    rates = (both + first) / episodes, (both + second) / episodes
    (low, high), (other_low, other_high) = (success_interval(count, episodes) for count in (both + first, both + second))
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    product = float(both * neither - first * second)
    if product > 0:
        product = max(product - episodes / 2, 0.0)
    correlation = product / math.sqrt(margins) if margins else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0))

    difference = rates[0] - rates[1]
    return difference - reach(rates[0] - low, other_high - rates[1]), difference + reach(high - rates[0], rates[1] - other_low)


def sign_test(first: int, second: int) -> float:
    """How likely pairs that differ are as much on one side, or more, if either side is equally likely; exact, two-sided (McNemar 1947).

    Args:
        first: pairs in which the first is larger.
        second: in which the second is.
    """
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(first, second), first + second, 0.5)))


def sign_flip_test(values: Array) -> float:
    """How likely a mean is as far from 0, or farther, if every difference of a pair is as likely as its opposite; two-sided (Fisher 1935).

    Exact where the pairs that differ have no more than `RESAMPLES` ways to be flipped, and else from so many of them, drawn from a fixed seed. Unlike
    an interval it is not too sure of few pairs, or of differences that take few values.

    Args:
        values: differences of pairs, `[n]`.
    """
    from scipy.stats import permutation_test

    apart = values[values != 0]
    if apart.size < 2:
        return 1.0
    found = permutation_test(
        (apart,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=1000, rng=np.random.default_rng(0)
    )
    return float(found.pvalue)


def interquartile_mean(values: Array, *more: Array) -> tuple[Array, Array, Array]:
    """Interquartile mean over seeds, with its percentile bootstrap interval from a fixed seed; of fewer than four seeds none is left out.

    Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264). The bootstrap is stratified, as there:
    each stratum, such as one world or task, is resampled by itself. It is paired where the values are differences of pairs.

    Args:
        values: `[seeds, n]`.
        more: further strata, `[seeds, n]` each; the mean is over all of them together.

    Returns:
        mean, low and high, `[n]` each; where a stratum is a single seed all three are the mean.
    """
    from scipy.stats import bootstrap, trim_mean

    strata = (values, *more)
    middle = np.asarray(trim_mean(np.concatenate(strata), _TRIMMED, axis=0))
    if min(map(len, strata)) == 1:
        return middle, middle, middle
    found = bootstrap(
        strata,
        lambda *samples, axis: trim_mean(np.concatenate(samples, axis), _TRIMMED, axis=axis),
        axis=0,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=100,  # of them at a time, for memory
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return middle, np.asarray(found.confidence_interval.low), np.asarray(found.confidence_interval.high)


def episodes_needed(effect: float, deviation: float) -> int | None:
    """How many episodes, or pairs of them, it takes until a 95 % interval leaves 0 out in `POWER` of the cases.

    The usual formula of sample sizes for means, good for rates that are not at an end.

    Args:
        effect: what the mean is, by which it differs from what is to be left out.
        deviation: standard deviation of one episode, or of the difference of one pair.

    Returns:
        the number; None if there is no effect, so that no number would do.
    """
    from scipy.special import ndtri

    if not effect:
        return None
    return max(2, math.ceil(((ndtri((1 + CONFIDENCE) / 2) + ndtri(POWER)) * deviation / effect) ** 2))
