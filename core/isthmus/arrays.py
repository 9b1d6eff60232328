"""Numpy arrays and torch tensors alike: for formulas and models that are trained through in torch and run without it.

Torch is never imported here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["is_torch", "library", "maximum", "minimum"]


def is_torch(values: Any) -> bool:
    """Whether these are torch tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def library(values: Any) -> Any:
    """`torch` or `numpy`: for functions of the same name and positional arguments in both."""
    return sys.modules["torch"] if is_torch(values) else np


def minimum(first: Any, second: Any) -> Any:
    """The smaller of each two values, arrays or numbers."""
    return _extreme("minimum", min, first, second)


def maximum(first: Any, second: Any) -> Any:
    """The larger of each two values, arrays or numbers."""
    return _extreme("maximum", max, first, second)


def _extreme(name: str, of_numbers: Any, first: Any, second: Any) -> Any:
    if isinstance(first, float | int) and isinstance(second, float | int):
        return of_numbers(first, second)
    tensor = first if is_torch(first) else second
    if is_torch(tensor):
        first, second = (value if is_torch(value) else tensor.new_tensor(value) for value in (first, second))
    return getattr(library(tensor), name)(first, second)
