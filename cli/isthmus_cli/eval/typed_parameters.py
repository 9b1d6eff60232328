"""Physical parameters as they are typed: payload=1.5."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.numerals import number
from isthmus_sim.parameters import Parameter, parameter_rows

__all__ = ["parse_parameters"]


def parse_parameters(texts: tuple[str, ...], table: Mapping[str, Parameter]) -> dict[str, float]:
    """Read `NAME=VALUE` texts; `table` holds the parameters of the task.

    Raises:
        ValueError: not of that form, given twice, unknown or out of range.
    """
    parameters: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            typed = number(value)
        except ValueError:
            typed = np.nan
        if not equals or not np.isfinite(typed):
            raise ValueError(f"a parameter is NAME=VALUE with a finite number, such as payload=1.5, got {text!r}")
        if name in parameters:
            raise ValueError(f"parameter {name!r} is given twice")
        parameters[name] = typed
    parameter_rows(table, {name: np.array([value]) for name, value in parameters.items()}, 1)
    return parameters
