"""What a report for a terminal is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Report", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; nothing is shown if there is no row.

    Attributes:
        title: above it, "" for none.
        columns: headings.
        rows: as many cells each.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


Report = Iterator[str | Table]
"""Sentences, one line each, and tables."""
