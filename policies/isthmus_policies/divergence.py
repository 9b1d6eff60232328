"""What is kept of a training whose losses are no longer finite, so that the cause can be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from isthmus_policies.checkpoint import write_tensors

__all__ = ["save_divergence"]


def save_divergence(
    path: Path, learner: Mapping[str, torch.Tensor], batches: Sequence[Mapping[str, torch.Tensor]], state: Mapping[str, Any]
) -> str:
    """Save networks and optimisers as they were before the update that failed, and the batches of that update.

    Args:
        path: file to write.
        learner: its tensors by name.
        batches: tensors by name; they become batch0.…, batch1.… .
        state: what else is known; plain data.

    Returns:
        a sentence on what is not finite, and where all of it is.
    """
    parts: dict[str, torch.Tensor] = {}
    culprits = []
    for number, batch in enumerate(batches):
        named = {f"batch{number}.{name}": values for name, values in batch.items()}
        parts |= named
        culprits += [name for name, values in named.items() if not torch.isfinite(values.float()).all()]
    write_tensors(path, {**learner, **parts}, state)
    found = (
        f"not finite in the batch: {', '.join(culprits)}" if culprits else "every number of the batch is finite, so the networks diverged"
    )
    return f"{found}. {path} holds networks and optimisers before that update, and the batch as batch0.…"
