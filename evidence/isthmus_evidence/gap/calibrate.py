"""The line that calibrates a simulator, where a cause is one of its parameters."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from isthmus_evidence.gap.causes import Cause

__all__ = ["calibration_line", "unknown_parameters"]

_NOMINAL = {"gain": 1.0, "gravity": 9.81}  # others are nominally 0
_MOST = {"action_delay": 0.5, "action_lag": 0.5, "offset": 1.0, "gravity": 20.0, "payload": 20.0, "gain": 10.0}


def unknown_parameters(causes: Sequence[Cause]) -> dict[str, tuple[float, float]]:
    """Parameters of `isthmus identify` and the ranges to search, around what was found, by name."""
    found: dict[str, tuple[float, float]] = {}
    for cause in causes:
        if cause.value is None:
            continue
        for name in cause.calibrate:
            kind = name.rpartition(".")[2]
            nominal = _NOMINAL.get(kind, 0.0)
            value = cause.value * 9.81 if kind == "gravity" else cause.value
            most = _MOST.get(kind, 50.0)
            if kind == "offset":
                found[name] = (max(-2 * abs(value), -most), min(2 * abs(value), most))
            else:
                low = 0.01 if kind == "gain" else 0.0
                found[name] = (max(min(nominal, value) / 2, low), min(2 * max(nominal, value, 1e-3), most))
    return found


def calibration_line(target: str, logs: Sequence[Path], parameters: Path, out: Path) -> str:
    """What to type."""
    return shlex.join(["isthmus", "identify", target, "--log", *map(str, logs), "--parameters", str(parameters), "--out", str(out)])
