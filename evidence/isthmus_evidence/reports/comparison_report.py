"""What a comparison found, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_evidence.motions import MOTION_FIGURES
from isthmus_evidence.reports.table import Report, Table

__all__ = [
    "DIFFERENCE_COLUMNS",
    "ENTRY_COLUMNS",
    "MOTION_COLUMNS",
    "comparison_report",
    "difference_cells",
    "difference_title",
    "entry_cells",
    "interval_text",
    "motion_cells",
    "motion_text",
    "title_of",
    "verdict_words",
]

ENTRY_COLUMNS = ("policy in world", "n", "success", "return", "interquartile mean", "clamped", "reversals, 1/s")
DIFFERENCE_COLUMNS = ("difference", "pairs", "success", "return", "interquartile mean", "does better")
MOTION_COLUMNS = ("difference", "clamped", "held", "stopped", "reversals, 1/s", "change of command, rms")


def comparison_report(found: Mapping[str, Any]) -> Report:
    """A comparison, as `isthmus_evidence.compare` makes it."""
    protocol = found["protocol"]
    yield f"protocol {protocol['digest']}: {protocol_words(protocol)}"
    yield Table("", ENTRY_COLUMNS, [entry_cells(entry) for entry in found["entries"]])
    yield Table("on the same seeds, with 95 % intervals", DIFFERENCE_COLUMNS, [difference_cells(row) for row in found["differences"]])
    yield Table("how they move, likewise", MOTION_COLUMNS, [motion_cells(row) for row in found["differences"]])
    for row in found["differences"]:
        yield verdict_words(row)
    if (count := len(found["differences"])) > 1:
        yield f"{count} comparisons: each interval holds by itself, not all of them together"


def protocol_words(protocol: Mapping[str, Any]) -> str:
    """Task, worlds, seeds, metric and threshold."""
    worlds = ", ".join(world["name"] for world in protocol["worlds"])
    counts = f"; differences up to {protocol['threshold']:g} do not count" if protocol["threshold"] else ""
    first, last = protocol["seed"], protocol["seed"] + protocol["episodes"] - 1
    return f"{protocol['task']} in {worlds}, seeds {first} … {last}, judged by {protocol['metric']}{counts}"


def title_of(entry: Mapping[str, Any]) -> str:
    """Policy and world."""
    return f"{entry['policy']} in {entry['world']}"


def entry_cells(entry: Mapping[str, Any]) -> tuple[object, ...]:
    """One evaluation, for `ENTRY_COLUMNS`."""
    success, returns, iqm, motion = entry["success"], entry["return"], entry["iqm"], entry["motion"] or {}
    rate = interval_text(success["rate"], success, "{:.2f}") if success else "–"
    spread = (interval_text(returns["mean"], returns, "{:.1f}"), interval_text(iqm["mean"], iqm, "{:.1f}"))
    return title_of(entry), entry["episodes"], rate, *spread, motion_text(motion, "clamped"), motion_text(motion, "reversals_per_second")


def difference_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    """One difference, for `DIFFERENCE_COLUMNS`."""
    success = interval_text(row["success"]["difference"], row["success"], "{:+.2f}") if row["success"] else "–"
    spread = [interval_text(row[name]["difference"], row[name], "{:+.2f}") for name in ("return", "iqm")]
    better = interval_text(row["improvement"]["rate"], row["improvement"], "{:.2f}")
    return difference_title(row), row["episodes"], success, *spread, better


def motion_cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    """One difference, for `MOTION_COLUMNS`."""
    told = [interval_text(found["difference"], found, "{:+.3g}") if (found := row["motion"][name]) else "–" for name in MOTION_FIGURES]
    return difference_title(row), *told


def verdict_words(row: Mapping[str, Any]) -> str:
    """Better, worse or undecided, and how many more would decide."""
    found = row["verdict"]
    told = f"{title_of(row['here'])} against {title_of(row['there'])}: {found['verdict']} by {found['metric']}"
    told += f", {interval_text(found['difference'], found, '{:+.3g}')} over {found['pairs']} pairs"
    if found["verdict"] != "undecided":
        return told
    if found["few"]:
        told += f"; too few pairs differ to go by the interval (exact test, p = {found['p']:.2g})"
    more = found["more"]
    return told + (
        "; more of the same would not decide" if more is None else f"; about {more} more pairs would decide, if they go like these"
    )


def interval_text(value: float, ends: Mapping[str, float], form: str) -> str:
    """A figure and its interval."""
    return f"{form.format(value)} ({form.format(ends['low'])} … {form.format(ends['high'])})"


def difference_title(row: Mapping[str, Any]) -> str:
    """What is compared with what."""
    here, there = row["here"], row["there"]
    if here["policy"] == there["policy"]:
        return f"{here['world']} less {there['world']}"
    return f"{here['policy']} less {there['policy']}" + (f" in {here['world']}" if here["world"] == there["world"] else "")


def motion_text(motion: Mapping[str, Any], name: str) -> str:
    """One figure of `isthmus_evidence.motions.motion_summary` and its interval."""
    ends = motion.get("intervals", {}).get(name)
    return interval_text(motion[name], ends, "{:.3g}") if ends else "–"
