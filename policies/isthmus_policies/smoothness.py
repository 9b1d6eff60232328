"""Smooth actions as a condition on the actor: what it does at two observations that are near each other shall be near, too.

Mysore et al., "Regularizing Action Policies for Smooth Control with Reinforcement Learning" (CAPS, arXiv 2012.06644), with squared differences, whose
gradient vanishes where actions are equal. An actor that is only paid for its return trains up to the stability margin of the servo that it sees.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["neighbours", "smoothness_loss"]

SPREAD = 0.05  # standard deviation of the noise on features, most of which are within ±1


def neighbours(now: Tensor, after: Tensor, noise: Tensor) -> Tensor:
    """Where the actor is to do about what it does now: at what followed, and nearby, `[2, B, F]`.

    Args:
        now: features, `[B, F]`.
        after: of what followed, `[B, F]`.
        noise: from the unit normal distribution, `[B, F]`.
    """
    return torch.stack([after, now + SPREAD * noise])


def smoothness_loss(action: Tensor, near: Tensor, weights: tuple[float, float]) -> Tensor:
    """λ_T E[(π(o) − π(o′))²] + λ_S E[(π(o) − π(ō))²], means over batch and elements of actions in [−1, 1].

    Args:
        action: mean of the policy, `[B, …, A]`.
        near: the same at the `neighbours`, `[2, B, …, A]`.
        weights: λ_T and λ_S.
    """
    temporal, spatial = (near - action).square().flatten(1).mean(dim=1)
    return weights[0] * temporal + weights[1] * spatial
