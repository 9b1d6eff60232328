"""What a training writes down as it goes: JSON lines for programs, TensorBoard for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from isthmus.files import named, write_whole

__all__ = ["Journal"]


class Journal:
    """Evaluations in `metrics.jsonl`, the course of the training in `training.jsonl`, both also in `tensorboard/`.

    A resumed training continues the files; what was written after its checkpoint is dropped.
    """

    def __init__(self, out: Path, step: int = 0) -> None:
        """Open.

        Args:
            out: folder of the training.
            step: control periods done; 0 begins anew.
        """
        self._files = {"eval": out / "metrics.jsonl", "train": out / "training.jsonl"}
        for file in self._files.values():
            _keep_until(file, step)
        self._folder = out / "tensorboard"
        self._board = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)
        self._losses: list[Mapping[str, float]] = []

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """One row.

        Args:
            group: "eval" or "train".
            step: control periods done.
            values: by name.
        """
        with named(self._files[group]), self._files[group].open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
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

    def close(self) -> None:
        """Flush."""
        with named(self._folder):
            self._board.close()


def _keep_until(file: Path, step: int) -> None:
    """Drop the rows after a step, and a last one that was not written to its end."""
    kept = []
    for line in file.read_text().splitlines() if step and file.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if row["step"] <= step:
            kept.append(line + "\n")
    write_whole(file, "".join(kept).encode())
