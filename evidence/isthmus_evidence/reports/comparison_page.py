"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from isthmus_evidence.pictures.comparisons import difference_chart, profile_chart
from isthmus_evidence.reports import comparison_report as words
from isthmus_evidence.reports.markup import document, facts, figure, section, table

__all__ = ["comparison_page"]


def comparison_page(found: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """HTML of one comparison.

    Args:
        found: from `isthmus_evidence.compare`.
        made: provenance of the process that compared.
    """
    parts = (_opening(found), _pictures(found), _differences(found), _entries(found), _seeds(found), _made(found, made))
    return document(f"isthmus compare: {found['protocol']['task']}", "\n".join(parts))


def _opening(found: Mapping[str, Any]) -> str:
    verdicts = "".join(
        f"<p><b>{escape(row['verdict']['verdict'])}</b>: {escape(words.verdict_words(row))}</p>" for row in found["differences"]
    )
    return f"""<header><p class="eyebrow">isthmus compare · {escape(found["protocol"]["task"])}</p>
<h1>{escape(_title(found))}</h1>
<p class="lead">{escape(words.protocol_words(found["protocol"]))}.</p>
<p class="note">Protocol <code>{found["protocol"]["digest"]}</code>, fixed before the first episode.</p>{verdicts}</header>"""


def _title(found: Mapping[str, Any]) -> str:
    policies = [policy["name"] for policy in found["policies"]]
    return " against ".join(policies) if len(policies) > 1 else f"{policies[0]} in {len(found['protocol']['worlds'])} worlds"


def _pictures(found: Mapping[str, Any]) -> str:
    metric = found["protocol"]["metric"]
    rows = [(words.difference_title(row), row["verdict"]) for row in found["differences"]]
    apart = difference_chart(rows, f"difference of {metric}", threshold=found["protocol"]["threshold"])
    profile = profile_chart([(words.title_of(entry), entry["profile"]) for entry in found["entries"]])
    charts = figure(f"Difference of {escape(metric)} on the same seeds, 95 % intervals", apart)
    charts += figure("Performance profile, pointwise 95 % intervals", profile)
    return section("At a glance", f'<div class="two">{charts}</div>')


def _differences(found: Mapping[str, Any]) -> str:
    rows = found["differences"]
    first = table(words.DIFFERENCE_COLUMNS, [words.difference_cells(row) for row in rows], numbers=range(1, 6))
    second = table(words.MOTION_COLUMNS, [words.motion_cells(row) for row in rows], numbers=range(1, 6))
    note = "Episodes are compared seed by seed. Success: Newcombe; return and motion: Student's t; interquartile mean: bootstrap."
    if len(rows) > 1:
        note += f" {len(rows)} comparisons: each interval holds by itself, not all of them together."
    cards = f'<div class="card scroll">{first}</div><div class="card scroll">{second}</div>'
    return section("Differences", f'<p class="note">{escape(note)}</p>{cards}')


def _entries(found: Mapping[str, Any]) -> str:
    shown = table(words.ENTRY_COLUMNS, [words.entry_cells(entry) for entry in found["entries"]], numbers=range(1, 7))
    return section("Each by itself", f'<div class="card scroll">{shown}</div>')


def _seeds(found: Mapping[str, Any]) -> str:
    heads = ("seed", *(words.title_of(entry) for entry in found["entries"]))
    rows = [(seed, *(f"{value:g}" for value in values)) for seed, values in found["seeds"].items()]
    shown = table(heads, rows, numbers=range(1, len(heads)))
    title = f"{found['protocol']['metric'].capitalize()} by seed"
    return section(title, f'<details><summary>{len(rows)} seeds</summary><div class="card scroll">{shown}</div></details>')


def _made(found: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    rows = [("command", made["command"]), ("commit", made["commit"]), ("date", made["date"])]
    rows += [(f"policy {policy['name']}", policy["digest"] or "no file") for policy in found["policies"]]
    return section("How it was made", facts(rows))
