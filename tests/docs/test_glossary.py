"""Words of our own are linked where a reader meets them first on a page, and the glossary has them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = ("waist", "rung", "plant", "row")
# Where a row is a line of a table, and where a page is made from docstrings or parameters.
OTHER = {"safety.md", "zoo.md", "evidence.md", "deploy.md"}
PAGES = [
    path
    for folder in ("tutorial", "how-to", "explanation")
    for path in sorted((ROOT / "docs" / folder).glob("*.md"))
    if path.name not in OTHER
]


def prose(text):
    """Without code and headings; what is linked already is marked by its entry."""
    text = re.sub(r"```.*?```|`[^`\n]*`|^#.*?$", " ", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\[[^\]]*\]\([^)#]*glossary\.md#([\w-]+)\)", r"<\1>", text)


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs" / "index.md", *PAGES], ids=lambda path: path.name)
def test_a_word_of_our_own_is_linked_where_it_stands_first(path):
    text = prose(path.read_text(encoding="utf-8"))
    for word in WORDS:
        if first := re.search(rf"\b{word}s?\b", text, re.IGNORECASE):
            assert text[first.start() - 1] == "<", f"{word} in: {text[max(first.start() - 60, 0) : first.end() + 30]}"


def test_every_link_to_the_glossary_meets_an_entry():
    entries = {re.sub(r"[^\w]+", "-", heading.lower()) for heading in re.findall(r"^## (.*)$", GLOSSARY, re.MULTILINE)}
    linked = set()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        linked |= set(re.findall(r"glossary\.md#([\w-]+)", path.read_text(encoding="utf-8")))
    assert linked >= set(WORDS)
    assert linked <= entries
