"""Intervals of means, rates and pairs: what they hold, and what they are known to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isthmus_evidence.statistics import mean_interval, paired_rate_interval, success_interval

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
