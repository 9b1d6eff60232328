"""Formulas as text: both directions, and complaints that point at the column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stl_cases import formulas

from isthmus_controllers import stl
from isthmus_controllers.stl import (
    Always,
    And,
    Arithmetic,
    Call,
    Eventually,
    Implies,
    Negative,
    Not,
    Number,
    Or,
    Predicate,
    Signal,
    Until,
    signal,
)

x, y = signal("x"), signal("y")
numbers = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e9, 1e9, allow_nan=False))
expressions = st.recursive(
    st.one_of(st.builds(Number, numbers), st.sampled_from(("x", "arm.elbow_joint", "y2")).map(Signal)),
    lambda parts: st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*/"), parts, parts),
        st.builds(Negative, parts),
        st.builds(lambda part: Call("abs", (part,)), parts),
        st.builds(Call, st.sampled_from(("min", "max")), st.lists(parts, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(formulas())
def test_text_and_formula_are_the_same(formula):
    assert stl.parse(str(formula)) == formula


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_so_are_text_and_expression(expression):
    predicate = Predicate(expression + x, ">=", expression)
    assert stl.parse(str(predicate)) == predicate


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("x >= 1 and y < 2 or not x > 3", Or((And((x >= 1, y < 2)), Not(x > 3)))),
        ("x >= 1 -> y >= 1 -> x >= 2", Implies(x >= 1, Implies(y >= 1, x >= 2))),
        ("x >= 1 and y >= 1 until[0,3] x >= 2", And((x >= 1, Until(y >= 1, x >= 2, 0, 3)))),
        ("always[0,4] x >= 1 and y >= 0", And((Always(x >= 1, 0, 4), y >= 0))),
        ("always[0,4] (x >= 1 and y >= 0)", Always(And((x >= 1, y >= 0)), 0, 4)),
        ("eventually[1,2] not x <= -1.5e-1", Eventually(Not(x <= -0.15), 1, 2)),
        ("(x - 1) * 2 >= -x", Predicate((x - 1) * 2, ">=", -x)),
        ("((x) >= (1))", x >= 1),
        ("1 - 2 - x / 2 / y >= 0", Predicate(Number(1) - 2 - x / 2 / y, ">=", Number(0))),
        ("max(x, y, 0) >= abs(x - 1)", Predicate(Call("max", (x, y, Number(0.0))), ">=", abs(x - 1))),
        ("x\n  >= 1", x >= 1),
    ],
)
def test_what_a_text_means(text, formula):
    assert stl.parse(text) == formula


def test_intervals_in_seconds():
    assert stl.parse("always[0,0.3] x >= 0", dt=0.1) == Always(x >= 0, 0, 3)
    assert stl.parse("eventually[1.5,3] x >= 0", dt=0.05) == Eventually(x >= 0, 30, 60)
    with pytest.raises(stl.FormulaError, match=r"0.25 s is not a multiple of dt, 0.1 s, column 10"):
        stl.parse("always[0,0.25] x >= 0", dt=0.1)
    with pytest.raises(ValueError, match="dt must be > 0 s, got 0"):
        stl.parse("x >= 0", dt=0)


@pytest.mark.parametrize(
    ("text", "problem", "column"),
    [
        ("", "expected a signal or a number", 1),
        ("gap", "expected a comparison, >= > <= or <", 4),
        ("gap >= 1 and", "expected a signal or a number", 13),
        ("gap >= 1 gap", "expected `and`, `or`, `->`, `until` or the end", 10),
        ("(gap >= 1", "expected `)` to close a parenthesis", 10),
        ("((gap - 1) >= 2", "expected `)` to close a parenthesis", 16),
        ("(gap - 1 >= 2", "expected `)` to close a parenthesis", 14),
        ("always gap >= 1", "`always` needs an interval, as in always[0,5]", 8),
        ("always[5] gap >= 1", "expected `,` between the ends of an interval", 9),
        ("always[3,2] gap >= 1", "the interval ends before it begins; always[a,b] needs a <= b", 7),
        ("always[-1,2] gap >= 1", "expected a number >= 0 of samples", 8),
        ("always[0,2.5] gap >= 1", "2.5 is not a whole number of samples; give dt for seconds", 10),
        ("gap until[0,3] x >= 1", "expected a comparison, >= > <= or <", 5),
        ("x >= 1 until[0,1] x >= 2 until[0,1] x >= 3", "`until` does not group by itself; put one of them into parentheses", 26),
        ("0 <= gap <= 1", "comparisons cannot be chained; write (a <= x) and (x <= b)", 10),
        ("(0 <= gap <= 1)", "comparisons cannot be chained; write (a <= x) and (x <= b)", 11),
        ("gap == 1", "'=' means nothing here", 5),
        ("gap >= min(1)", "min takes two or more arguments, got 1", 8),
        ("gap >= abs(1, 2)", "abs takes one argument, got 2", 8),
        ("gap >= sin(1)", "expected `and`, `or`, `->`, `until` or the end", 11),
        ("gap >= until", "expected a signal or a number; `until` is a word of the language", 8),
        ("1 >= 0", "1 >= 0 compares no signal", 1),
        ("x >= 1 and\n  y ! 2", "'!' means nothing here", 5),
    ],
)
def test_complaints_point_at_the_column(text, problem, column):
    with pytest.raises(stl.FormulaError) as caught:
        stl.parse(text)
    first, line, caret = str(caught.value).split("\n")
    assert first == f"{problem}, column {column}:"
    assert caret.index("^") == 2 + column - 1
    assert line.strip() in text or not text


@pytest.mark.parametrize("depth", [200, 300, 3000])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("(", ") >= 0"),
        ("(", ")"),
        ("-", " >= 0"),
        ("abs(", ") >= 0"),
        ("not ", ""),
        ("always[0,1] ", ""),
        ("x >= 0 -> ", ""),
        ("x + ", " >= 0"),
    ],
)
def test_what_is_nested_too_deeply_is_refused_and_not_run(before, after, depth):
    inner = "x" if after.endswith("0") else "x >= 0"
    text = before * depth + inner + ")" * depth * ("(" in before) + after.lstrip(")")
    with pytest.raises(stl.FormulaError, match="a formula has at most 100 levels"):
        stl.parse(text)


def test_what_is_accepted_can_be_evaluated():
    for text in (
        "-" * 90 + "x >= 0",
        "not " * 90 + "x >= 0",
        "x >= 0 -> " * 90 + "x >= 0",
        "x + " * 90 + "x >= 0",
        "(" * 60 + "x >= 0" + ")" * 60,
    ):
        formula = stl.parse(text)
        assert np.isfinite(stl.robustness(formula, {"x": np.ones((1, 3))})).all()
        assert stl.parse(str(formula)) == formula
    assert np.isfinite(stl.robustness(stl.parse(" and ".join(["x >= 0"] * 1000)), {"x": np.ones((1, 3))})).all()


@pytest.mark.parametrize(
    ("text", "dt", "sentence"),
    [
        (None, None, "a formula is a text, got None"),
        (b"x >= 0", None, "a formula is a text, got b'x >= 0'"),
        ("x >= 1e400", None, "a number in a formula must be finite, got inf, column 6"),
        ("always[0,1e400] x >= 0", None, "1e400 is more than 1000000000 samples, column 10"),
        ("always[0,1] x >= 0", 1e-300, "1 is more than 1000000000 samples, column 10"),
        ("x >= 0", "1", "dt must be > 0 s, got '1'"),
    ],
)
def test_what_is_no_text_or_no_number_is_refused(text, dt, sentence):
    with pytest.raises(ValueError, match=sentence):
        stl.parse(text, dt)


def test_expressions_compute_what_they_say():
    values = {"x": np.array([[1.0, -2.0]]), "y": np.array([[3.0, 0.5]])}
    expression = stl.parse("min(x, y, 0) - max(x, 1) * abs(-y) / 2 + -x >= 0").left
    expected = np.minimum(np.minimum(values["x"], values["y"]), 0) - np.maximum(values["x"], 1) * np.abs(values["y"]) / 2 - values["x"]
    np.testing.assert_allclose(expression.values(values), expected)
    np.testing.assert_allclose((1 - x + 2 * y - 3 / y + (1 + x)).values(values), 2 + 2 * values["y"] - 3 / values["y"])


def test_numbers_are_finite():
    with pytest.raises(ValueError, match="a number in a formula must be finite, got inf"):
        x >= float("inf")  # noqa: B015
