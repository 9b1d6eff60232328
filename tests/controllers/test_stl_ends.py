"""Traces that end before their formula does: strong, weak and ended readings, and the judgement of a run."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stl_cases import formulas, traces

from isthmus_controllers import stl
from isthmus_controllers.stl import Always, And, Eventually, Implies, Not, Or, Predicate, Until

READINGS = ("strong", "ended", "weak")
SOME = settings(max_examples=150, deadline=None)


def literal(formula, signals, t, end):
    """ρ(formula, t) of one row in a reading, as the module says it; `signals` holds `[T]` per name."""
    opposite = {"strong": "weak", "weak": "strong", "ended": "ended"}[end]
    under_always, under_eventually = ("weak", "strong") if end == "ended" else (end, end)
    match formula:
        case Predicate():
            if t >= len(next(iter(signals.values()))):
                return math.inf if end == "weak" else -math.inf
            return float(formula.margin({name: values[t] for name, values in signals.items()}))
        case Not(operand):
            return -literal(operand, signals, t, opposite)
        case And(operands):
            return min(literal(part, signals, t, end) for part in operands)
        case Or(operands):
            return max(literal(part, signals, t, end) for part in operands)
        case Implies(condition, consequence):
            return max(-literal(condition, signals, t, opposite), literal(consequence, signals, t, end))
        case Always(operand, start, stop):
            return min(literal(operand, signals, later, under_always) for later in range(t + start, t + stop + 1))
        case Eventually(operand, start, stop):
            return max(literal(operand, signals, later, under_eventually) for later in range(t + start, t + stop + 1))
        case Until(left, right, start, stop):
            return max(
                min(
                    literal(right, signals, later, under_eventually),
                    *(literal(left, signals, before, under_eventually) for before in range(t, later)),
                    math.inf,
                )
                for later in range(t + start, t + stop + 1)
            )


def cut(signals, samples):
    return {name: values[:, :samples] for name, values in signals.items()}


def readings(formula, signals):
    return {end: stl.robustness(formula, signals, end=end) for end in READINGS}


@SOME
@given(formulas(), st.integers(0, 10_000), st.integers(1, 22))
def test_readings_are_what_the_definitions_say(formula, seed, samples):
    signals = cut(traces(2, 22, seed), samples)
    found = readings(formula, signals)
    for row in range(2):
        single = {name: values[row] for name, values in signals.items()}
        assert {end: values[row] for end, values in found.items()} == pytest.approx(
            {end: literal(formula, single, 0, end) for end in READINGS}
        )
    assert stl.trace(formula, signals, end="ended").shape == (2, samples)


@SOME
@given(formulas(), st.integers(0, 10_000), st.integers(1, 22))
def test_readings_are_ordered_dual_and_hold_however_it_goes_on(formula, seed, samples):
    signals = traces(3, max(samples, formula.horizon + 1), seed)
    found, negated, whole = (
        readings(formula, cut(signals, samples)),
        readings(~formula, cut(signals, samples)),
        stl.robustness(formula, signals),
    )
    assert (found["strong"] <= found["ended"]).all()
    assert (found["ended"] <= found["weak"]).all()
    np.testing.assert_array_equal(found["strong"], -negated["weak"])
    np.testing.assert_array_equal(found["ended"], -negated["ended"])
    assert (found["strong"] <= whole).all()
    assert (whole <= found["weak"]).all()
    for values in readings(formula, signals).values():
        np.testing.assert_array_equal(values, whole)


@SOME
@given(formulas(), st.integers(0, 10_000), st.integers(1, 22))
def test_the_monitor_knows_the_strong_and_the_weak_reading(formula, seed, samples):
    signals = cut(traces(1, 22, seed), samples)
    monitor = stl.Monitor(formula)
    for sample in range(samples):
        verdict = monitor.update({name: float(values[0, sample]) for name, values in signals.items()})
    found = readings(formula, signals)
    assert (verdict.low, verdict.high) == pytest.approx((found["strong"][0], found["weak"][0]))


@SOME
@given(formulas(), st.integers(0, 10_000), st.integers(0, 22))
def test_to_end_early_never_satisfies(formula, seed, samples):
    signals = traces(1, 22 + formula.horizon, seed)
    if stl.judge(formula, signals, samples, early=True).verdict == "satisfied":
        assert stl.judge(formula, signals, 22 + formula.horizon, early=False).verdict == "satisfied"


def robustness(text, values, end="ended"):
    return stl.robustness(stl.parse(text), {"x": np.array([values], dtype=float)}, end=end)[0]


@pytest.mark.parametrize(
    ("text", "values", "strong", "ended", "weak"),
    [
        ("eventually[1,3] x >= 0", [5], -math.inf, -math.inf, math.inf),  # nothing to look at any more
        ("always[1,3] x >= 0", [-5], -math.inf, math.inf, math.inf),
        ("not always[1,3] x >= 0", [-5], -math.inf, -math.inf, math.inf),
        ("eventually[0,3] x >= 0", [-1, 2], 2, 2, math.inf),
        ("always[0,3] x >= 0", [3, -2], -math.inf, -2, -2),
        ("eventually[0,9] always[0,2] x >= 0", [-1, 2], -math.inf, -math.inf, math.inf),  # held for one sample of three
        ("eventually[0,9] always[0,2] x >= 0", [1, 2, 3], 1, 1, math.inf),
        ("always[0,9] eventually[0,2] x >= 0", [1, -2], -math.inf, math.inf, math.inf),  # could still have come
        ("always[0,9] eventually[0,2] x >= 0", [-1, -2, -3, 5], -math.inf, -1, -1),
        ("(x >= 0) until[0,9] (x >= 3)", [1, 2], -1, -1, 1),
        ("not ((x <= 0) until[0,9] (x <= -3))", [1, 2], 2, 4, 4),
    ],
)
def test_what_is_cut_off(text, values, strong, ended, weak):
    assert tuple(robustness(text, values, end) for end in READINGS) == (strong, ended, weak)


@pytest.mark.parametrize(
    ("text", "values", "early", "verdict"),
    [
        ("always[0,3] x >= 0", [0.02], True, "unbroken"),
        ("always[0,3] x >= 0", [0.02], False, "satisfied"),  # the run was meant to be that short, and kept it to its end
        ("always[0,3] x >= 0", [-0.1], True, "violated"),
        ("always[0,3] x >= 0", [1, 2, 3, 4], True, "satisfied"),
        ("eventually[0,3] x >= 0", [0.02], True, "satisfied"),
        ("eventually[0,3] x >= 0", [-0.1], True, "violated"),
        ("eventually[0,9] always[0,2] x >= 0", [0.02], True, "violated"),
        ("always[1,3] x >= 0", [1], False, "unbroken"),  # nothing of it was seen
        ("eventually[1,3] x >= 0", [1], False, "violated"),
        ("always[0,3] x >= 0", [], True, "violated"),
    ],
)
def test_the_verdict_of_a_run(text, values, early, verdict):
    signals = {"x": np.array([[*values, 7.0]])}
    assert stl.judge(stl.parse(text), signals, len(values), early).verdict == verdict


def test_readings_in_torch_are_those_in_numpy_and_whole_numbers_may_be_infinite():
    torch = pytest.importorskip("torch")
    phi = stl.parse("eventually[0,3] x >= y")
    whole = {"x": np.array([[1, 2]]), "y": np.array([[3, 3]])}
    assert stl.robustness(phi, whole, end="ended").tolist() == [-1]
    for end in READINGS:
        assert stl.robustness(phi, {name: torch.from_numpy(values) for name, values in whole.items()}, end=end).tolist() == [
            stl.robustness(phi, whole, end=end)[0]
        ]
    assert whole["x"].tolist() == [[1, 2]]


def test_smooth_readings_are_refused():
    with pytest.raises(ValueError, match="end 'ended' has infinite robustness and goes with mode 'exact', got 'logsumexp'"):
        stl.robustness(stl.parse("always[0,3] x >= 0"), {"x": np.ones((1, 2))}, mode="logsumexp", temperature=0.1, end="ended")
