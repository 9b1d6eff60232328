"""Every command of isthmus in a code block of a page can be typed: its options exist and their values can be read."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
BLOCK = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
HOLLOW = re.compile(r"…|\b[A-Z]+\b")  # a placeholder, such as POLICY or a seed S
OWN = ("hover", "arm-reach", "desk-reach")  # tasks that a page has its reader write


def commands():
    """Lines that begin with `isthmus`, each once, with the page that it was found on first."""
    found = {}
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip().startswith("isthmus ") and not HOLLOW.search(line.partition(" # ")[0]):
                    found.setdefault(tuple(shlex.split(line, comments=True)[1:]), page.name)
    return found


def test_what_stands_in_a_code_block_can_be_typed(monkeypatch):
    from isthmus_cli import dispatch

    wrong, heard = [], []
    monkeypatch.setattr(dispatch, "_perform", lambda command, prog, words: 0)
    monkeypatch.setattr(dispatch, "complain", heard.append)
    typed = commands()
    assert len(typed) > 90
    for words, page in typed.items():
        if dispatch.perform(list(words)) and not any(f"unknown task {name!r}" in heard[-1] for name in OWN):
            wrong.append(f"{page}: isthmus {shlex.join(words)}: {heard[-1]}")
    assert wrong == []
