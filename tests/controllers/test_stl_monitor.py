"""The online monitor: its interval holds the robustness at every moment, shrinks, and ends at what the offline evaluator says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stl_cases import formulas, traces

from isthmus_controllers import stl


def feed(monitor, signals, row=0):
    """Verdicts after each sample."""
    length = next(iter(signals.values())).shape[1]
    return [monitor.update({name: float(values[row, t]) for name, values in signals.items()}) for t in range(length)]


@settings(max_examples=150, deadline=None)
@given(formulas(), st.integers(0, 10_000))
def test_the_interval_narrows_to_the_robustness(formula, seed):
    signals = traces(1, formula.horizon + 3, seed)
    final = float(stl.robustness(formula, signals)[0])
    monitor = stl.Monitor(formula)
    before = (-math.inf, math.inf)
    for sample, verdict in enumerate(feed(monitor, signals)):
        assert verdict.sample == sample
        assert before[0] <= verdict.low <= final + 1e-12
        assert final - 1e-12 <= verdict.high <= before[1]
        before = (verdict.low, verdict.high)
        if verdict.verdict != "unknown":
            assert verdict.verdict == ("satisfied" if final >= 0 else "violated")
    assert monitor.finished
    assert verdict.low == pytest.approx(final, abs=1e-12)


interval = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted)
rising = st.recursive(  # the larger the signals, the larger the robustness
    st.builds(lambda name, bound: stl.signal(name) >= bound, st.sampled_from("xyz"), st.integers(-2, 2)),
    lambda parts: st.one_of(
        st.builds(lambda one, other: one & other, parts, parts),
        st.builds(lambda one, other: one | other, parts, parts),
        st.builds(lambda part, ends: stl.Always(part, *ends), parts, interval),
        st.builds(lambda part, ends: stl.Eventually(part, *ends), parts, interval),
        st.builds(lambda one, other, ends: stl.Until(one, other, *ends), parts, parts, interval),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(rising, st.booleans(), st.integers(0, 10_000), st.data())
def test_the_interval_is_as_narrow_as_the_samples_allow(formula, negated, seed, data):
    """Whatever could still come lies between the traces that complete the samples by the smallest and by the largest values."""
    formula = ~formula if negated else formula
    signals = traces(1, formula.horizon + 1, seed)
    seen = data.draw(st.integers(1, formula.horizon + 1))
    verdict = feed(stl.Monitor(formula), {name: values[:, :seen] for name, values in signals.items()})[-1]
    bounds = []
    for extreme in (-math.inf, math.inf):
        completed = {name: np.where(np.arange(values.shape[1]) < seen, values, extreme) for name, values in signals.items()}
        bounds.append(float(stl.robustness(formula, completed)[0]))
    assert (verdict.low, verdict.high) == pytest.approx(tuple(sorted(bounds)))


def test_verdicts_come_early():
    always = stl.Monitor(stl.parse("always[0,50] (x >= 0)"))
    assert [always.update({"x": value}).verdict for value in (1.0, 2.0, -0.5)] == ["unknown", "unknown", "violated"]
    soon = stl.Monitor(stl.parse("eventually[0,50] (x >= 3)"))
    assert [soon.update({"x": value}).verdict for value in (1.0, 3.5)] == ["unknown", "satisfied"]
    until = stl.Monitor(stl.parse("(x >= 0) until[0,50] (y >= 0)"))
    assert until.update({"x": 1.0, "y": -1.0}).verdict == "unknown"
    assert until.update({"x": -1.0, "y": -1.0}).verdict == "violated"


def test_nothing_changes_after_the_horizon():
    monitor = stl.Monitor(stl.parse("always[0,2] x >= 0"))
    verdicts = [monitor.update({"x": value}) for value in (3.0, 1.0, 2.0, -9.0, math.nan)]
    assert [verdict.low for verdict in verdicts[2:]] == [1.0, 1.0, 1.0]
    monitor.reset()
    assert monitor.update({"x": -2.0}).high == -2.0


def test_memory_is_bounded_by_the_horizon():
    monitor = stl.Monitor(stl.parse("always[0,50] (eventually[0,20] x > 0 and y < 1)"))
    nodes, sizes = [monitor._whole], []
    while nodes:
        node = nodes.pop()
        sizes.append(len(node.low))
        nodes += [child for child in (getattr(node, "_operand", None), *getattr(node, "_operands", ())) if child is not None]
    assert sorted(sizes) == [1, 51, 51, 51, 71]


def test_bad_samples():
    monitor = stl.Monitor(stl.parse("always[0,5] gap / x >= 1"))
    with pytest.raises(ValueError, match="signal 'gap' is missing"):
        monitor.update({"x": 1.0})
    with pytest.raises(ValueError, match="signal 'gap' is NaN at sample 0"):
        monitor.update({"x": 1.0, "gap": math.nan})
    monitor.update({"x": 1.0, "gap": 2.0})
    with pytest.raises(ValueError, match="signal 'x' is NaN at sample 1"):
        monitor.update({"x": math.nan, "gap": 2.0})


def test_a_formula_that_looks_too_far_ahead_is_refused():
    """`always[0,1e7]` took seconds for its first sample, and 1e9 did not end."""
    with pytest.raises(
        ValueError, match=r"^the formula looks 200,000,000 samples ahead, and a monitor remembers at most 1,000,000: shorten"
    ):
        stl.Monitor(stl.parse("always[0, 2e8] (a >= 0)"))
