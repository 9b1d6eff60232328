"""Factors by which units are mistaken for each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["FACTORS", "unit_factors"]

_ANGLES: Mapping[str, float] = {
    "degrees": 180 / np.pi,
    "radians where degrees were meant": np.pi / 180,
    "turns": 1 / (2 * np.pi),
    "revolutions per minute": 30 / np.pi,
}
_LENGTHS: Mapping[str, float] = {"millimetres": 1e3, "metres where millimetres were meant": 1e-3}
FACTORS: Mapping[str, float] = {**_ANGLES, **_LENGTHS}
"""Words → how much larger the numbers are."""


def unit_factors(kind: str) -> Mapping[str, float]:
    """Those of a joint: of angles, of lengths where it is "prismatic", and all where its kind is not known, ""."""
    return _LENGTHS if kind == "prismatic" else _ANGLES if kind else FACTORS
