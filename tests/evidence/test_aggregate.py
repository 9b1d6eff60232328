"""What several seeds say together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus_evidence.aggregate import aggregate, read_evaluations
from isthmus_evidence.statistics import interquartile_mean


def test_the_interquartile_mean_leaves_out_best_and_worst_quarter():
    middle, low, high = interquartile_mean(np.array([[-900.0], [1], [2], [3], [900]]))
    assert middle == pytest.approx([2])
    assert low < 1
    assert high > 3


@settings(deadline=None, max_examples=15)
@given(values=arrays(np.float64, (5, 3), elements=st.floats(-1e3, 1e3)))
def test_intervals_hold_the_mean_and_stay_among_the_seeds(values):
    middle, low, high = interquartile_mean(values)
    assert (values.min(axis=0) - 1e-9 <= low).all()
    assert (low <= middle + 1e-9).all()
    assert (middle <= high + 1e-9).all()
    assert (high <= values.max(axis=0) + 1e-9).all()
    np.testing.assert_array_equal(interquartile_mean(values)[1], low)


def test_a_single_seed_has_no_spread():
    for part in interquartile_mean(np.array([[4.0, 5.0]])):
        assert part.tolist() == [4, 5]


def rows(*returns, steps=None, **more):
    return [{"step": step, "return": value, **more} for step, value in zip(steps or range(10, 100, 10), returns, strict=False)]


def test_seeds_are_summed_up_where_all_were_evaluated():
    found = aggregate({0: rows(1.0, 2.0, 3.0), 4: rows(3.0, 4.0)})
    assert (found["seeds"], found["steps"]) == ([0, 4], [10, 20])
    assert found["return"]["iqm"] == [2, 3]
    assert found["return"]["per_seed"] == {"0": [1, 2], "4": [3, 4]}
    assert found["success"] is None


def test_a_seed_that_reached_its_target_keeps_its_last_score():
    found = aggregate({0: rows(1.0, 2.0, 3.0, success=0.5), 4: rows(9.0, steps=[15], success=1.0)}, ended=[4])
    assert found["steps"] == [20, 30]
    assert found["return"]["per_seed"] == {"0": [2, 3], "4": [9, 9]}
    assert found["success"]["iqm"] == [0.75, 0.75]


def test_seeds_without_a_common_evaluation_are_refused():
    with pytest.raises(ValueError, match="seeds 0, 4 have no evaluation at the same control period"):
        aggregate({0: rows(1.0), 4: rows(2.0, steps=[11])})


def test_an_unfinished_row_is_no_evaluation(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "return": 2.0}\n{"step": 2, "ret')
    assert read_evaluations(file) == [{"step": 1, "return": 2.0}]
