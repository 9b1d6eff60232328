"""Tables of figures on the pages: each is made from a file of `docs/results`, between two comments, and from nothing else.

    <!-- figures: NAME -->
    …
    <!-- end of figures -->

`docs/tables.py` says once what each of them shows. A table that was not measured leaves its place empty, and a sentence in the place `unmeasured` of
its page names it with the command that measures it.
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
_OPTIONS = re.compile(r" --| \S+\.isthmus")
_UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Table:
    """What a table shows.

    Attributes:
        file: in `docs/results`, without its ending.
        command: that measures it.
        what: what it shows, in the middle of a sentence.
        lines: Markdown of the table, from the rows of the file; none where they have nothing for it.
        introduction: Markdown that stands above it.
    """

    file: str
    command: str
    what: str
    lines: Callable[[list[Row]], list[str]]
    introduction: str = ""

    def markdown(self, results: Results, link: str) -> str:
        """With introduction and source; "" where nothing was measured."""
        lines = self.lines(list(results.rows.values())) if results.rows else []
        if not lines:
            return ""
        above = [self.introduction] if self.introduction else []
        return "\n".join([*above, *lines, "", _source(results, self.command, link)])


def filled(page: Path, tables: Mapping[str, Table], folder: Path) -> tuple[str, list[str]]:
    """The text of a page with its tables made anew, and what is wrong with them."""
    text = page.read_text(encoding="utf-8")
    names, problems = [found[2] for found in _BLOCK.finditer(text)], []
    made: dict[str, str] = {}
    for name in names:
        if name in tables:
            results = Results(folder / f"{tables[name].file}.json")
            made[name] = tables[name].markdown(results, os.path.relpath(results.file, page.parent))
        elif name != _UNMEASURED:
            problems.append(f"{page.name}: unknown table {name!r}")
    missing = [tables[name] for name, lines in made.items() if not lines]
    made[_UNMEASURED] = _unmeasured(missing)

    def block(found: re.Match[str]) -> str:
        if _BEGIN in found[0][len(_BEGIN) :]:
            problems.append(f"{page.name}: the end of table {found[2]!r} is missing")
            return found[0]
        lines = made.get(found[2])
        if lines is None:
            return found[0]
        return found[1] + (f"\n{lines}\n\n" if lines else "") + found[3]

    fresh = _BLOCK.sub(block, text)
    if text.count(_BEGIN) > len(names):
        problems.append(f"{page.name}: the end of a table is missing")
    if missing and _UNMEASURED not in names:
        problems.append(f"{page.name}: not measured, and no place {_UNMEASURED!r} says so: {missing[0].what}")
    return fresh, list(dict.fromkeys(problems))


def _unmeasured(missing: Sequence[Table]) -> str:
    """One sentence with each command once, without its options; "" where nothing is missing."""
    by_command: dict[str, list[str]] = {}
    for table in missing:
        by_command.setdefault(_OPTIONS.split(table.command)[0], []).append(table.what)
    told = "; ".join(f"{' and '.join(what)} (`{command}`)" for command, what in by_command.items())
    return f"Not measured with today's code: {told}." if told else ""


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
