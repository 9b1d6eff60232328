"""Numpy arrays, torch tensors and CasADi expressions alike: for formulas and models that are trained through, solved for, or just evaluated.

CasADi expressions are numpy arrays of objects, one scalar each. Neither torch nor CasADi is imported here.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

__all__ = ["center_and_half", "is_symbolic", "is_torch", "length", "library", "maximum", "minimum"]


_TINY = 1e-12


def is_torch(values: Any) -> bool:
    """Whether these are torch tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def is_symbolic(values: Any) -> bool:
    """Whether these are CasADi expressions in a numpy array."""
    return isinstance(values, np.ndarray) and values.dtype == object


def library(values: Any) -> Any:
    """Functions of the same name and positional arguments: those of `torch`, of `numpy`, or of CasADi element by element."""
    if is_torch(values):
        return sys.modules["torch"]
    return _Symbolic if is_symbolic(values) else np


def minimum(first: Any, second: Any) -> Any:
    """The smaller of each two values, arrays or numbers."""
    return _extreme("minimum", first, second)


def maximum(first: Any, second: Any) -> Any:
    """The larger of each two values, arrays or numbers."""
    return _extreme("maximum", first, second)


def center_and_half(low: Any, high: Any) -> tuple[Any, Any]:
    """Of ranges between bounds, `[n]` each: the middle, and half the width; center + half · u is within the bounds where u is in −1 … 1."""
    return (high + low) / 2, (high - low) / 2


def length(*components: Any) -> Any:
    """Root of the sum of squares of arrays or numbers; at 0 its gradient is 0 in torch, and finite in CasADi."""
    total = sum(component * component for component in components)
    if isinstance(total, float | int):
        return math.sqrt(total)
    if is_symbolic(total):
        return _Symbolic.sqrt(total + _TINY)
    if is_torch(total):
        zero = total == 0
        return total.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
    return np.sqrt(total)


def _extreme(name: str, first: Any, second: Any) -> Any:
    if isinstance(first, float | int) and isinstance(second, float | int):
        return float(getattr(np, name)(first, second))  # not a number if one of them is not, as in arrays
    array = second if isinstance(first, float | int) else first
    if is_torch(array):
        first, second = (value if is_torch(value) else array.new_tensor(value) for value in (first, second))
    return getattr(library(array), name)(first, second)


class _Symbolic:
    """What models and formulas need of numpy, for arrays of CasADi expressions."""

    stack, concatenate = staticmethod(np.stack), staticmethod(np.concatenate)
    cumsum = staticmethod(np.cumsum)
    ones_like, zeros_like = staticmethod(np.ones_like), staticmethod(np.zeros_like)

    @staticmethod
    def _each(name: str, *values: Any) -> Any:
        return np.frompyfunc(getattr(sys.modules["casadi"], name), len(values), 1)(*values)

    cos = staticmethod(lambda values: _Symbolic._each("cos", values))
    sin = staticmethod(lambda values: _Symbolic._each("sin", values))
    tanh = staticmethod(lambda values: _Symbolic._each("tanh", values))
    sqrt = staticmethod(lambda values: _Symbolic._each("sqrt", values))
    exp = staticmethod(lambda values: _Symbolic._each("exp", values))
    minimum = staticmethod(lambda first, second: _Symbolic._each("fmin", first, second))
    maximum = staticmethod(lambda first, second: _Symbolic._each("fmax", first, second))
    remainder = staticmethod(lambda first, second: _Symbolic._each("fmod", first, second))
    greater_equal = staticmethod(lambda first, second: _Symbolic._each("ge", first, second))
    where = staticmethod(lambda condition, first, second: _Symbolic._each("if_else", condition, first, second))

    @staticmethod
    def clip(values: Any, low: Any, high: Any) -> Any:
        return _Symbolic.minimum(_Symbolic.maximum(values, low), high)

    @staticmethod
    def logaddexp(first: Any, second: Any) -> Any:
        larger, smaller = _Symbolic.maximum(first, second), _Symbolic.minimum(first, second)
        return larger + _Symbolic._each("log1p", _Symbolic.exp(smaller - larger))
