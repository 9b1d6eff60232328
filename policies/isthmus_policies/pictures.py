"""The pictures of a replay: every frame once, as uint8. The stacks that a policy sees are made where they are drawn.

The older frames of a stack are those of earlier control periods of the same episode, and before its beginning the first one, as `ObservationBuilder`
has them. What is large lies in a file that is mapped into memory: the system keeps of it what it has room for.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from isthmus.records import Array
from isthmus.signals import Signal

__all__ = ["LARGE", "Pictures", "reach"]

LARGE = 10**9
"""Bytes of frames from which they lie in a file."""


def reach(signals: Sequence[Signal]) -> int:
    """Control periods that the oldest frame of a stack is older than the newest."""
    return max((signal.stride * (signal.history - 1) for signal in signals), default=0)


class Pictures:
    """Frames of the image signals, in the slots of a replay's rings.

    Attributes:
        frames: `[capacity, H, W, C]` uint8 per signal.
        age: control periods from the beginning of its episode to the frame of each slot, `[capacity]`.
    """

    def __init__(self, signals: Sequence[Signal], rows: int, length: int, folder: Path | None = None) -> None:
        """Reserve the memory; the system hands it out as it is used.

        Args:
            signals: image signals.
            rows: number of rings.
            length: slots per ring.
            folder: for a file of the frames, if they are `LARGE`; it vanishes with the process. None means main memory.

        Raises:
            ValueError: there is more than the memory or the disk holds; the message says how many control periods it does hold.
        """
        self._signals, self._length = tuple(signals), length
        self._reach = reach(signals)
        self._mapped: list[mmap.mmap] = []
        shapes = {signal.name: (rows * length, *signal.shape) for signal in signals}
        needed = sum(int(np.prod(shape)) for shape in shapes.values())
        file_in = folder if needed > LARGE else None
        _check_room(needed, rows * length, file_in)
        self.frames = {
            name: self._in_file(shape, file_in) if file_in else torch.from_numpy(np.zeros(shape, dtype=np.uint8))
            for name, shape in shapes.items()
        }
        self.age = np.zeros(rows * length if self._reach else 0, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Memory when full, wherever it is."""
        return self.age.nbytes + sum(frames.numel() for frames in self.frames.values())

    def put(self, slots: Array, observation: Mapping[str, Array], age: Array) -> None:
        """Keep the newest frames.

        Args:
            slots: one per row, `[rows]`.
            observation: `[rows, history, H, W, C]` per signal.
            age: control periods since the beginning of each row's episode, `[rows]`.
        """
        if self._reach:
            self.age[slots] = age
        for name, frames in self.frames.items():
            frames[torch.from_numpy(slots)] = torch.from_numpy(np.ascontiguousarray(observation[name][:, -1]))

    def stacks(self, slots: Tensor) -> dict[str, Tensor]:
        """Stacks `[n, history, H, W, C]` per signal of slots `[n]`; those of `whole` slots are what was observed."""
        found = {}
        for signal in self._signals:
            back = torch.arange(signal.history - 1, -1, -1) * signal.stride
            local = slots % self._length
            first = slots - local
            if self._reach:
                back = torch.minimum(back[None], torch.from_numpy(self.age[slots.numpy()]).long()[:, None])
            at = first[:, None] + (local[:, None] - back) % self._length
            frames = self.frames[signal.name]
            found[signal.name] = frames.index_select(0, at.flatten()).view(len(slots), signal.history, *signal.shape)
        for mapped in self._mapped:
            mapped.madvise(mmap.MADV_DONTNEED)  # of the process; the system still has what was read
        return found

    def whole(self, slots: Array, at: Array, full: Array) -> Array:
        """Whether no frame of the stacks was overwritten, `[n]`.

        Args:
            slots: `[n]`.
            at: of the slot's ring, where it is written next, as a place in the ring, `[n]`.
            full: whether this ring was written all around, `[n]`.
        """
        if not self._reach:
            return np.ones(len(slots), dtype=bool)
        behind = (slots - at) % self._length  # the ring's length divides the first slot of a row
        return ~full | (behind > np.minimum(self._reach, self.age[slots]))

    def state(self) -> dict[str, Tensor]:
        """The live tensors by name, `[capacity, …]`."""
        ages = {"age": torch.from_numpy(self.age)} if self._reach else {}
        return {**ages, **{f"image_{name}": frames for name, frames in self.frames.items()}}

    def _in_file(self, shape: tuple[int, ...], folder: Path) -> Tensor:
        size = int(np.prod(shape))
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a disk that fills up later would end the process
            mapped = mmap.mmap(file.fileno(), size)
        mapped.madvise(mmap.MADV_RANDOM)
        self._mapped.append(mapped)
        return torch.frombuffer(mapped, dtype=torch.uint8).view(shape)


def _check_room(needed: int, periods: int, folder: Path | None) -> None:
    rooms = {"this machine has {} of memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        rooms[f"the disk of {folder} has {{}} left"] = shutil.disk_usage(folder).free
    for place, room in rooms.items():
        if needed > room:
            most = periods * room // (2 * needed)
            raise ValueError(
                f"the pictures of {periods} control periods need {_gigabytes(needed)}, and {place.format(_gigabytes(room))}; "
                f"remember fewer with --buffer-size {most}"
            )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
