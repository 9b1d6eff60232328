"""Times of a check: finite, positive, and told apart."""

import numpy as np
import pytest

from isthmus.timing import Timing


@pytest.mark.parametrize("period", [0.0, -0.1, np.nan, np.inf])
def test_a_control_period_is_finite_and_positive(period):
    with pytest.raises(ValueError, match="control period must be finite and > 0 s"):
        Timing(period, 0.05, 0.05)
    with pytest.raises(ValueError, match="control period must be finite and > 0 s"):
        Timing.of(period)


@pytest.mark.parametrize("name", ["since", "looked"])
@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf])
def test_spans_are_finite_and_not_negative(name, value):
    with pytest.raises(ValueError, match=f"{name} must be finite and >= 0 s"):
        Timing(**{"period": 0.05, "since": 0.05, "looked": 0.05, name: value})


@pytest.mark.parametrize("delay", [np.nan, np.array([0.0, np.inf])])
def test_delays_are_finite(delay):
    with pytest.raises(ValueError, match="delay must be finite"):
        Timing(0.05, 0.05, 0.05, delay)


def test_a_number_is_a_regular_loop():
    assert Timing.of(0.05) == Timing(0.05, 0.05, 0.05)
    given = Timing(0.05, 0.01, 0.005, 0.03)
    assert Timing.of(given) is given


@pytest.mark.parametrize(("delay", "late"), [(0.0, False), (0.01, True), (np.array([0.0, 0.0]), False), (np.array([0.0, 0.01]), True)])
def test_late_is_any_sample_with_a_delay(delay, late):
    assert Timing(0.05, 0.05, 0.05, delay).late is late
