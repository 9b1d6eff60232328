"""From measurements to the signals of a specification."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_measurements import CONTRACT, ROBOT, measured

from isthmus.signals import Signal
from isthmus.specification import Specification
from isthmus_controllers import stl


def test_definitions_may_use_each_other_in_any_order():
    asked = Specification(
        "always[0,0.2] (far <= 1)", {"far": "hypot(dx, goal.y)", "dx": "goal.x - joint_position.shoulder_pan_joint", "unused": "goal.z"}
    )
    bound = stl.BoundSpecification(asked, CONTRACT)
    assert bound.elements == {"goal.x", "goal.y", "goal.z", "joint_position.shoulder_pan_joint"}
    assert str(bound.formula) == f"always[0,{round(0.2 / CONTRACT.control_period)}] (far <= 1)"
    signals = stl.MeasuredSignals(bound, CONTRACT, ROBOT, 2).read(
        measured([1.0, 4.0]), {"goal": np.array([[4.0, 4.0, 9.0], [4.0, 7.0, 9.0]])}
    )
    assert set(signals) == {"far"}
    np.testing.assert_allclose(signals["far"], [5.0, 7.0])


def test_elements_can_be_named_without_a_definition():
    bound = stl.BoundSpecification(Specification("always[0,1] (joint_velocity.elbow_joint <= 1.5 and tool0.z >= 0)"), CONTRACT)
    values = stl.MeasuredSignals(bound, CONTRACT, ROBOT, 1).read(measured([0.0]), {})
    assert set(values) == {"joint_velocity.elbow_joint", "tool0.z"}


def test_time_is_that_of_the_end_of_the_control_period():
    clocked = dataclasses.replace(CONTRACT, observation=(*CONTRACT.observation, Signal("time", "time", ("t",), "s", (0.0,), (60.0,))))
    bound = stl.BoundSpecification(Specification("always[0,1] (time.t >= 0)"), clocked)
    signals = stl.MeasuredSignals(bound, clocked, ROBOT, 1)
    for _ in range(2):
        times = [float(signals.read(measured([0.0]), {})["time.t"][0]) for _ in range(3)]
        np.testing.assert_allclose(times, clocked.control_period * np.arange(1, 4))
        signals.reset()


@pytest.mark.parametrize(
    ("formula", "signals", "sentence"),
    [
        ("always[0,1] (far <= 1)", {}, "the formula names 'far', which is neither defined nor measured"),
        (
            "always[0,1] (far <= 1)",
            {"far": "goal.w + 1"},
            "signal 'far' names 'goal.w', which is neither defined nor measured; did you mean 'goal.",
        ),
        ("always[0,1] (far <= 1)", {"far": "goal.x +"}, "signal 'far': expected a signal or a number"),
        ("always[0,1] (far <= 1)", {"far": "goal.x >= 1"}, "signal 'far': expected `+`, `-`, `*`, `/` or the end"),
        ("always[0,1] (far <= 1)", {"far": "near", "near": "far"}, "signals are defined by each other: "),
        ("always[0,0.01] (goal.x <= 1)", {}, "is not a multiple of dt"),
        ("always[0,1] (previous_action.elbow_joint <= 1)", {}, "which is neither defined nor measured"),
    ],
)
def test_what_the_user_got_wrong(formula, signals, sentence):
    with pytest.raises(ValueError, match=sentence.replace("+", r"\+").replace("*", r"\*")):
        stl.BoundSpecification(Specification(formula, signals), CONTRACT)


def test_nothing_is_no_formula():
    with pytest.raises(ValueError, match="formula must not be empty"):
        Specification(" ")


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=4))
def test_hypot_is_the_length_in_every_library(components):
    torch = pytest.importorskip("torch")
    expression = stl.parse_expression(f"hypot({', '.join(f'x{index}' for index in range(len(components)))})")
    assert stl.parse_expression(str(expression)) == expression
    named = {f"x{index}": value for index, value in enumerate(components)}
    expected = np.linalg.norm(components)
    assert expression.values(named) == pytest.approx(expected, abs=1e-9)
    tensors = {name: torch.tensor([value], dtype=torch.float64, requires_grad=True) for name, value in named.items()}
    length = expression.values(tensors)
    length.sum().backward()
    assert float(length.detach()) == pytest.approx(expected, abs=1e-9)
    gradient = [float(value.grad) for value in tensors.values()]
    np.testing.assert_allclose(
        gradient, np.array(components) / expected if float((length**2).detach()) > 0 else np.zeros(len(components)), atol=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("always[0,1] (x <= 1)", {"x": np.zeros((1, 5))}), "formula must be of type Formula, got 'always"),
        ((stl.parse("x <= 1"), np.zeros((1, 5))), "signals must be of type Mapping, got array"),
        ((stl.parse("x <= 1"), {"x": np.zeros((1, 5))}, "0"), "t must be a whole number, got '0'"),
    ],
)
def test_what_robustness_is_not_of(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        stl.robustness(*arguments)
