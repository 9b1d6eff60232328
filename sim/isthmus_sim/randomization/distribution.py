"""What a distribution is, and what all of them need.

A distribution draws one number from one generator at a time, so that a row's values never depend on how many rows there are. It knows nothing of
parameters until `within` checks it against one.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from isthmus_sim.parameters import Parameter

__all__ = ["Distribution", "between", "check_inside", "check_range"]


class Distribution(Protocol):
    """Draws values of one parameter."""

    def within(self, parameter: Parameter) -> Distribution:
        """The distribution as it is drawn for that parameter.

        Raises:
            ValueError: it can draw what the parameter cannot be; the message names the parameter and its valid range.
        """
        ...

    def draw(self, generator: np.random.Generator, progress: float) -> float:
        """One value, in the parameter's unit.

        Args:
            generator: of the row.
            progress: of the training, 0 … 1.
        """
        ...


def check_inside(parameter: Parameter, *values: float) -> None:
    """See that a parameter can have these values.

    Raises:
        ValueError: one is out of its valid range.
    """
    for value in values:
        if not parameter.low <= value <= parameter.high:
            raise ValueError(
                f"parameter {parameter.name!r} must be in {parameter.low:g} … {parameter.high:g} {parameter.unit}, got {value:g}"
            )


def check_range(low: float, high: float) -> None:
    """See that these are the ends of a range.

    Raises:
        ValueError: they are not finite and in order.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low must be < high, both finite, got {low:g} and {high:g}")


def between(first: float, last: float, share: float) -> float:
    """The point at that share of the way, 0 … 1; rounding never carries it past an end."""
    return min(max(first + (last - first) * share, min(first, last)), max(first, last))
