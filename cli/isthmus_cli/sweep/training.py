"""One training of a sweep, in whichever process and on whichever machine: an ordinary `isthmus train --resume` in a folder of its own."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.files import write_whole
from isthmus_cli.sweep.plan import SweepPlan
from isthmus_policies.learner import DivergedError

__all__ = ["Training", "locked", "result_of"]

_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Training:
    """One setting with one seed.

    Attributes:
        plan: the sweep.
        chosen: value per searched setting.
        seed: of the training.
        folder: for its results, absolute, and on a cluster the same on all machines.
    """

    plan: SweepPlan
    chosen: Mapping[str, Any]
    seed: int
    folder: str

    def run(self) -> dict[str, Any]:
        """Train from the newest checkpoint in the folder, or from the beginning.

        Returns:
            `return` and `success` of the evaluation whose policy was kept, or `failed`, why these settings have none; either is kept as
            result.json. Or `lost`, what else ended the training, which is not kept: another try may do better.

        Raises:
            KeyboardInterrupt: the training was interrupted.
            OSError: a file cannot be read or written, as other trainings would find, too.
            ImportError: this machine lacks a package, likewise.
        """
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        # When a driver was killed, the training that it had started may live on for a moment.
        with locked(folder / "lock", wait=True):
            if (found := result_of(folder)) is not None:
                return found
            try:
                command = self.plan.command(self.chosen, self.seed, folder)
            except ValueError as error:  # settings that do not fit each other
                return _kept(folder, {"failed": str(error)})
            try:
                if command.run():
                    raise KeyboardInterrupt
                return _kept(folder, _evaluation(folder))
            except DivergedError as error:
                return _kept(folder, {"failed": str(error)})
            except (OSError, ImportError):
                raise
            except Exception as error:  # whatever else PyTorch, an engine or a suite raises
                return {"lost": str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"}


def result_of(folder: Path) -> dict[str, Any] | None:
    """What came of a training; None if it is not finished."""
    path = folder / _RESULT
    found: dict[str, Any] | None = strict.load_json(path.read_bytes(), str(path)) if path.is_file() else None
    return found


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold a file's lock; it is let go when the process ends, however it ends.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def _kept(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    write_whole(folder / _RESULT, strict.canonical_json(result))
    return result


def _evaluation(folder: Path) -> dict[str, Any]:
    """That of policy.isthmus: the one that reached a target, or else the best."""
    steps = Artifact.load(folder / "policy.isthmus").training["steps"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    (kept,) = [row for row in rows if row["step"] == steps]
    return {"return": kept["return"], "success": kept.get("success"), "step": steps}
