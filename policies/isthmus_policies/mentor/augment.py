"""Random shifts of pictures, which keep a learner from fitting its replay (DrQ-v2, arXiv 2107.09645, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["shifted"]


def shifted(observation: Mapping[str, Tensor], offsets: Tensor, most: int) -> dict[str, Tensor]:
    """Each sample shifted by whole pixels, with its edges repeated; all frames and cameras of one sample alike.

    The paper interpolates on a grid that lies on the pixels, which gives the same picture.

    Args:
        observation: of which pictures, uint8 `[B, history, H, W, C]`, are shifted.
        offsets: down and right, 0 … 2 × most, `[B, 2]`; `most` leaves the picture where it is.
        most: pixels, at most.
    """
    return {name: _crops(values, offsets, most) if values.dtype == torch.uint8 else values for name, values in observation.items()}


def _crops(pictures: Tensor, offsets: Tensor, most: int) -> Tensor:
    height, width = pictures.shape[2:4]
    down, right = ((torch.arange(-most, side + most, device=pictures.device)).clamp(0, side - 1) for side in (height, width))
    padded = pictures.index_select(2, down).index_select(3, right)
    found = torch.empty_like(pictures)
    for sample, (top, left) in enumerate(offsets.tolist()):
        found[sample] = padded[sample, :, top : top + height, left : left + width]
    return found
