"""Returns over decision frequencies, in words and tables: when they were measured, and when they are found in a policy file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus_evidence.frequency_score import LENGTHS
from isthmus_evidence.reports.table import Report, Table

__all__ = ["curve_table", "frequency_report", "is_curve"]


def frequency_report(summary: Mapping[str, Any]) -> Report:
    """The curve and the score of `isthmus_evidence.frequency.evaluate_frequencies`."""
    yield f"{summary['episodes']} episodes of {summary['task']} in {summary['plant']} at each length, seeds from {summary['seed']}"
    yield curve_table(summary["curve"])
    if len(summary["curve"]) < len(LENGTHS):
        yield f"no score: it is of {len(LENGTHS)} lengths, and {len(summary['curve'])} are known"
    elif bounds := summary["range"]:
        of = "as given" if bounds["source"] == "given" else f"as published for {bounds['source']}"
        yield f"frequency-averaged score: {summary['score']:.3f}, with returns from {bounds['low']:g} to {bounds['high']:g} {of}"
    else:
        yield f"no score: no range of returns is published for {summary['task']}; give one with --fas-range LOW HIGH"


def curve_table(curve: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """A row per length."""
    columns = ["actions per decision", "decision period, s", "return", "95 % interval"]
    successes = any(point["success"] for point in curve)
    rows = []
    for point in curve:
        reward, success = point["return"], point["success"]
        row = [str(point["length"]), point["decision_period"], f"{reward['mean']:.2f}", f"{reward['low']:.2f} … {reward['high']:.2f}"]
        rate = f"{success['rate']:.2f}" if success else ""
        if success and _has_numbers(success, "low", "high"):
            rate += f" ({success['low']:.2f} … {success['high']:.2f})"
        rows.append([*row, rate] if successes else row)
    return Table(title, [*columns, "success rate"] if successes else columns, rows)


def is_curve(value: Any) -> bool:
    """Whether plain data from a policy file, where evidence may be anything, is a curve that can be shown."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(
            isinstance(point, Mapping)
            and point.keys() >= {"length", "decision_period", "return", "success"}
            and _has_numbers(point["return"], "mean", "low", "high")
            and (point["success"] is None or _has_numbers(point["success"], "rate"))
            for point in value
        )
    )


def _has_numbers(value: Any, *names: str) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(name), (int, float)) for name in names)
