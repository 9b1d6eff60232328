"""How many neurons of a network do nothing, as DrM (arXiv 2310.19668) and MENTOR (arXiv 2410.14972) measure it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["dormant_ratio"]

THRESHOLD = 0.025  # τ


@torch.no_grad()
def dormant_ratio(outputs: Sequence[Tensor]) -> float:
    """β, the share of neurons whose mean magnitude is at most τ times that of their layer.

    Of layers with a ReLU the output is what comes out of it. A layer that gives nothing but zeros is dormant as a whole.

    Args:
        outputs: of each layer, `[…, B, n]`; the axes before are layers of one kind.
    """
    magnitudes = [values.abs().mean(dim=-2) for values in outputs]
    dormant = sum(int((found <= THRESHOLD * found.mean(dim=-1, keepdim=True)).sum()) for found in magnitudes)
    return dormant / sum(found.numel() for found in magnitudes)
