"""Which training a folder holds: what must not differ between its beginning and its resumption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import write_whole
from isthmus_policies.learner import LearnerConfig

__all__ = ["check_resumable", "write_identity"]

_FILE = "config.json"
_LONGEST = 60  # characters of a value in a message


def write_identity(out: Path, algorithm: str, seed: int, config: LearnerConfig, notes: Mapping[str, Any], engine: str = "isthmus") -> None:
    """Write down in a folder which training it holds; `notes` is what else makes it that one, such as plant and randomisation, plain data."""
    write_whole(out / _FILE, strict.canonical_json(_identity(algorithm, seed, config, notes, engine)))


def check_resumable(out: Path, algorithm: str, seed: int, config: LearnerConfig, notes: Mapping[str, Any]) -> None:
    """See that a folder holds the same training; `notes` as in `write_identity`.

    Raises:
        ValueError: it holds another one; the message names what differs.
    """
    there = strict.load_json((out / _FILE).read_bytes(), str(out / _FILE))
    here = strict.load_json(strict.canonical_json(_identity(algorithm, seed, config, notes, "isthmus")), "the training")
    own, other = (
        {**{name: data[name] for name in ("algorithm", "engine", "seed")}, **data.get("notes", {}), **data["config"]}
        for data in (here, there)
    )
    if differing := list(_differing("", own, other)):
        raise ValueError(f"{out} holds another training, which cannot be resumed with {', '.join(differing)}")


def _differing(prefix: str, own: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """What is not the same, down to the innermost keys that both have."""
    for name in {**own, **other}:
        here, there = own.get(name), other.get(name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            yield from _differing(f"{prefix}{name}.", here, there)
        elif here != there:
            yield f"{prefix}{name} {_short(here)} (there: {_short(there)})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _identity(algorithm: str, seed: int, config: LearnerConfig, notes: Mapping[str, Any], engine: str) -> dict[str, Any]:
    return {"algorithm": algorithm, "engine": engine, "seed": seed, "notes": dict(notes), "config": strict.encode(config)}
