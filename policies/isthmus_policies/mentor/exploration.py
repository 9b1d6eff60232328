"""How much is explored, exploited and perturbed, by the dormant ratio β of the actor (DrM, arXiv 2310.19668; MENTOR, arXiv 2410.14972)."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["AWAKE", "EDGE", "bounded", "dormant_noise", "exploitation_weight", "falling_noise", "kept_share"]

AWAKE = 0.2  # β̂, below which a network is awake
EDGE = 1 - 1e-6  # largest action
_NOISE, _EXPLOITATION = 0.1, 0.02  # T and T′, over which β counts
_LEAST = 0.2  # of the old weights that a perturbation keeps


def falling_noise(elapsed: float, steps: int) -> float:
    """Standard deviation after so many control periods of `steps`: linear from 1 to 0.1, and 0.1 then."""
    return 1.0 - 0.9 * min(elapsed / steps, 1.0)


def dormant_noise(beta: float) -> float:
    """Standard deviation σ = 1 / (1 + exp(−(β − β̂) / T)): the more sleep, the more noise."""
    return 1 / (1 + math.exp(-(beta - AWAKE) / _NOISE))


def exploitation_weight(beta: float, most: float) -> float:
    """Weight λ = λ̂ / (1 + exp((β − β̂) / T′)) of the exploitation value in targets: the more sleep, the less."""
    return most / (1 + math.exp((beta - AWAKE) / _EXPLOITATION))


def kept_share(beta: float, most: float) -> float:
    """Share α = clip(1 − 2 β, 0.2, α_max) of the old weights that a perturbation keeps."""
    return min(max(1 - 2 * beta, _LEAST), most)


def bounded(action: Tensor) -> Tensor:
    """Actions `[…]` within (−1, 1), with the gradient of what they were before."""
    return action.detach().clamp(-EDGE, EDGE) + (action - action.detach())
