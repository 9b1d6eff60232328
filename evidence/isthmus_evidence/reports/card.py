"""The model card of a policy: what its file holds as evidence, and the command that made each figure. Nothing else is claimed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from isthmus.artifact import Artifact
from isthmus.ladder import CERTIFICATE, HOW, LADDER, PARITY, climbed, run_evidence
from isthmus_evidence.reports.certificate_page import certificate_sections
from isthmus_evidence.reports.certificate_report import certificate_report, is_certificate
from isthmus_evidence.reports.comparison_report import interval_text, motion_text
from isthmus_evidence.reports.frequency_report import curve_table, is_curve
from isthmus_evidence.reports.markup import document, section, table
from isthmus_evidence.reports.table import Report, Table

__all__ = ["card_html", "card_markdown", "ladder_table"]


def ladder_table(artifact: Artifact) -> Table:
    """Every rung, the evidence that shows it, or the command that would."""
    found = climbed(artifact.evidence, artifact.members)
    rows = [(rung, found.get(rung, "missing"), "" if rung in found else HOW[rung]) for rung in LADDER]
    return Table("ladder of evidence", ("rung", "shown by", "how to reach it"), rows)


def card_markdown(artifact: Artifact, name: str) -> str:
    """The card as Markdown; `name` is that of the file."""
    lines = [f"# {name}", ""]
    for title, parts in _sections(artifact):
        lines += [f"## {title}", ""]
        for part in parts:
            lines += [*(_markdown_table(part) if isinstance(part, Table) else [_plain(part)]), ""]
    return "\n".join(lines)


def card_html(artifact: Artifact, name: str) -> str:
    """The card as a page."""
    body = f"""<header><p class="eyebrow">isthmus card</p><h1>{escape(name)}</h1>
<p class="lead">All that stands here is evidence in the file, bound to policy <code>{artifact.policy_digest}</code>.</p></header>"""
    for title, parts in _sections(artifact):
        if title == CERTIFICATE:
            body += (
                f"<p class='note'>{escape(_made(artifact.evidence[CERTIFICATE]))}</p>{certificate_sections(artifact.evidence[CERTIFICATE])}"
            )
            continue
        body += section(title.capitalize(), "".join(map(_html, parts)))
    return document(f"isthmus card: {name}", body)


def _html(part: str | Table) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    title = f'<p class="note">{escape(part.title)}</p>' if part.title else ""
    return f'<div class="card scroll">{title}{table(part.columns, part.rows)}</div>' if part.rows else ""


def _markdown_table(shown: Table) -> list[str]:
    if not shown.rows:
        return []
    rows = [[_plain(str(cell)).replace("|", "\\|") for cell in row] for row in shown.rows]
    title = [f"{_plain(shown.title)}:", ""] if shown.title else []
    return [*title, "| " + " | ".join(shown.columns) + " |", "|---" * len(shown.columns) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _plain(text: str) -> str:
    """What a file says is text, on one line, and no markup of its own."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")


def _sections(artifact: Artifact) -> Iterator[tuple[str, list[str | Table]]]:
    """Headings, and sentences and tables below them."""
    yield "what it is", [_identity(artifact)]
    yield "ladder of evidence", [ladder_table(artifact)]
    told = {name for name in (PARITY, *map(run_evidence, LADDER)) if name in artifact.evidence}
    told |= {name for name, data in artifact.evidence.items() if name == CERTIFICATE and is_certificate(data)}
    scores = {name: data for name, data in artifact.evidence.items() if name not in told and isinstance(data, Mapping)}
    if evaluations := {name: data for name, data in scores.items() if isinstance(data.get("return"), Mapping) and "episodes" in data}:
        yield "evaluations", [_evaluations(evaluations), *_commands(evaluations)]
    if curves := {name: data for name, data in scores.items() if is_curve(data.get("curve"))}:
        yield "decision frequencies", [*(curve_table(data["curve"], name) for name, data in curves.items()), *_commands(curves)]
    if CERTIFICATE in told:
        yield CERTIFICATE, [*certificate_report(artifact.evidence[CERTIFICATE]), _made(artifact.evidence[CERTIFICATE])]
    if parity := artifact.evidence.get(PARITY):
        sentence = f"graph and trained network differ by at most {parity['difference']:.1e} of an action's range in {parity['samples']} observations"
        yield "export parity", [f"{sentence}; allowed are {parity['allowed']:.1e}"]
    if runs := {rung: artifact.evidence[run_evidence(rung)] for rung in LADDER if run_evidence(rung) in artifact.evidence}:
        yield "runs on the robot", [_runs(runs), *_commands(runs)]
    if other := [name for name in artifact.evidence if name not in told and name not in evaluations and name not in curves]:
        yield "other evidence", [f"{', '.join(other)}; see isthmus inspect"]


def _identity(artifact: Artifact) -> Table:
    contract = artifact.contract
    rows = [
        ("task", contract.task),
        ("robot", contract.robot or "none"),
        ("kind", artifact.kind),
        ("commands", f"{contract.mode}, every {contract.control_period:g} s, {contract.horizon} action(s) per decision"),
        ("policy digest", artifact.policy_digest),
        ("contract digest", contract.digest()),
        ("commit", artifact.git or "unknown"),
    ]
    rows += [(f"training: {name}", str(value)) for name, value in artifact.training.items() if isinstance(value, str | int | float)]
    return Table("", ("what", "value"), rows)


def _evaluations(found: Mapping[str, Any]) -> Table:
    rows = []
    for name, data in found.items():
        success, returns = data.get("success"), data["return"]
        rate = interval_text(success["rate"], success, "{:.2f}") if success else "–"
        motion = data.get("motion") or {}
        told = (motion_text(motion, "clamped"), motion_text(motion, "reversals_per_second"))
        rows.append((name, data["episodes"], data.get("seed", ""), rate, interval_text(returns["mean"], returns, "{:.1f}"), *told))
    columns = ("evidence", "n", "first seed", "success", "return", "clamped", "reversals, 1/s")
    return Table("with 95 % intervals", columns, rows)


def _runs(found: Mapping[str, Any]) -> Table:
    rows = [
        (rung, data["robot"], data["runs"], interval_text(data["stopped"]["rate"], data["stopped"], "{:.2f}"), data["missing"] or "nothing")
        for rung, data in found.items()
    ]
    return Table("with 95 % intervals", ("rung", "robot", "runs", "share stopped", "evidence that was missing then"), rows)


def _commands(found: Mapping[str, Any]) -> Report:
    for name, data in found.items():
        yield f"{name}: {_made(data)}"


def _made(data: Mapping[str, Any]) -> str:
    """The command that made a figure."""
    made = data.get("made")
    if not isinstance(made, Mapping):
        return "which command made it is not written down"
    return f"{made.get('command', 'unknown command')} (commit {made.get('commit') or 'unknown'}, {made.get('date', 'no date')})"
