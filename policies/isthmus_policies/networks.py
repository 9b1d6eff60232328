"""Networks of the learners: twin critics as one batched product, and a Gaussian that is squashed into the action range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LOG_STD", "TwinMlp", "gaussian_log_density", "mlp", "polyak", "squash", "squashed_log_density", "xavier"]

LOG_STD = (-20.0, 2.0)  # bounds of the actor's log σ; Haarnoja et al. 2018
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)

Activation = Callable[[Tensor], Tensor]


def mlp(widths: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of the given widths, input and output included, with the activation between them."""
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(widths):
        layers += [nn.Linear(inside, outside), activation()]
    return nn.Sequential(*layers[:-1])


class TwinMlp(nn.Module):
    """Two networks of one shape and separate weights, computed together: one batched matrix product per layer.

    Weights are drawn as those of `torch.nn.Linear`.
    """

    def __init__(self, widths: Sequence[int], activation: Activation = torch.relu_) -> None:
        """Draw the weights.

        Args:
            widths: of all layers, input and output included.
            activation: between them.
        """
        super().__init__()
        self._activation = activation
        shapes = list(itertools.pairwise(widths))
        self.weights = nn.ParameterList([_uniform(2, inside, outside, fan=inside) for inside, outside in shapes])
        self.biases = nn.ParameterList([_uniform(2, 1, outside, fan=inside) for inside, outside in shapes])

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs `[2, B, out]` of both networks for the same inputs `[B, in]`."""
        last = len(self.weights) - 1
        values = inputs.expand(2, *inputs.shape)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, values, weight)
            if layer < last:
                values = self._activation(values)
        return values


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A reparameterised draw a = tanh(μ + σ ε) and its log-density.

    Args:
        mean: μ, `[…, A]`.
        log_std: log σ, `[…, A]`.
        noise: ε ~ N(0, 1), `[…, A]`.

    Returns:
        action `[…, A]` in [−1, 1] and log π `[…]` per unit of that range.
    """
    before = mean + log_std.exp() * noise
    return torch.tanh(before), squashed_log_density(before, log_std, noise)


def squashed_log_density(before: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """Log π(a) = Σ_j [log N(u_j; μ_j, σ_j) − log(1 − tanh²(u_j))] (arXiv 1812.05905), `[…]`.

    log(1 − tanh²u) is computed as 2 (log 2 − u − softplus(−2u)), which stays finite for every u.

    Args:
        before: u, before the tanh, `[…, A]`.
        log_std: log σ, `[…, A]`.
        noise: (u − μ) / σ, `[…, A]`.
    """
    return (_log_normal(noise, log_std) - 2 * (math.log(2) - before - functional.softplus(-2 * before))).sum(dim=-1)


def gaussian_log_density(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log N(a; μ, σ), `[…]`, of actions `[…, A]`."""
    return _log_normal((action - mean) / log_std.exp(), log_std).sum(dim=-1)


def _log_normal(noise: Tensor, log_std: Tensor) -> Tensor:
    return -0.5 * noise.square() - log_std - _HALF_LOG_TAU


def polyak(target: Tensor, source: Tensor, tau: float) -> None:
    """θ̄ ← τ θ + (1 − τ) θ̄, in place, of parameters as one vector `[P]`."""
    target.lerp_(source, tau)


@torch.no_grad()
def xavier(*networks: nn.Module) -> None:
    """Draw the weights of linear layers and of twins anew: uniform within √(6 / (in + out)) (Glorot & Bengio 2010), biases 0."""
    for name, parameter in (pair for network in networks for pair in network.named_parameters()):
        if "weight" in name:
            bound = math.sqrt(6 / sum(parameter.shape[-2:]))
            parameter.uniform_(-bound, bound)
        else:
            parameter.zero_()


def _uniform(*shape: int, fan: int) -> nn.Parameter:
    bound = 1 / math.sqrt(fan)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
