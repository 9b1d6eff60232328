"""Which training a folder holds: what must not differ between its beginning and its resumption."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import write_whole
from isthmus_policies.checkpoint import checkpoint_step, newest_checkpoint
from isthmus_policies.learner import LearnerConfig

__all__ = ["check_resumable", "clear_training", "holds_checkpoint", "holds_training", "steps_done", "write_identity"]

_FILE = "config.json"
_CHECKPOINTS = "checkpoints"
_WRITTEN = (
    *(_CHECKPOINTS, "tensorboard", "videos", "explosions"),
    *("policy.isthmus", "last.isthmus", "metrics.jsonl", "training.jsonl", "diverged_*.safetensors", _FILE),
)
_LONGEST = 60  # characters of a value in a message


def write_identity(out: Path, algorithm: str, seed: int, config: LearnerConfig, notes: Mapping[str, Any], engine: str = "isthmus") -> None:
    """Write down in a folder which training it holds; `notes` is what else makes it that one, such as plant and randomisation, plain data."""
    write_whole(out / _FILE, strict.canonical_json(_identity(algorithm, seed, config, notes, engine)))


def holds_training(out: Path) -> bool:
    """Whether a folder holds a training, finished or not."""
    return (out / _FILE).is_file()


def holds_checkpoint(out: Path) -> bool:
    """Whether a folder holds a training that can go on."""
    return holds_training(out) and newest_checkpoint(out / _CHECKPOINTS) is not None


def steps_done(out: Path) -> int:
    """Control periods after which the newest checkpoint of a folder was taken; 0 without any."""
    newest = newest_checkpoint(out / _CHECKPOINTS)
    return checkpoint_step(newest) if newest else 0


def clear_training(out: Path) -> None:
    """Remove what a training wrote into a folder, and nothing else; nothing from a folder that holds none."""
    if not holds_training(out):
        return
    for path in [path for name in _WRITTEN for path in out.glob(name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def check_resumable(out: Path, algorithm: str, seed: int, config: LearnerConfig, notes: Mapping[str, Any]) -> None:
    """See that a folder holds the same training, or one of fewer steps, which then goes on for longer; `notes` as in `write_identity`.

    Raises:
        ValueError: it holds another one; the message names what differs.
    """
    there = strict.load_json((out / _FILE).read_bytes(), str(out / _FILE))
    here = strict.load_json(strict.canonical_json(_identity(algorithm, seed, config, notes, "isthmus")), "the training")
    own, other = (
        {**{name: data[name] for name in ("algorithm", "engine", "seed")}, **data.get("notes", {}), **data["config"]}
        for data in (here, there)
    )
    if own["steps"] > other["steps"]:
        other = {**other, "steps": own["steps"]}
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
