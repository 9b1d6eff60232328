"""Perturbation of weights: a part of them is replaced, by weights drawn anew or by a draw from past good agents.

θ ← α θ + (1 − α) φ, for all weights and biases but those of layer norms. DrM (arXiv 2310.19668) draws φ as networks begin, MENTOR (arXiv 2410.14972,
algorithm 1) from a Gaussian that was fitted to the agents of S_top, each weight by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from isthmus_policies.mentor.encoder import orthogonal
from isthmus_policies.soft import seeded

__all__ = ["TopAgents", "blend", "drawn_anew", "is_perturbed"]

_LEAST = 1e-7  # standard deviation


def is_perturbed(networks: Sequence[nn.Module]) -> Tensor:
    """Of each parameter of the networks, one after the other, whether a perturbation reaches it, `[P]` bool."""
    named = [pair for network in networks for pair in network.named_parameters()]
    return torch.cat([torch.full((parameter.numel(),), "norm" not in name) for name, parameter in named])


def drawn_anew(networks: Sequence[nn.Module], seed: int) -> Tensor:
    """Parameters as of networks that begin, `[P]`."""
    with seeded(seed):
        fresh = [copy.deepcopy(network) for network in networks]
        orthogonal(*fresh)
    return torch.cat([parameter.detach().flatten() for network in fresh for parameter in network.parameters()])


@torch.no_grad()
def blend(live: Sequence[Tensor], other: Tensor, kept: float, perturbed: Tensor) -> None:
    """θ ← α θ + (1 − α) φ, in place.

    Args:
        live: θ in parts, `[P]` all together.
        other: φ, `[P]`.
        kept: α.
        perturbed: what is to be changed, `[P]` bool.
    """
    at = 0
    for part in live:
        window = slice(at, at + len(part))
        at += len(part)
        mixed = kept * part + (1 - kept) * other[window].to(part.device)
        part.copy_(torch.where(perturbed[window].to(part.device), mixed, part))


class TopAgents:
    """S_top: the weights of the agents that earned most, with what their episodes earned, and a Gaussian over them.

    An agent stays until a better one takes its place. All are of one training: a mean over networks of different ones would mean nothing.

    Attributes:
        returns: what each earned.
    """

    def __init__(self, most: int, parameters: int) -> None:
        """Begin empty; the memory is handed out as it is used.

        Args:
            most: agents, M.
            parameters: of an agent, P.
        """
        self.returns: list[float] = []
        self._agents = torch.from_numpy(
            np.zeros((most, parameters), dtype=np.float32)
        )  # handed out when they are used, which torch's are not

    def offer(self, earned: float, weights: Callable[[], Sequence[Tensor]]) -> bool:
        """Remember an agent if there is room, or if it earned more than the worst that is remembered, which it replaces; whether it was.

        Args:
            earned: return of its episode.
            weights: gives its parameters in parts, `[P]` all together; they are copied.
        """
        if len(self.returns) < len(self._agents):
            place = len(self.returns)
            self.returns.append(earned)
        elif earned > min(self.returns):
            place = self.returns.index(min(self.returns))
            self.returns[place] = earned
        else:
            return False
        torch.cat([part.detach().cpu() for part in weights()], out=self._agents[place])
        return True

    def draw(self, generator: torch.Generator) -> Tensor:
        """φ, each parameter from the Gaussian of its own mean and unbiased standard deviation, `[P]`.

        Raises:
            ValueError: fewer than two agents have no spread.
        """
        known = self._agents[: len(self.returns)]
        if len(known) < 2:
            raise ValueError(f"a Gaussian needs two agents or more, got {len(known)}")
        std, mean = torch.std_mean(known, dim=0)
        return mean + std.clamp(min=_LEAST) * torch.randn(mean.shape, generator=generator)

    def state(self) -> dict[str, Tensor]:
        """What is remembered."""
        return {"returns": torch.tensor(self.returns, dtype=torch.float64), "agents": self._agents[: len(self.returns)]}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember what `state` told."""
        self.returns = state["returns"].tolist()
        self._agents[: len(self.returns)] = state["agents"]
