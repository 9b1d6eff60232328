"""One formula has one value: online, offline, in torch and in an explanation, for any type of numbers, divisions by zero included."""

import math

import numpy as np
import pytest
import torch

from isthmus_controllers import stl

FORMULA = stl.parse("always[0,2] (gap / speed >= 1.5)")
TYPES = ["float64", "float32", "float16", "int64", "int8", "uint8"]


def values_of(formula, signals):
    """Robustness of one trace in every way, or "refused"."""

    def attempt(way):
        try:
            return float(way())
        except ValueError:
            return "refused"

    def online():
        monitor = stl.Monitor(formula)
        for sample in range(next(iter(signals.values())).shape[1]):
            monitor.update({name: values[0, sample] for name, values in signals.items()})
        return monitor.newest.low

    tensors = {name: torch.from_numpy(values) for name, values in signals.items()}
    return {
        "offline": attempt(lambda: stl.robustness(formula, signals)[0]),
        "torch": attempt(lambda: stl.robustness(formula, tensors)[0]),
        "online": attempt(online),
        "explained": attempt(lambda: stl.explain(formula, signals).robustness),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("gap", "speed", "expected"), [(2, 0, math.inf), (0, 0, "refused"), (2, 1, 0.5), (3, 2, 0.0)])
def test_a_division_has_one_value_everywhere(dtype, gap, speed, expected):
    signals = {"gap": np.full((1, 3), gap, dtype), "speed": np.full((1, 3), speed, dtype)}
    assert values_of(FORMULA, signals) == dict.fromkeys(("offline", "torch", "online", "explained"), expected)


@pytest.mark.filterwarnings("error")
def test_a_negative_one_is_minus_infinite():
    signals = {"gap": np.array([[-1.0, 1.0, 1.0]]), "speed": np.zeros((1, 3))}
    assert set(values_of(FORMULA, signals).values()) == {-math.inf}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float64"])
@pytest.mark.parametrize(
    "text", ["a - b >= 1", "-a >= b", "a * a * a >= 0", "abs(a - b) <= 1", "hypot(a, b) <= 3", "min(a - b, b) >= -2", "max(a, 2) / b > 0"]
)
def test_whole_numbers_do_not_wrap(dtype, text):
    exact = {"a": np.array([[100.0]]), "b": np.array([[101.0]])}
    found = values_of(stl.parse(text), {name: values.astype(dtype) for name, values in exact.items()})
    expected = stl.robustness(stl.parse(text), exact)[0]
    assert list(found.values()) == pytest.approx([expected] * 4)


def test_what_is_not_a_number_is_refused_inside_a_minimum_too():
    formula = stl.parse("min(a / b, 1) >= 0")
    assert set(values_of(formula, {"a": np.zeros((1, 1)), "b": np.zeros((1, 1))}).values()) == {"refused"}
