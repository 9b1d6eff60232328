"""Which training a folder holds: what must not differ between its beginning and its resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_policies.checkpoint import write_file
from isthmus_policies.learner import LearnerConfig

__all__ = ["check_resumable", "write_identity"]

_FILE = "config.json"


def write_identity(out: Path, algorithm: str, seed: int, config: LearnerConfig, offline: str | None) -> None:
    """Write down in a folder which training it holds; `offline` is the identity of its recordings."""
    write_file(out / _FILE, strict.canonical_json(_identity(algorithm, seed, config, offline)))


def check_resumable(out: Path, algorithm: str, seed: int, config: LearnerConfig, offline: str | None = None) -> None:
    """See that a folder holds the same training; `offline` is the identity of its recordings.

    Raises:
        ValueError: it holds another one; the message names what differs.
    """
    there = strict.load_json((out / _FILE).read_bytes(), str(out / _FILE))
    here = strict.encode(_identity(algorithm, seed, config, offline))
    flat = [{**{name: data.get(name) for name in ("algorithm", "engine", "seed", "offline")}, **data["config"]} for data in (here, there)]
    if differing := [
        f"{name} {flat[0].get(name)!r} (there: {flat[1].get(name)!r})" for name in flat[0] if flat[0][name] != flat[1].get(name)
    ]:
        raise ValueError(f"{out} holds another training, which cannot be resumed with {', '.join(differing)}")


def _identity(algorithm: str, seed: int, config: LearnerConfig, offline: str | None) -> dict[str, Any]:
    return {"algorithm": algorithm, "engine": "isthmus", "seed": seed, "offline": offline, "config": strict.encode(config)}
