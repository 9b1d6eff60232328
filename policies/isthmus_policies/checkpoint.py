"""Checkpoints: one file per moment with everything that a training needs to go on as if nothing had happened.

A file is data: tensors by name (safetensors) and plain JSON, with the SHA-256 of both. It appears whole or not at all, and the newest few are kept.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from isthmus import strict
from isthmus.files import whole_file

__all__ = ["KEPT", "checkpoint_step", "load_checkpoint", "newest_checkpoint", "save_checkpoint", "write_tensors"]

KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint, and remove all but the newest `KEPT`.

    Args:
        folder: created if missing.
        step: control periods done; names the file.
        tensors: by name.
        state: plain data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{step:09d}.safetensors"
    write_tensors(path, tensors, state)
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def write_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and plain data into one file, which appears whole or not at all; see `save_checkpoint`.

    Raises:
        OSError: it cannot be written; names the file.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = strict.canonical_json(state).decode()
    with whole_file(path) as partial:
        try:
            save_file(whole, partial, metadata={"state": text, "sha256": _digest(whole, text)})
        except SafetensorError as error:  # its own, for a full disk too
            found = re.search(r"os error (\d+)", str(error))
            if found is None:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest file in a folder of checkpoints; None if there is none."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def checkpoint_step(path: Path) -> int:
    """Control periods after which a checkpoint was taken, as its name says."""
    return int(path.stem.partition("_")[2])


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and state.

    Raises:
        ValueError: the file is not what was written; the message names it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is not a mapping
    except Exception as error:  # safetensors' errors have no common class
        raise ValueError(f"checkpoint {path} cannot be read: {error}; remove it to continue from the one before") from None
    text = metadata.get("state", "")
    if metadata.get("sha256") != _digest(tensors, text):
        raise ValueError(f"checkpoint {path} is damaged: its SHA-256 is not the one it names; remove it to continue from the one before")
    state: dict[str, Any] = strict.load_json(text, f"checkpoint {path}")
    return tensors, state


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step_*.safetensors"))


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).numpy().data)
    return digest.hexdigest()
