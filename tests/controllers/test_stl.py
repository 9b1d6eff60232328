"""Exact robustness: against a literal evaluator, rtamt, and the laws of the logic; and what bad input gets."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stl_cases import formulas, literal, predicates, traces

from isthmus_controllers import stl
from isthmus_controllers.stl import Always, And, Eventually, Implies, Not, Or, Until, signal

FEW = settings(max_examples=60, deadline=None)
SAMPLES = 22


@settings(max_examples=150, deadline=None)
@given(formulas(), st.integers(0, 10_000))
def test_every_time_of_every_row_is_what_the_definitions_say(formula, seed):
    signals = traces(2, SAMPLES, seed)
    found = stl.trace(formula, signals)
    assert found.shape == (2, SAMPLES - formula.horizon)
    for row in range(2):
        single = {name: values[row] for name, values in signals.items()}
        for t in (0, found.shape[1] // 2, found.shape[1] - 1):
            expected = literal(formula, single, t)
            assert found[row, t] == pytest.approx(expected, abs=1e-9)
            assert stl.robustness(formula, signals, t)[row] == pytest.approx(expected, abs=1e-9)


@FEW
@given(formulas(), st.integers(0, 10_000))
def test_torch_agrees(formula, seed):
    torch = pytest.importorskip("torch")
    signals = traces(3, SAMPLES, seed)
    tensors = {name: torch.from_numpy(values) for name, values in signals.items()}
    np.testing.assert_allclose(stl.trace(formula, tensors).numpy(), stl.trace(formula, signals), atol=1e-12)


@FEW
@given(formulas(), st.integers(0, 10_000))
def test_a_batch_is_its_rows(formula, seed):
    signals = traces(4, SAMPLES, seed)
    rows = [stl.robustness(formula, {name: values[row : row + 1] for name, values in signals.items()})[0] for row in range(4)]
    np.testing.assert_array_equal(stl.robustness(formula, signals), rows)


def as_rtamt(formula):
    """The formula in rtamt's words."""
    match formula:
        case Not(operand):
            return f"not({as_rtamt(operand)})"
        case And(operands):
            return "(" + " and ".join(as_rtamt(part) for part in operands) + ")"
        case Or(operands):
            return "(" + " or ".join(as_rtamt(part) for part in operands) + ")"
        case Implies(condition, consequence):
            return f"({as_rtamt(condition)} implies {as_rtamt(consequence)})"
        case Always(operand, start, stop):
            return f"(always[{start},{stop}]({as_rtamt(operand)}))"
        case Eventually(operand, start, stop):
            return f"(eventually[{start},{stop}]({as_rtamt(operand)}))"
        case Until(left, right, start, stop):
            return f"(({as_rtamt(left)}) until[{start},{stop}] ({as_rtamt(right)}))"
    larger, smaller = (formula.left, formula.right) if ">" in formula.symbol else (formula.right, formula.left)
    return f"(({larger}) >= ({smaller}))"


@settings(max_examples=80, deadline=None)
@given(formulas(), st.integers(0, 10_000))
def test_rtamt_agrees(formula, seed):
    rtamt = pytest.importorskip("rtamt")
    signals = traces(1, SAMPLES, seed)
    specification = rtamt.StlDiscreteTimeOfflineSpecification()
    for name in signals:
        specification.declare_var(name, "float")
    specification.spec = as_rtamt(formula)
    specification.parse()
    dataset = {"time": list(range(SAMPLES)), **{name: values[0].tolist() for name, values in signals.items()}}
    theirs = [value for _, value in specification.evaluate(dataset)]
    fitting = SAMPLES - formula.horizon
    np.testing.assert_allclose(stl.trace(formula, signals)[0], theirs[:fitting], atol=1e-9)


