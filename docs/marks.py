"""Search the built site for marks that should have become something else: snippets, outside of code admonitions, directives, templates, fences.

`python docs/marks.py site` names each page with such text, and fails if there is one. mkdocs does not see them: to it they are text.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

_SNIPPET = re.compile(r"-+8\s*<\s*-+")  # in code too, where snippets belong, and where a formatter may have spread them
_MARKS = re.compile(r"^\s*!!!|^\s*\?\?\?|^\s*:::|```|~~~|\{\{|\{%|\]\([^)\s]|<!--", re.MULTILINE)
_CODE = {"code", "pre"}
_UNSEEN = {"script", "style", "svg"}
_AROUND = 30  # characters shown on both sides


class _Text(HTMLParser):
    """Collects what a reader sees, all of it and outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.plain: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _CODE | _UNSEEN:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if not _UNSEEN & {*self._inside}:
            self.seen.append(data)
            self.plain.append(" " if self._inside else data)


def marks(html: str) -> list[str]:
    """Marks in the text of a page, each with what stands around it."""
    reader = _Text()
    reader.feed(html)
    found = []
    for text, pattern in (("".join(reader.seen), _SNIPPET), ("".join(reader.plain), _MARKS)):
        found += [" ".join(text[max(hit.start() - _AROUND, 0) : hit.end() + _AROUND].split()) for hit in pattern.finditer(text)]
    return found


def main() -> int:
    pages = sorted(Path(sys.argv[1]).rglob("*.html"))
    found = [f"{page}: … {mark} …" for page in pages for mark in marks(page.read_text(encoding="utf-8"))]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found) or not pages)


if __name__ == "__main__":
    sys.exit(main())
