"""A layer of several experts, of which each sample uses a few (MENTOR, arXiv 2410.14972, section 3.1 and appendix A).

Training sends each sample to its experts only. The exported graph computes all of them, as two products, and weighs most by 0: the same result, in
operators whose sizes do not depend on what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["MixtureOfExperts", "Routing", "balance_loss", "released_balance_loss"]


@dataclass(frozen=True, slots=True)
class Routing:
    """Which experts samples are sent to.

    Attributes:
        logits: of the router, `[B, N]`.
        chosen: the k experts with the largest, `[B, k]`.
        weights: softmax over these, `[B, k]`.
    """

    logits: Tensor
    chosen: Tensor
    weights: Tensor

    def usage(self) -> Tensor:
        """Share of the samples that use each expert, `[N]`; k/N where all are used alike."""
        return torch.bincount(self.chosen.flatten(), minlength=self.logits.shape[1]) / len(self.logits)


class MixtureOfExperts(nn.Module):
    """y = Σ_i w_i FFN_i(x) over the k experts that a router chooses."""

    def __init__(self, width: int, experts: int, active: int, expert_width: int, router_width: int) -> None:
        """Make room for the weights; `orthogonal` draws those of the experts.

        Args:
            width: of input and output, d.
            experts: N.
            active: k.
            expert_width: of the hidden layer of each expert, m.
            router_width: of the router's hidden layer, r.
        """
        super().__init__()
        self._active = active
        self.router_in, self.router_out = nn.Linear(width, router_width), nn.Linear(router_width, experts)
        self.weight_in, self.bias_in = (nn.Parameter(torch.zeros(experts, rows, expert_width)) for rows in (width, 1))
        self.weight_out, self.bias_out = (nn.Parameter(torch.zeros(experts, rows, width)) for rows in (expert_width, 1))

    def route(self, inputs: Tensor, kept: Tensor | None = None) -> Routing:
        """Choose experts.

        Args:
            inputs: `[B, d]`.
            kept: factors of the router's hidden units, `[B, r]`: 0 of those that are left out; None keeps all.
        """
        values = torch.relu(self.router_in(inputs))
        logits = self.router_out(values if kept is None else values * kept)
        largest, chosen = torch.topk(logits, self._active, dim=1)
        return Routing(logits, chosen, torch.softmax(largest, dim=1))

    def forward(self, inputs: Tensor, routing: Routing) -> Tensor:
        """Outputs `[B, d]`; each sample is computed by its own experts alone."""
        outputs = torch.zeros_like(inputs)
        parts = (self.weight_in.unbind(), self.bias_in.unbind(), self.weight_out.unbind(), self.bias_out.unbind())
        for expert, (weight_in, bias_in, weight_out, bias_out) in enumerate(zip(*parts, strict=True)):
            samples, places = torch.nonzero(routing.chosen == expert, as_tuple=True)
            if len(samples):
                values = torch.addmm(bias_out, torch.relu(torch.addmm(bias_in, inputs[samples], weight_in)), weight_out)
                outputs = outputs.index_add(0, samples, routing.weights[samples, places, None] * values)
        return outputs

    def dense(self, inputs: Tensor, routing: Routing) -> Tensor:
        """The same by all experts."""
        gates = torch.zeros_like(routing.logits).scatter(1, routing.chosen, routing.weights)
        hidden = torch.relu(torch.baddbmm(self.bias_in, inputs.expand(len(self.weight_in), *inputs.shape), self.weight_in))
        weighted = (hidden * gates.T[:, :, None]).transpose(0, 1).flatten(1)
        return weighted @ self.weight_out.flatten(0, 1) + gates @ self.bias_out[:, 0]

    def outputs(self, inputs: Tensor) -> list[Tensor]:
        """What the layers of router and all experts give, those with a ReLU after it; `[B, n]`, of experts `[N, B, n]`."""
        hidden = torch.relu(torch.baddbmm(self.bias_in, inputs.expand(len(self.weight_in), *inputs.shape), self.weight_in))
        asked = torch.relu(self.router_in(inputs))
        return [asked, self.router_out(asked), hidden, torch.baddbmm(self.bias_out, hidden, self.weight_out)]


def balance_loss(routing: Routing) -> Tensor:
    """Σ_i p_i log p_i of the mean routing p of the batch: −log N where all experts are used alike, 0 where one is (appendix A, algorithm 2)."""
    mean = torch.softmax(routing.logits, dim=1).mean(dim=0)
    return torch.xlogy(mean, mean).sum()


def released_balance_loss(routing: Routing) -> Tensor:
    """What the authors' code has: the variance of counts, which have no gradient, and the mean entropy of a sample's routing, which sharpens it."""
    counts = torch.bincount(routing.chosen.flatten(), minlength=routing.logits.shape[1]).to(routing.logits.dtype)
    logs = torch.log_softmax(routing.logits, dim=1)
    return counts.var() - (logs.exp() * logs).sum(dim=1).mean()
