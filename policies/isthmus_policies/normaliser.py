"""Mean and deviation of features, counted as they come, and applied in the graph that is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Normaliser"]

_LEAST = 1e-2  # of a deviation: a feature that hardly moves is not blown up
_MOST = 10.0  # deviations


class Normaliser(nn.Module):
    """(x − mean) / deviation, within ±10; before anything was counted x itself.

    Attributes:
        mean: `[F]`.
        square: mean squared distance from it, `[F]`.
        count: of what was counted.
    """

    mean: Tensor
    square: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        """Begin with nothing of F = `size` features."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("square", torch.ones(size))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """`[…, F]`."""
        return ((features - self.mean) / self.square.sqrt().clamp(min=_LEAST)).clamp(-_MOST, _MOST)

    @torch.no_grad()
    def include(self, features: Tensor) -> None:
        """Count more, `[N, F]`, as if all had come at once (Chan et al. 1979)."""
        own, fresh = self.count, float(len(features))
        mean, square = features.mean(dim=0), features.var(dim=0, correction=0)
        share = fresh / (own + fresh)
        away = mean - self.mean
        self.square.copy_(torch.where(own > 0, (1 - share) * self.square + share * square + share * (1 - share) * away.square(), square))
        self.mean.add_(share * away)
        self.count.add_(fresh)
