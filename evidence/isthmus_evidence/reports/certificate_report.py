"""What a certificate says, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus_evidence.reports.comparison_report import interval_text, motion_text
from isthmus_evidence.reports.table import Report, Table

__all__ = ["amount_text", "certificate_report", "certificate_tables", "is_certificate"]

_PARTS = {"task", "engines", "episodes", "seed", "cells", "pairs", "margins", "made"}


def is_certificate(value: Any) -> bool:
    """Whether plain data from a policy file, where evidence may be anything, has the parts of a certificate."""
    return isinstance(value, Mapping) and value.keys() >= _PARTS


def certificate_report(found: Mapping[str, Any]) -> Report:
    """A certificate, as `isthmus_evidence.certify` makes it."""
    last = found["seed"] + found["episodes"] - 1
    yield f"{found['task']} in {' and '.join(found['engines'])}, {found['episodes']} episodes of each cell, seeds {found['seed']} … {last}"
    yield from certificate_tables(found)


def certificate_tables(found: Mapping[str, Any]) -> Sequence[Table]:
    """Cells, differences of the engines, and margins."""
    cells = Table("", _CELLS, [_cell(row) for row in found["cells"]])
    pairs = Table("on the same seeds, with 95 % intervals", _PAIRS, [_pair(row) for row in found["pairs"]])
    engine, drop = found["engines"][0], 100 * found["margins"][0].get("drop", 0.1) if found["margins"] else 10
    title = f"margins in {engine}: where success falls by {drop:.0f} points, and the loss in the other engine from where that is known"
    return cells, pairs, Table(title, _MARGINS, [_margin(row) for row in found["margins"]])


_CELLS = ("condition", "engine", "n", "success", "return", "robustness", "clamped", "reversals, 1/s", "jerk, rms")
_PAIRS = ("condition", "difference", "pairs", "success", "return", "robustness", "joints apart, rms", "at most")
_MARGINS = ("disturbance", "margin", "known not to fall up to", "known to fall from", "loss from there")


def _cell(row: Mapping[str, Any]) -> tuple[object, ...]:
    success, returns, jerk = row["success"], row["return"], row["jerk"]
    satisfied = row.get("specification", {}).get("robustness")
    return (
        row["condition"],
        row["engine"],
        row["episodes"],
        interval_text(success["rate"], success, "{:.2f}"),
        interval_text(returns["mean"], returns, "{:.1f}"),
        interval_text(satisfied["mean"], satisfied, "{:.3g}") if satisfied else "–",
        motion_text(row["motion"], "clamped"),
        motion_text(row["motion"], "reversals_per_second"),
        interval_text(jerk["mean"], jerk, "{:.3g}") if jerk else "–",
    )


def _pair(row: Mapping[str, Any]) -> tuple[object, ...]:
    apart = row["divergence"]
    told = [interval_text(row[name]["difference"], row[name], form) if row[name] else "–" for name, form in _DIFFERENCES]
    ways = [interval_text(apart[name]["mean"], apart[name], "{:.3g}") for name in ("rms", "largest")]
    return row["condition"], f"{row['engine']} less {row['against']}", row["episodes"], *told, *ways


_DIFFERENCES = (("success", "{:+.2f}"), ("return", "{:+.2f}"), ("robustness", "{:+.3g}"))


def _margin(row: Mapping[str, Any]) -> tuple[object, ...]:
    if "refused" in row:
        return row["name"], row["refused"], "", "", ""
    nothing = f"beyond {amount_text(row['furthest'], row)}"
    low, high = (nothing if row[name] is None else amount_text(row[name], row) for name in ("low", "high"))
    margin = nothing if row["margin"] is None else amount_text(row["margin"], row)
    return f"{row['name']}: {row['what']}", margin, low, high, "; ".join(map(_beyond, row["checked"])) or "–"


def _beyond(check: Mapping[str, Any]) -> str:
    if "refused" in check:
        return f"{check['engine']} cannot express it"
    return f"{check['engine']} {interval_text(check['loss']['difference'], check['loss'], '{:+.2f}')}"


def amount_text(amount: float, row: Mapping[str, Any]) -> str:
    """An amount of a disturbance and its unit."""
    text = f"{amount:.3g}"
    return f"{'× ' if row['factor'] else ''}{text}{'' if row['unit'] == '1' else ' ' + row['unit']}"
