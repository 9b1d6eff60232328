"""The page of a gap: pictures first, then causes and tables."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from isthmus.files import write_whole
from isthmus_evidence.files import write_json
from isthmus_evidence.gap.calibrate import unknown_parameters
from isthmus_evidence.gap.comparison import Gap
from isthmus_evidence.pictures.gaps import cause_chart, relation_chart, spectrum_chart, tracking_chart
from isthmus_evidence.provenance import provenance
from isthmus_evidence.reports import gap_report as words
from isthmus_evidence.reports.markup import document, facts, figure, missing, section, table

__all__ = ["gap_page", "write_gap"]


def write_gap(found: Gap, folder: Path, line: str = "") -> None:
    """Write `report.html`, `gap.json` and, where a cause is a parameter of the simulator, `unknown.yaml`; `line` as in `gap_page`."""
    write_whole(folder / "report.html", gap_page(found, provenance(), line))
    write_json(words.plain_gap(found), folder / "gap.json")
    if parameters := unknown_parameters(found.named):
        rows = "".join(f"  {name}: [{low:.4g}, {high:.4g}]\n" for name, (low, high) in parameters.items())
        write_whole(folder / "unknown.yaml", f"unknown:\n{rows}")


def gap_page(found: Gap, made: Mapping[str, Any], line: str = "") -> str:
    """HTML of one gap.

    Args:
        found: from `isthmus_evidence.gap.compare`.
        made: provenance of the process that compared.
        line: command that calibrates the simulator, "" if no cause is a parameter of it.
    """
    parts = (_opening(found), _pictures(found), _causes(found, line), _outcome(found), _signals(found), _made(found, made))
    return document("isthmus gap", "\n".join(parts))


def _opening(found: Gap) -> str:
    return f"""<header><p class="eyebrow">isthmus gap · {len(found.first)} and {len(found.second)} recordings</p>
<h1>Why they differ</h1><p class="lead">{escape(words.verdict(found))}.</p></header>"""


def _pictures(found: Gap) -> str:
    joint = _suspect(found)
    cards = []
    if found.causes:
        cards.append(
            figure("What explains the gap, on data that nothing was fitted to. Filled: named as a cause.", cause_chart(found.causes))
        )
    cards.append(
        figure(
            "Relations that hold whatever a policy does: how far the second set is off. At the dashed line it is not.",
            relation_chart(found.relations),
        )
    )
    name = escape(joint)
    mode = found.first[0].log.mode
    cards.append(
        figure(f"{name}: {'commands (steps) and ' if mode else ''}motion.", tracking_chart(found.first[0], found.second[0], joint))
    )
    cards.append(figure(f"{name}: spectrum of its position, (rad or m)²/Hz.", spectrum_chart(found.first, found.second, joint)))
    return section("At a glance", f'<div class="two">{"".join(cards)}</div>')


def _suspect(found: Gap) -> str:
    """The joint that differs most."""
    joints = found.first[0].log.joints
    size = {
        joint: max((channel.mean for name, channel in found.relations.items() if name.endswith(f" {joint}")), default=0.0)
        for joint in joints
    }
    return max(size, key=lambda joint: size[joint])


def _causes(found: Gap, line: str) -> str:
    if not found.causes:
        return section("Causes", missing("Nothing is to be explained."))
    shown = table(words.CAUSES, words.cause_rows(found), numbers=[1])
    speaks = [(cause.cause, name, f"{before:.3g}", f"{after:.2g}") for cause in found.named for name, before, after in cause.evidence]
    heads = ("cause", "what speaks for it", "error, multiples of the usual", "with the cause")
    evidence = f'<div class="card scroll">{table(heads, speaks, numbers=(2, 3))}</div>' if speaks else ""
    told = f'<p>This calibrates the simulator:</p><pre class="card">{escape(line)}</pre>' if line else ""
    return section("Causes", f'<div class="card scroll">{shown}</div>{evidence}{told}')


def _outcome(found: Gap) -> str:
    shown = table(("", "recordings", "return", "success"), words.outcome_rows(found), numbers=range(1, 4))
    ranks = f"<p>{escape(words.ranks_words(found.ranks))}.</p>" if found.ranks else ""
    return section("Outcome", f'<p class="note">95 % intervals.</p><div class="card scroll">{shown}</div>{ranks}')


def _signals(found: Gap) -> str:
    cadence = table(("", "period", "jitter", "longest", "repeated", "delay of tracking"), words.cadence_rows(found), numbers=range(1, 6))
    shown = table(words.SIGNALS, words.signal_rows(found), numbers=range(2, 7))
    return section("Cadence, ms", f'<div class="card scroll">{cadence}</div>') + section(
        "Signals", f'<div class="card scroll">{shown}</div>'
    )


def _made(found: Gap, made: Mapping[str, Any]) -> str:
    rows = [(name, str(made[name])) for name in ("command", "commit", "date") if made.get(name)]
    notes = "".join(missing(f"Not looked at: {remark}.") for remark in found.remarks)
    return section("How it was made", f"{facts(rows)}{notes}")
