"""The page of commands: what `--help` says, as tables."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from unittest import mock

from figures import table

from isthmus_cli.main import main

_COMMANDS = (
    "train sac",
    "train dsac-t",
    "train srl",
    "train drqv2",
    "train drm",
    "train mentor",
    "train ppo",
    "train bc",
    "train npc",
    "train asid",
    "sweep",
    "zoo",
    "mpc",
    "script",
    "eval",
    "compare",
    "certify",
    "climb",
    "card",
    "asid",
    "identify",
    "identify design",
    "calibrations",
    "gap",
    "replay",
    "motions",
    "view",
    "deploy",
    "faults",
    "inspect",
    "doctor",
    "tasks",
    "robots",
    "robots import",
    "new",
    "plants",
    "demo",
)
_ONE_COLUMN = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}  # beyond 130 it sets groups of arguments side by side
_NOTHING = ("", "None", "False")


def commands_page(note: str) -> str:
    """Markdown of the page, below a note."""
    lines = [
        note + "# Commands\n",
        "Exit codes: 0 success, 1 the command found something wrong, 2 a user error (one sentence), 130 after Ctrl-C or SIGTERM. "
        "An option without a default is off, or what its line says; `isthmus COMMAND --help` prints the same.\n",
    ]
    for command in _COMMANDS:
        told = io.StringIO()
        with mock.patch.dict(os.environ, _ONE_COLUMN), contextlib.redirect_stdout(told):  # without boxes, as it has no encoding
            if main([*command.split(), "--help"]):
                raise RuntimeError(f"isthmus {command} --help failed")
        lines += [f"## isthmus {command}\n", *_section(told.getvalue())]
    return "\n".join(lines)


def _section(text: str) -> Iterator[str]:
    """What one command says of itself: usage, sentences, then a table for each group of arguments."""
    usage, _, rest = text.strip().partition("\n\n")
    yield f"```text\n{usage}\n```\n"
    listed = [line.rstrip() for line in rest.splitlines()]
    first = next((place for place in range(len(listed)) if _is_title(listed, place)), len(listed))
    yield from (f"{paragraph}\n" for paragraph in "\n".join(listed[:first]).strip().split("\n\n") if paragraph)
    rows: list[list[str]] = []
    for place in range(first, len(listed)):
        line = listed[place]
        if _is_rule(line) or not line.strip() or _is_title(listed, place):
            continue
        if not line.startswith("   "):
            name, _, meaning = line.strip().partition("  ")
            rows.append([name, meaning.strip()])
        else:
            rows[-1][1] = f"{rows[-1][1]} {line.strip()}".strip()
    yield "\n".join(table(("argument", "meaning", "default"), [_cells(*row) for row in rows if not row[0].startswith("-h")])) + "\n"


def _is_rule(line: str) -> bool:
    return bool(line.strip()) and set(line.strip()) <= {"-"}


def _is_title(lines: list[str], place: int) -> bool:
    """Whether a line is the title of a group, or a sentence about it: a rule follows."""
    return place + 1 < len(lines) and not _is_rule(lines[place]) and _is_rule(lines[place + 1])


def _cells(name: str, meaning: str) -> tuple[str, str, str]:
    found = re.search(r"\s*\((?:default: ([^()]*(?:\([^()]*\)[^()]*)*)|(required))\)$", meaning)
    default = (found[2] or found[1] or "") if found else ""
    said = meaning[: found.start()] if found else meaning
    shown = "" if default in _NOTHING else f"`{default}`" if default != "required" else default
    names = " ".join(f"`{part}`" for part in name.split(" ", 1))  # a line may break between an option and its value
    return names.replace("|", "\\|"), said.replace("|", "\\|"), shown.replace("|", "\\|")
