"""Intervals of means, rates and pairs: what they hold, and what they are known to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isthmus_evidence import statistics as module
from isthmus_evidence.statistics import (
    POWER,
    episodes_needed,
    interquartile_mean,
    mean_interval,
    paired_rate_interval,
    rate_difference_interval,
    success_interval,
)

counts = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


@settings(max_examples=50, deadline=None)
@given(returns=st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30))
def test_an_interval_holds_its_mean_and_moves_with_the_returns(returns):
    values = np.array(returns)
    low, high = mean_interval(values)
    assert low <= values.mean() + 1e-6
    assert values.mean() - 1e-6 <= high
    assert mean_interval(-values) == pytest.approx((-high, -low), abs=1e-6)
    assert mean_interval(values + 5) == pytest.approx((low + 5, high + 5), abs=1e-6)


def test_of_ten_normal_returns_it_holds_the_mean_as_often_as_it_says():
    """A percentile bootstrap does in 0.91 of the cases: `benchmarks/intervals.py`."""
    samples = np.random.default_rng(0).normal(size=(2000, 10))
    intervals = np.array([mean_interval(row) for row in samples])
    held = int(((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)).sum())
    assert stats.binomtest(held, 2000, 0.95).pvalue > 0.001


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match="an interval needs at least one episode, got 0"):
        mean_interval(np.zeros(0))


@given(episodes=st.integers(1, 200), share=st.floats(0, 1))
def test_success_interval_holds_the_rate_and_never_claims_certainty(episodes, share):
    successes = round(share * episodes)
    low, high = success_interval(successes, episodes)
    assert 0 <= low <= successes / episodes + 1e-12
    assert successes / episodes - 1e-12 <= high <= 1
    assert high - low > 0.01


def test_wilson_interval_of_19_in_20():
    assert success_interval(19, 20) == pytest.approx((0.7639, 0.9911), abs=1e-4)


def test_newcombes_example():
    assert paired_rate_interval(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=1e-4)


@given(counts)
def test_a_difference_of_rates_lies_in_its_interval_and_turns_round(found):
    both, first, second, neither = found
    low, high = paired_rate_interval(*found)
    difference = (first - second) / sum(found)
    assert -1 - 1e-9 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1 + 1e-9
    assert paired_rate_interval(both, second, first, neither) == pytest.approx((-high, -low))


def share_held(intervals, truth):
    low, high = np.array(intervals).T
    return ((low <= truth) & (truth <= high)).mean()


def test_intervals_of_rates_hold_the_truth_in_95_percent_of_2000_evaluations():
    draw = np.random.default_rng(3)
    rates = draw.uniform(0.1, 0.95, 2000)
    assert 0.93 <= share_held([success_interval(count, 50) for count in draw.binomial(50, rates).tolist()], rates) <= 0.97


def test_intervals_of_differences_of_rates_hold_the_truth_in_95_percent_of_2000_comparisons():
    draw = np.random.default_rng(4)
    rate, other = draw.uniform(0.2, 0.95, (2, 2000))
    counts = zip(draw.binomial(60, rate).tolist(), draw.binomial(40, other).tolist(), strict=True)
    assert 0.93 <= share_held([rate_difference_interval(one, 60, two, 40) for one, two in counts], rate - other) <= 0.97


def test_intervals_of_paired_rates_hold_the_truth_in_95_percent_of_2000_comparisons():
    draw = np.random.default_rng(5)
    shares = draw.dirichlet([4, 2, 2, 2], 2000)
    counts = np.array([draw.multinomial(60, row) for row in shares])
    assert 0.93 <= share_held([paired_rate_interval(*row) for row in counts.tolist()], shares[:, 1] - shares[:, 2]) <= 0.97


def test_intervals_of_paired_returns_hold_the_truth_in_95_percent_of_2000_comparisons():
    draw = np.random.default_rng(6)
    start = draw.normal(100, 20, (2000, 20))
    here, there = start + draw.normal(3, 4, start.shape), start + draw.normal(0, 2, start.shape)
    assert 0.93 <= share_held([mean_interval(row) for row in here - there], 3) <= 0.97


def test_stratified_bootstraps_hold_the_truth_in_95_percent_of_2000_evaluations(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 400)
    draw = np.random.default_rng(7)
    _, low, high = interquartile_mean(draw.normal(0, 1, (15, 2000)), draw.normal(0, 1, (25, 2000)))
    assert 0.93 <= share_held(np.stack([low, high], axis=1), 0) <= 0.97


def test_strata_are_resampled_apart():
    """Two worlds that differ by much, and within which nothing varies, leave nothing to be unsure of."""
    middle, low, high = interquartile_mean(np.zeros((8, 1)), np.full((8, 1), 10.0))
    assert middle[0] == low[0] == high[0] == 5
    _, low, high = interquartile_mean(np.concatenate([np.zeros((8, 1)), np.full((8, 1), 10.0)]))
    assert low[0] < 5 < high[0]


def test_newcombes_example_of_independent_rates():
    assert rate_difference_interval(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_as_many_episodes_as_are_needed_decide_as_often_as_they_say():
    effect, deviation = 0.5, 2.0
    needed = episodes_needed(effect, deviation)
    samples = np.random.default_rng(8).normal(effect, deviation, (1000, needed))
    decided = np.mean([mean_interval(row)[0] > 0 for row in samples])
    assert decided == pytest.approx(POWER, abs=0.04)
    assert episodes_needed(0.0, 1.0) is None
