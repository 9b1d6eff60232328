"""The page of a certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from isthmus_evidence.pictures.comparisons import difference_chart
from isthmus_evidence.pictures.plots import interval_chart
from isthmus_evidence.reports.certificate_report import amount_text, certificate_tables
from isthmus_evidence.reports.markup import document, facts, figure, section, table
from isthmus_evidence.reports.table import Table

__all__ = ["certificate_page", "certificate_sections"]


def certificate_page(found: Mapping[str, Any], digest: str) -> str:
    """HTML of one certificate; `digest` is that of the policy."""
    made = found["made"]
    head = f"""<header><p class="eyebrow">isthmus certify · {escape(found["task"])} · {escape(made["date"])}</p>
<h1>One policy, {len(found["engines"])} engines</h1>
<p class="lead">{found["episodes"]} episodes of each cell, seeds from {found["seed"]}; the same seeds, guard and file everywhere.</p>
<p class="note">Policy <code>{escape(digest)}</code></p></header>"""
    rows = [("command", made["command"]), ("commit", made["commit"]), ("date", made["date"])]
    foot = section("How it was made", facts(rows))
    return document(f"isthmus certify: {found['task']}", f"{head}{certificate_sections(found)}{foot}")


def certificate_sections(found: Mapping[str, Any]) -> str:
    """Charts and tables of a certificate."""
    cells, pairs, margins = certificate_tables(found)
    rows = [
        (
            row["engine"],
            f"{row['condition']} in {row['engine']}: {100 * row['success']['rate']:.0f} %, {row['episodes']} episodes",
            row["success"],
        )
        for row in found["cells"]
    ]
    names = "".join(
        f'<span><b class="{row["engine"]}">{escape(row["engine"])}</b> {escape(row["condition"])}</span>' for row in found["cells"]
    )
    values = "".join(f"<span>{100 * row['success']['rate']:.0f} %, n = {row['episodes']}</span>" for row in found["cells"])
    chart = f"""<div class="card headline"><div class="names">{names}</div><div class="chartcell">{interval_chart(rows)}</div>
<div class="values">{values}</div></div>"""
    text = section(
        "Success",
        f"<p>Share of episodes that end in success, with 95 % Wilson intervals.</p>{chart}{_card(cells, range(2, len(cells.columns)))}",
    )
    if found["pairs"]:
        text += section("Between the engines", _card(pairs, range(2, len(pairs.columns))))
    if found["margins"]:
        text += section("Margins", _margins(found) + _card(margins))
    return text


def _margins(found: Mapping[str, Any]) -> str:
    """The loss at the end of each margin, in the engine in which it was not searched."""
    rows = [
        (f"{row['name']} at {amount_text(check['amount'], row)}", check["loss"])
        for row in found["margins"]
        for check in row.get("checked", ())
        if "loss" in check
    ]
    if not rows:
        return ""
    caption = f"Loss of success beyond each margin, in {escape(', '.join(found['engines'][1:]))}"
    return figure(caption, difference_chart(rows, "loss of success", threshold=found["margins"][0].get("drop", 0.1)))


def _card(shown: Table, numbers: Iterable[int] = ()) -> str:
    title = f'<p class="note">{escape(shown.title)}</p>' if shown.title else ""
    return f'<div class="card scroll">{title}{table(shown.columns, shown.rows, numbers)}</div>'
