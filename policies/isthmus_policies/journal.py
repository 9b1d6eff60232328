"""What a training writes down as it goes: JSON lines for programs, TensorBoard for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from isthmus.files import named, write_whole

__all__ = ["Journal", "written_steps"]

_EVALUATIONS, _COURSE = "metrics.jsonl", "training.jsonl"


class Journal:
    """Evaluations in `metrics.jsonl`, the course of the training in `training.jsonl`, both also in `tensorboard/`.

    A resumed training continues the files. What was written after its checkpoint stays until it comes to the same steps again.
    """

    def __init__(self, out: Path, step: int | None = None) -> None:
        """Open.

        Args:
            out: folder of the training.
            step: control periods done, of a training that is resumed; None begins anew.
        """
        self._files = {"eval": out / _EVALUATIONS, "train": out / _COURSE}
        self._newest = dict.fromkeys(self._files, step or 0)  # steps of the newest rows that are part of this training
        self._ahead = {group: _tidy(file, step is not None) > (step or 0) for group, file in self._files.items()}
        self._folder = out / "tensorboard"
        self._board = SummaryWriter(str(self._folder), purge_step=None if step is None else step + 1)
        self._losses: list[Mapping[str, float]] = []

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """One row.

        Args:
            group: "eval" or "train".
            step: control periods done.
            values: by name.
        """
        row = json.dumps({"step": step, **values})
        if self._ahead[group]:
            self._ahead[group] = _put(self._files[group], row, self._newest[group], step)
        else:
            with named(self._files[group]), self._files[group].open("a") as file:
                file.write(row + "\n")
        self._newest[group] = step
        with named(self._folder):
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def collect(self, losses: Mapping[str, float]) -> None:
        """Losses of one update, for the next `write_means`."""
        self._losses.append(losses)

    def write_means(self, step: int, values: Mapping[str, float]) -> None:
        """A row of group "train": the mean of each loss that was collected since the last one, and what else there is to tell."""
        names = {name for losses in self._losses for name in losses}
        means = {name: float(np.mean([losses[name] for losses in self._losses if name in losses])) for name in sorted(names)}
        self._losses.clear()
        self.write("train", step, {**means, **values})

    def close(self, finished: bool = False) -> None:
        """Flush; where the training has ended, without rows that an earlier part of it wrote later than that."""
        with named(self._folder):
            self._board.close()
        for group, file in self._files.items():
            if finished and self._ahead[group]:
                write_whole(file, _text(row for row in _rows(file) if row["step"] <= self._newest[group]))


def written_steps(out: Path) -> int:
    """Control periods up to which the files of a folder tell; 0 without any."""
    return max((int(row["step"]) for name in (_EVALUATIONS, _COURSE) for row in _rows(out / name)), default=0)


def _tidy(file: Path, keep: bool) -> int:
    """Begin a file anew or keep its whole rows; the step of the last one, 0 if there is none."""
    rows = _rows(file) if keep else []
    write_whole(file, _text(rows))
    return int(rows[-1]["step"]) if rows else 0


def _put(file: Path, new: str, newest: int, step: int) -> bool:
    """Write a row in place of those after step `newest`, up to `step`; whether there are later ones."""
    rows = _rows(file)
    later = [row for row in rows if row["step"] > step]
    write_whole(file, _text([*(row for row in rows if row["step"] <= newest), json.loads(new), *later]))
    return bool(later)


def _rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, without a last one that was not written to its end."""
    rows = []
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def _text(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