@FEW
@given(formulas(3), formulas(3), st.integers(0, 4), st.integers(0, 4), st.integers(0, 10_000))
def test_laws(p, q, a, width, seed):
    signals, b = traces(3, 40, seed), a + width
    assume(p.horizon + q.horizon < 20)

    def same(one, other):
        np.testing.assert_allclose(stl.robustness(one, signals), stl.robustness(other, signals), atol=1e-12)

    np.testing.assert_array_equal(stl.robustness(Not(p), signals), -stl.robustness(p, signals))
    same(p >> q, ~p | q)
    same(Always(p, a, b), ~Eventually(~p, a, b))
    same(~(p & q), ~p | ~q)
    same(Eventually(Eventually(p, a, b), 1, 2), Eventually(p, a + 1, b + 2))
    same(Until(p, q, 0, 0), q)
    true = signal("x") * 0 >= -1e9
    same(Until(true, q, a, b), Eventually(q, a, b))
    same(Until(p, q, a, b), And((Always(p, 0, a - 1), until_from(p, q, a, b))) if a else Until(p, q, 0, b))


def until_from(p, q, a, b):
    """p until q, counted from a steps later on."""
    return Eventually(Until(p, q, 0, b - a), a, a)


@FEW
@given(st.lists(predicates, min_size=2, max_size=3), st.floats(-5, 5), st.integers(0, 10_000))
def test_a_margin_that_is_added_everywhere_is_added_to_the_whole(parts, margin, seed):
    shifted = [stl.Predicate(part.left + (margin if ">" in part.symbol else -margin), part.symbol, part.right) for part in parts]
    signals = traces(2, 20, seed)

    def build(parts):
        return Always(Eventually(And(tuple(parts)), 1, 4), 0, 5) | Until(parts[0], parts[1], 1, 3)

    np.testing.assert_allclose(stl.robustness(build(shifted), signals), stl.robustness(build(parts), signals) + margin, atol=1e-9)


@FEW
@given(formulas(), st.integers(0, 10_000), st.floats(0, 1))
def test_robustness_is_a_distance(formula, seed, size):
    """A disturbance of every signal changes no predicate by more than 1.5 of it, and so neither the whole."""
    signals = traces(2, SAMPLES, seed)
    draw = np.random.default_rng(seed + 1)
    disturbed = {name: values + draw.uniform(-size, size, values.shape) for name, values in signals.items()}
    assert (np.abs(stl.robustness(formula, signals) - stl.robustness(formula, disturbed)) <= 1.5 * size + 1e-12).all()


def test_until_counts_its_left_side_up_to_the_sample_before():
    """The two readings that libraries differ in (digest of arXiv 2309.05131): the left side fails exactly at t', and before t + a."""
    left, right = signal("l") >= 0, signal("r") >= 0
    fails_at_end = {"l": np.array([[1.0, 1.0, -1.0]]), "r": np.array([[-5.0, -5.0, 3.0]])}
    assert stl.robustness(Until(left, right, 0, 2), fails_at_end)[0] == 1.0
    fails_before = {"l": np.array([[1.0, -1.0, 2.0]]), "r": np.array([[-5.0, -5.0, 3.0]])}
    assert stl.robustness(Until(left, right, 2, 2), fails_before)[0] == -1.0


def test_both_ends_of_an_interval_belong_to_it():
    rising = {"x": np.arange(10.0)[None]}
    assert stl.robustness(stl.parse("always[2,5] x >= 0"), rising)[0] == 2
    assert stl.robustness(stl.parse("eventually[2,5] x >= 0"), rising)[0] == 5
    assert stl.trace(stl.parse("eventually[2,5] x >= 0"), rising).tolist() == [[5, 6, 7, 8, 9]]


def test_a_trace_that_is_too_short_is_refused_or_cut():
    falling = {"x": 3.0 - np.arange(4.0)[None]}
    phi = stl.parse("always[0,5] eventually[0,2] x >= 0")
    assert phi.horizon == 7
    with pytest.raises(ValueError, match=r"the trace has 4 samples, but always.* at sample 0 needs 8: its horizon is 7"):
        stl.robustness(phi, falling)
    assert stl.robustness(phi, falling, end="truncate")[0] == 0  # from sample 3 on, the window holds that sample alone
    assert stl.trace(phi, falling, end="truncate").tolist() == [[0, 0, 0, 0]]
    smooth = stl.robustness(phi, falling, mode="logsumexp", temperature=0.01, end="truncate")[0]
    assert abs(smooth) <= stl.smoothing_error(phi, 0.01)
    with pytest.raises(ValueError, match="there is no sample 6"):
        stl.robustness(stl.parse("always[6,9] x >= 0"), falling, end="truncate")
    with pytest.raises(ValueError, match="end must be strict, truncate, strong, weak or ended, got 'hold'"):
        stl.robustness(phi, falling, end="hold")


