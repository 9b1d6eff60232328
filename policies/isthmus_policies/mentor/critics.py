"""The critics, two heads on one trunk, and the exploitation value of DrM (arXiv 2310.19668)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus_policies.mentor.actor import Trunk
from isthmus_policies.mentor.encoder import PixelEncoder
from isthmus_policies.networks import TwinMlp, mlp

__all__ = ["Critic", "Value", "expectile_loss"]


class Critic(nn.Module):
    """Q of codes and actions, twice."""

    def __init__(self, encoder: PixelEncoder, actions: int, features: int, hidden: int) -> None:
        super().__init__()
        self.trunk = Trunk(encoder, features)
        self.heads = TwinMlp((self.trunk.size + actions, hidden, hidden, 1))

    def forward(self, codes: Tensor, action: Tensor) -> Tensor:
        """Both values `[2, B]` of codes `[B, E + P]` and actions `[B, A]`."""
        return self.heads(torch.cat([self.trunk(codes), action], dim=1))[..., 0]


class Value(nn.Module):
    """V of codes: what the best of the actions in the replay are worth."""

    def __init__(self, encoder: PixelEncoder, features: int, hidden: int) -> None:
        super().__init__()
        self.trunk = Trunk(encoder, features)
        self.head = mlp((self.trunk.size, hidden, hidden, 1))

    def forward(self, codes: Tensor) -> Tensor:
        """Values `[B]` of codes `[B, E + P]`."""
        return self.head(self.trunk(codes))[:, 0]


def expectile_loss(above: Tensor, expectile: float) -> Tensor:
    """E[w(u) u²] of u = V − q, `[B]`, with w = 1 − κ where u > 0 and κ elsewhere."""
    return (torch.where(above > 0, 1 - expectile, expectile) * above.square()).mean()
