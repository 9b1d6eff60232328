"""What commands print: text and tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table as Grid

from isthmus_evidence import files
from isthmus_evidence.reports.table import Report, Table

__all__ = ["OUT", "complain", "made", "say", "show", "show_table", "write_json"]

Made = TypeVar("Made")

# Square brackets are shapes and extras here, not markup. A pipe has no width; 80 columns would cut tables.
OUT = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 160)
_ERRORS = Console(stderr=True, markup=False, highlight=False)


def _printable(text: str) -> str:
    """What a file says must not steer a terminal: control characters and their like are spelt out."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode() for letter in text)


def say(text: str) -> None:
    """Print one line to stdout, never wrapped."""
    OUT.print(_printable(text), soft_wrap=True)


def complain(text: str) -> None:
    """Print one line to stderr, never wrapped."""
    _ERRORS.print(_printable(" ".join(text.split())), soft_wrap=True)


def made(names: Iterable[str], make: Callable[[str], Made]) -> tuple[list[Made], int]:
    """Make one thing of each name, and complain of those of which that cannot be done: what is installed beside isthmus may be broken.

    Returns:
        the things, and the exit code: 1 if any could not be made.
    """
    things, code = [], 0
    for name in names:
        try:
            things.append(make(name))
        except ValueError as error:
            complain(f"isthmus: {error}")
            code = 1
    return things, code


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; nothing if it has no rows."""
    table = Grid(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(f"{cell:g}" if isinstance(cell, float) else _printable(str(cell)) for cell in row))
    if table.row_count:
        OUT.print(table)


def show(report: Report) -> None:
    """Print sentences and tables."""
    for part in report:
        if isinstance(part, Table):
            show_table(part.title, part.columns, part.rows)
        else:
            say(part)


def write_json(data: Any, path: Path | None = None) -> None:
    """Write plain data as JSON into a file; None or "-" is stdout. See `isthmus_evidence.files.write_json`.

    Raises:
        ValueError: a number is NaN.
        OSError: the file cannot be written.
    """
    if path is None or str(path) == "-":
        text = files.json_text(data)
        try:
            text.encode(OUT.encoding)
        except UnicodeEncodeError:  # JSON can say it in ASCII
            text = json.dumps(json.loads(text), indent=2)
        say(text)
    else:
        files.write_json(data, path)