def test_truncation_leaves_the_complete_alone():
    signals = traces(3, 30)
    phi = stl.parse("always[0,5] (x >= 0 or y until[1,3] z)".replace("y until", "(y >= 0) until").replace("] z)", "] (z >= 0))"))
    np.testing.assert_array_equal(stl.trace(phi, signals, end="truncate")[:, : 30 - phi.horizon], stl.trace(phi, signals))


@FEW
@given(formulas(), st.integers(0, 10_000))
def test_the_explanation_is_the_predicate_that_decides(formula, seed):
    signals = traces(2, SAMPLES, seed)
    found = stl.explain(formula, signals, row=1)
    assert found.robustness == pytest.approx(stl.robustness(formula, signals)[1])
    assert abs(found.margin) == pytest.approx(abs(found.robustness))
    at = {name: values[1, found.sample] for name, values in signals.items()}
    assert found.predicate.margin(at) == pytest.approx(found.margin)
    assert found.path[0] == (formula, 0)
    assert found.path[-1] == (found.predicate, found.sample)


def test_an_explanation_reads_like_a_sentence():
    phi = stl.parse("always[0,3] gap >= 1")
    assert str(stl.explain(phi, {"gap": np.array([[3, 2, 0.5, 4]])})) == "violated, robustness -0.5: gap >= 1 has margin -0.5 at sample 2"


@pytest.mark.parametrize(
    ("signals", "sentence"),
    [
        ({"gap": np.zeros((2, 9))}, r"signal 'gop' is missing; did you mean 'gap'"),
        ({"gop": np.zeros(9)}, r"signal 'gop' must be \[B, T\], got \[9\]"),
        ({"gop": np.zeros((2, 9)), "x": np.zeros((2, 8))}, r"signals must have one shape, got gop \[2, 9\], x \[2, 8\]"),
        ({"gop": np.where(np.arange(18).reshape(2, 9) == 12, np.nan, 0), "x": np.ones((2, 9))}, "signal 'gop' is NaN at sample 3 of row 1"),
        ({"gop": np.zeros((2, 9)), "x": np.zeros((2, 9))}, "gop / x >= 1 is not a number at sample 0 of row 0"),
    ],
)
def test_bad_signals(signals, sentence):
    phi = stl.parse("always[0,5] gop / x >= 1" if "x" in signals else "always[0,5] gop >= 1")
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=sentence):
        stl.robustness(phi, signals)


def test_bad_arguments():
    phi, signals = stl.parse("x >= 0"), traces(1, 5)
    with pytest.raises(ValueError, match=r"unknown mode 'soft'; there are: exact, logsumexp, softmax"):
        stl.robustness(phi, signals, mode="soft")
    with pytest.raises(ValueError, match=r"mode 'logsumexp' needs a temperature, as in temperature=0.01, got None"):
        stl.robustness(phi, signals, mode="logsumexp")
    with pytest.raises(ValueError, match=r"mode 'exact' takes no temperature, got 0.1"):
        stl.robustness(phi, signals, temperature=0.1)
    with pytest.raises(ValueError, match="temperature must be > 0 and finite, got -1"):
        stl.robustness(phi, signals, mode="softmax", temperature=-1)
    with pytest.raises(ValueError, match="the trace has 5 samples, there is no sample 5"):
        stl.robustness(phi, signals, t=5)
    with pytest.raises(ValueError, match=r"row must be in 0 … 0, got 3"):
        stl.explain(phi, signals, row=3)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(0 <= signal("x") <= 1)
    with pytest.raises(ValueError, match=r"an interval \[a,b\] needs 0 <= a <= b, got \[3,2\]"):
        Always(phi, 3, 2)
    with pytest.raises(ValueError, match=r"an interval is in whole steps, got \[0,2.5\]"):
        Eventually(phi, 0, 2.5)
    with pytest.raises(ValueError, match="And joins two or more formulas, got 1"):
        And((phi,))
