"""The actor, and the trunk that each network has of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus_policies.actions import ActionRange
from isthmus_policies.mentor.encoder import PixelEncoder
from isthmus_policies.mentor.experts import MixtureOfExperts, Routing

__all__ = ["Actor", "PixelPolicy", "Trunk"]


class Trunk(nn.Module):
    """Compresses what the convolutions give: linear, layer norm, tanh. The numbers beside it pass.

    Attributes:
        pixels: numbers that the convolutions give, E.
        size: width of what comes out, F.
    """

    def __init__(self, encoder: PixelEncoder, features: int) -> None:
        super().__init__()
        self.pixels = encoder.pixels
        self.linear, self.norm = nn.Linear(encoder.pixels, features), nn.LayerNorm(features)
        self.size = features + encoder.numbers

    def forward(self, codes: Tensor) -> Tensor:
        """Features `[…, F]` of codes `[…, E + P]`."""
        return self.finish(self.linear(codes[..., : self.pixels]), codes)

    def finish(self, compressed: Tensor, codes: Tensor) -> Tensor:
        """The same, after the linear layer."""
        return torch.cat([torch.tanh(self.norm(compressed)), codes[..., self.pixels :]], dim=-1)


class Actor(nn.Module):
    """Codes → mean action in [−1, 1], by two hidden layers, of which the second may be one of experts."""

    def __init__(self, encoder: PixelEncoder, actions: int, features: int, hidden: int, middle: nn.Linear | MixtureOfExperts) -> None:
        super().__init__()
        self.trunk = Trunk(encoder, features)
        self.first, self.middle, self.last = nn.Linear(self.trunk.size, hidden), middle, nn.Linear(hidden, actions)

    def forward(self, codes: Tensor) -> Tensor:
        """Mean actions `[…, A]` of codes `[…, E + P]`."""
        return self.decide(codes.flatten(0, -2))[0].unflatten(0, codes.shape[:-1])

    def decide(self, codes: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Routing | None]:
        """Mean actions `[B, A]`, and which experts gave them.

        Args:
            codes: `[B, E + P]`.
            kept: see `MixtureOfExperts.route`.
        """
        values = self._hidden(codes)
        if isinstance(self.middle, nn.Linear):
            return self._last(self.middle(values)), None
        routing = self.middle.route(values, kept)
        return self._last(self.middle(values, routing)), routing

    def dense(self, codes: Tensor) -> Tensor:
        """The same mean actions `[B, A]` in operators that can be exported."""
        values = self._hidden(codes)
        if isinstance(self.middle, nn.Linear):
            return self._last(self.middle(values))
        return self._last(self.middle.dense(values, self.middle.route(values)))

    def margin(self, codes: Tensor) -> Tensor:
        """By how much the logit of the last chosen expert is above that of the first that was not, `[B]`; ∞ where all or none are chosen from."""
        routing = None if isinstance(self.middle, nn.Linear) else self.middle.route(self._hidden(codes))
        if routing is None or routing.chosen.shape == routing.logits.shape:
            return torch.full(codes.shape[:1], torch.inf)
        active = routing.chosen.shape[1]
        return -torch.topk(routing.logits, active + 1, dim=1).values.diff(dim=1)[:, -1]

    @torch.no_grad()
    def outputs(self, codes: Tensor) -> list[Tensor]:
        """What each linear layer gives, `[…, B, n]`, after its ReLU where it has one: the neurons whose dormancy counts."""
        compressed = self.trunk.linear(codes[:, : self.trunk.pixels])
        values = torch.relu(self.first(self.trunk.finish(compressed, codes)))
        if isinstance(self.middle, nn.Linear):
            middle = torch.relu(self.middle(values))
            return [compressed, values, middle, self.last(middle)]
        middle = torch.relu(self.middle(values, self.middle.route(values)))
        return [compressed, values, *self.middle.outputs(values), self.last(middle)]

    def _hidden(self, codes: Tensor) -> Tensor:
        return torch.relu(self.first(self.trunk(codes)))

    def _last(self, values: Tensor) -> Tensor:
        return torch.tanh(self.last(torch.relu(values)))


class PixelPolicy(nn.Module):
    """The actor's mean action in SI units, as a chunk of one."""

    def __init__(self, contract: Contract, encoder: PixelEncoder, actor: Actor) -> None:
        super().__init__()
        self.encoder, self.actor, self.range = encoder, actor, ActionRange(contract)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions `[B, 1, A]`."""
        return self.range.to_si(self.actor.dense(self.encoder(observation)))[:, None]

    def margin(self, observation: Mapping[str, Tensor]) -> Tensor:
        """See `Actor.margin`, `[B]`."""
        return self.actor.margin(self.encoder(observation))
