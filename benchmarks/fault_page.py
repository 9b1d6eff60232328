"""docs/explanation/safety.md from the measured fault table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from fault_course import PERIOD
from fault_rows import NOTES, ROWS
from fault_sight import SIGHT_ROWS
from fault_time import TIME_ROWS

__all__ = ["write_page"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "safety.md"
FIRST = max(2 * PERIOD, 0.050)  # s to the first braking command
HEAD = """# Faults and what they lead to

!!! warning "What has been run"
    Every line below was measured with a simulated robot on one machine: `sim_node`, `guard_node` and `policy_node` as processes of their own,
    connected by DDS. No hardware was involved.

Written by `python benchmarks/faults.py`, which runs what is missing in `docs/reference/faults.json`; `--rows 1 20-30` picks rows. The arm
(`ur5e`) moves all joints at 0.6 rad/s at 20 Hz when the fault happens. Outcomes:

**N** no effect, counted · **C** clamped · **R** refused, nothing commanded · **H** braked and held, and recovered · **S** braked and latched; needs
`guard/reset`, `guard/arm` and `policy/start` · **X** as S, and the driver's stop services were called · **H→S** held first, latched after half a
second.

*Brake* is the time from the fault to the first braking command that the robot receives, *still* that to standstill (below 0.02 rad/s), the largest
of all repeats. The first braking command must come within {first:.0f} ms (two periods; more is bold; what only motion can show, such as a dead
motor, has no such bound), standstill within the braking time at `stop_acceleration` and two more periods. The simulated servo lags by 60 ms and so
needs about 200 ms to follow a command from 0.6 rad/s to rest: many rows are bold for that. *Limits* is the largest use of a limit of velocity or
acceleration by what the guard let through: 1 is the limit. The next repeat resets, arms and starts the same processes again, unless the fault ended
them: that is the recovery.
"""


def write_page(results: dict[str, Any]) -> None:
    """Write the page."""
    rows = sorted((*ROWS, *TIME_ROWS, *SIGHT_ROWS), key=lambda row: int(row.number))
    order = {(row.number, row.fault): index for index, row in enumerate(rows)}
    entries = sorted(results.values(), key=lambda entry: (order.get((entry["number"], entry["fault"]), 999), entry["setting"]))
    table = [entry for entry in entries if not entry["number"].startswith("K")]
    lines = [HEAD.format(first=1000 * FIRST), _summary(table), "", *_table(table)]
    wrong = [entry["number"] for entry in table if any(run["outcome"] not in entry["expected"] for run in entry["runs"])]
    lines += ["", "## What came out otherwise", ""]
    lines += [f"* **{number}**: {NOTES.get(number, 'not explained yet')}." for number in dict.fromkeys(wrong)]
    often = [entry for entry in entries if entry["number"].startswith("K")]
    if often:
        lines += ["", "## The policy's process is killed or suspended, often", ""]
        lines += ["`python benchmarks/faults.py --kills 50`", "", *_table(often)]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _summary(entries: list[dict[str, Any]]) -> str:
    runs = [(entry, run) for entry in entries for run in entry["runs"]]
    right = sum(run["outcome"] in entry["expected"] for entry, run in runs)
    loads = [run["load"] for _, run in runs]
    span = f"load of the machine {min(loads):.1f} … {max(loads):.1f}" if loads else ""
    return f"{right} of {len(runs)} runs came out as the table of faults asks; {span}, two processors."


def _table(entries: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| # | fault | how | expected | outcome | brake, ms | still, ms | limits | cause, or what else was seen |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [_line(entry) for entry in entries]


def _line(entry: dict[str, Any]) -> str:
    runs = entry["runs"]
    outcomes: dict[str, int] = {}
    for run in runs:
        outcomes[run["outcome"]] = outcomes.get(run["outcome"], 0) + 1
    right = all(run["outcome"] in entry["expected"] for run in runs)
    outcome = ", ".join(f"{name} {count}×" for name, count in outcomes.items())
    brake = _bounded([run["brake"] for run in runs], FIRST if entry["timed"] else None)
    late = [
        run["still"] > run["brake"] + run["allowed"]
        for run in runs
        if entry["timed"] and None not in (run["still"], run["brake"], run["allowed"])
    ]
    still = _bounded([run["still"] for run in runs], None)
    excess = [run["excess"] for run in runs if run["excess"] is not None]
    words = runs[-1]["note"] or runs[-1]["words"]
    cells = [
        entry["number"].removeprefix("K"),
        entry["fault"],
        entry["setting"],
        " or ".join(entry["expected"]),
        outcome if right else f"**{outcome}**",
        brake,
        f"**{still}**" if any(late) else still,
        _limit(max(excess)) if excess else "",
        words.replace("|", "/").replace("\n", " ")[:160],
    ]
    return "| " + " | ".join(cells) + " |"


def _bounded(values: list[float | None], bound: float | None) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    largest = float(np.max(known))
    text = f"{1000 * largest:.0f}"
    return f"**{text}**" if bound is not None and largest > bound else text


def _limit(value: float) -> str:
    return f"**{value:.2f}**" if value > 1.005 else f"{value:.2f}"
