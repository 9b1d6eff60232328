"""The few pieces of HTML that reports are made of, and the page around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

__all__ = ["document", "facts", "figure", "missing", "section", "table"]


def document(title: str, body: str) -> str:
    """The whole page, which needs nothing from outside; `body` is HTML."""
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(title), body=body)


def figure(caption: str, chart: str) -> str:
    """A chart with its caption; both are HTML."""
    return f'<div class="card"><figure><figcaption>{caption}</figcaption>{chart}</figure></div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """What is known by name, in a card; long values are broken."""
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f'<div class="card"><table class="facts"><tbody>{body}</tbody></table></div>'


def section(title: str, content: str) -> str:
    """A section of the page; `content` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def missing(sentence: str) -> str:
    """What stands where there is nothing to show."""
    return f'<p class="missing">{escape(sentence)}</p>'


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = (), *, raw: bool = False) -> str:
    """A table; cells are escaped unless `raw` says that they are HTML; columns in `numbers` are right-aligned."""
    right = set(numbers)
    show = str if raw else lambda cell: escape(str(cell))
    kinds = [' class="number"' if index in right else "" for index in range(len(heads))]
    head = "".join(f"<th{kind}>{show(cell)}</th>" for kind, cell in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{show(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
