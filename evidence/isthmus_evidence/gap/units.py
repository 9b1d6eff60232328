"""Factors by which units are mistaken for each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["FACTORS"]

FACTORS: Mapping[str, float] = {
    "degrees": 180 / np.pi,
    "radians where degrees were meant": np.pi / 180,
    "millimetres": 1e3,
    "metres where millimetres were meant": 1e-3,
    "turns": 1 / (2 * np.pi),
    "revolutions per minute": 30 / np.pi,
}
"""Words → how much larger the numbers are."""
