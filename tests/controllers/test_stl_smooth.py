"""Smooth robustness: its bounds, its gradients, and that it is the same in numpy and torch."""

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stl_cases import formulas, traces

from isthmus_controllers import stl
from isthmus_controllers.stl.extremes import Extremes, folded

SMOOTH = ("logsumexp", "softmax")
FEW = settings(max_examples=60, deadline=None)


@FEW
@given(formulas(), st.integers(0, 10_000), st.sampled_from(SMOOTH), st.floats(1e-3, 2.0))
def test_the_error_is_within_its_bound(formula, seed, mode, temperature):
    signals = traces(2, 22, seed)
    error = np.abs(stl.trace(formula, signals, mode, temperature) - stl.trace(formula, signals))
    assert (error <= stl.smoothing_error(formula, temperature) + 1e-9).all()
    cold = np.abs(stl.trace(formula, signals, mode, 1e-6) - stl.trace(formula, signals))
    assert (cold <= 1e-4).all()


@FEW
@given(formulas(), st.integers(0, 10_000), st.sampled_from(SMOOTH))
def test_numpy_and_torch_agree(formula, seed, mode):
    signals = traces(2, 22, seed)
    tensors = {name: torch.from_numpy(values) for name, values in signals.items()}
    np.testing.assert_allclose(stl.trace(formula, tensors, mode, 0.3).numpy(), stl.trace(formula, signals, mode, 0.3), atol=1e-9)


@pytest.mark.parametrize("mode", ["logsumexp", "softmax", "exact"])
@settings(max_examples=15, deadline=None)
@given(formula=formulas(3), seed=st.integers(0, 10_000))
def test_gradients_are_those_of_finite_differences(mode, formula, seed):
    names = sorted(formula.signals)
    values = [torch.from_numpy(traces(2, formula.horizon + 2, seed)[name]).requires_grad_() for name in names]

    def robustness(*tensors):
        return stl.trace(formula, dict(zip(names, tensors, strict=True)), mode, None if mode == "exact" else 0.5)

    assert torch.autograd.gradcheck(robustness, values, eps=1e-7, atol=1e-4, nondet_tol=0.0)


@pytest.mark.parametrize("mode", SMOOTH)
def test_large_values_at_a_low_temperature_stay_finite(mode):
    phi = stl.parse("always[0,20] (eventually[0,5] x >= 0 and (x >= 0) until[0,4] (y >= 0))")
    signals = {name: torch.linspace(-1e3, 1e3, 2 * 40, dtype=torch.float64).reshape(2, 40).requires_grad_() for name in ("x", "y")}
    robustness = stl.robustness(phi, signals, mode=mode, temperature=1 / 500)
    robustness.sum().backward()
    assert torch.isfinite(robustness).all()
    assert all(torch.isfinite(values.grad).all() for values in signals.values())


def test_the_gradient_of_one_maximum_is_a_set_of_weights():
    values = torch.randn(3, 17, dtype=torch.float64, requires_grad=True)
    Extremes("logsumexp", 0.2).largest_of_windows(values, 17, 1).sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad.sum(1), torch.ones(3, dtype=torch.float64))
    assert (values.grad > 0).all()


@given(st.integers(1, 30), st.integers(0, 30), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_windows_are_put_together_from_halves_without_a_difference(length, extra, seed):
    values = np.random.default_rng(seed).normal(size=(2, length + extra))
    windows = np.lib.stride_tricks.sliding_window_view(values, length, axis=1)  # [B, count, length]
    count = extra + 1
    np.testing.assert_array_equal(Extremes().largest_of_windows(values, length, count), windows.max(2))
    np.testing.assert_array_equal(Extremes().smallest_of_windows(values, length, count), windows.min(2))
    soft = Extremes("logsumexp", 0.1)
    np.testing.assert_allclose(soft.largest_of_windows(values, length, count), 0.1 * np.logaddexp.reduce(windows / 0.1, axis=2), atol=1e-12)
    weights = np.exp((windows - windows.max(2, keepdims=True)) / 0.1)
    weighted = (weights * windows).sum(2) / weights.sum(2)
    np.testing.assert_allclose(Extremes("softmax", 0.1).largest_of_windows(values, length, count), weighted, atol=1e-12)


def test_folding_keeps_the_order_of_time():
    words = np.array([list("abcdefghij")], dtype=object)
    joined = folded((words,), 7, 4, lambda one, other: (one[0] + other[0],))
    assert joined[0].tolist() == [["abcdefg", "bcdefgh", "cdefghi", "defghij"]]


def test_the_bounds_are_those_of_the_paper():
    assert stl.smoothing_error(stl.parse("always[0,24] x >= 0"), 1 / 500) == pytest.approx(math.log(25) / 500)
    assert stl.smoothing_error(stl.parse("x >= 0 and y >= 0 and x <= 1"), 0.1) == pytest.approx(0.1 * math.log(3))
