"""Tables of figures on the pages: each is made from a file of `docs/results`, between two comments, and from nothing else.

    <!-- figures: NAME -->
    …
    <!-- end of figures -->

`docs/tables.py` says once what each of them shows.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_evidence.results import Results

Row = Mapping[str, Any]
_BEGIN = "<!-- figures: "
_BLOCK = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_CHANGED = "+changes"
UNMEASURED = "*Not measured yet:*"
"""Stands in the place of a table that has no file, whatever stood there."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table shows.

    Attributes:
        file: in `docs/results`, without its ending.
        command: that measures it.
        lines: Markdown of the table, from the rows of the file; none where they have nothing for it.
    """

    file: str
    command: str
    lines: Callable[[list[Row]], list[str]]


def filled(page: Path, tables: Mapping[str, Table], folder: Path) -> tuple[str, list[str]]:
    """The text of a page with its tables made anew, and what is wrong with them."""
    text, problems = page.read_text(encoding="utf-8"), []

    def block(found: re.Match[str]) -> str:
        name = found[2]
        if _BEGIN in found[0][len(_BEGIN) :]:
            problems.append(f"{page.name}: the end of table {name!r} is missing")
            return found[0]
        if name not in tables:
            problems.append(f"{page.name}: unknown table {name!r}")
            return found[0]
        table = tables[name]
        results = Results(folder / f"{table.file}.json")
        lines = table.lines(list(results.rows.values())) if results.rows else []
        if not lines:
            lines = [f"{UNMEASURED} `{table.command}`"]
        else:
            lines = [*lines, "", _source(results, table.command, os.path.relpath(results.file, page.parent))]
        return f"{found[1]}\n" + "\n".join(lines) + f"\n\n{found[3]}"

    fresh = _BLOCK.sub(block, text)
    if text.count(_BEGIN) > len(_BLOCK.findall(text)):
        problems.append(f"{page.name}: the end of a table is missing")
    return fresh, list(dict.fromkeys(problems))


def _source(results: Results, command: str, link: str) -> str:
    """Who measured, in one line."""
    used = sorted({row["made"] for row in results.rows.values()})
    commits = dict.fromkeys(results.made[index]["commit"][:12] or "unknown" for index in used)
    days = sorted({results.made[index]["date"][:10] for index in used})
    processors = dict.fromkeys(results.made[index]["machine"]["processors"] for index in used)
    when = " … ".join(dict.fromkeys((days[0], days[-1])))
    return f"`{command}`: [{link.rpartition('/')[2]}]({link}), commit {', '.join(commits)}, {when}, {'; '.join(processors)}."


def old_rows(file: Path, changes: Path) -> list[str]:
    """Why rows of a file do not belong on a page: unknown words, code that no commit has, or a change of what they measure."""
    results, known = Results(file), strict.load_yaml(changes)
    found: dict[str, list[str]] = {}
    for key, row in results.rows.items():
        for reason in _reasons(row, results.made[row["made"]], known, file.parent):
            found.setdefault(reason, []).append(key)
    return [f"{file.name}: {keys[0]!r}{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}: {reason}" for reason, keys in found.items()]


def _reasons(row: Row, made: Mapping[str, Any], known: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for word in sorted({*row["concerns"]} - {*known["concerns"]}):
        yield f"concerns {word!r}, which no list of changes names"
    if row.get("trial"):
        yield "a trial of the script, and no figure"
    commits = {"measured": made["commit"]}
    if row.get("policy"):
        commits["of a policy that was trained"] = row["policy"]["commit"]
    for what, commit in commits.items():
        if commit.endswith(_CHANGED):
            yield f"{what} by code that no commit has"
        for change in known["changes"]:
            if {*change["concerns"]} & {*row["concerns"]} and not _contains(commit.removesuffix(_CHANGED), made["date"], change, folder):
                yield f"{what} before {change['date']}: {change['what']}"


def _contains(commit: str, date: str, change: Mapping[str, Any], folder: Path) -> bool:
    """Whether code of a commit, or where that is not known of a date, has a change."""
    known = _ancestor(change["commit"], commit, folder) if commit else None
    return date >= change["date"] if known is None else known


@functools.cache
def _ancestor(first: str, second: str, folder: Path) -> bool | None:
    """Whether the first commit is in the history of the second; None where there is no such history."""
    try:
        code = subprocess.run(
            ["git", "-C", folder, "merge-base", "--is-ancestor", first, second], capture_output=True, timeout=20
        ).returncode
    except (OSError, subprocess.SubprocessError):
        return None
    return {0: True, 1: False}.get(code)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Markdown of a table; none without rows."""
    if not rows:
        return []
    return [f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(f"| {' | '.join(map(str, row))} |" for row in rows)]


def number(value: float | None, digits: int = 2) -> str:
    """With a minus sign; nothing where there is no value."""
    return "" if value is None else f"{value:.{digits}f}".replace("-", "−")


def span(mean: float | None, low: float | None, high: float | None, digits: int = 2) -> str:
    """A value and its bounds."""
    return "" if mean is None else f"{number(mean, digits)} ({number(low, digits)} … {number(high, digits)})"
