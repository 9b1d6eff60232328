"""What decides once per control period: the draws of a squashed Gaussian while it learns, its mean when it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.actions import ActionRange
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import LearnerConfig
from isthmus_policies.networks import LOG_STD
from isthmus_policies.soft import SoftLearner

__all__ = ["ReactiveLearner", "ReactivePolicy", "check_reactive"]


def check_reactive(contract: Contract, learner: str = "SAC") -> None:
    """Refuse a task that decides once per several actions.

    Raises:
        ValueError: the message names the learner, the task and its horizon.
    """
    if contract.horizon > 1:
        raise ValueError(f"{learner} decides every control period; task {contract.task!r} decides once per {contract.horizon} actions")


class ReactiveLearner(SoftLearner):
    """Explores by drawing from its actor, a network that gives μ and log σ of the actions before the tanh; see `Learner`.

    Attributes:
        actor: features → 2A.
        log_std: bounds of log σ.
    """

    log_std: ClassVar[tuple[float, float]] = LOG_STD
    actor: nn.Module

    def __init__(self, contract: Contract, config: LearnerConfig, seed: int, temperature: float = 1.0) -> None:
        """See `SoftLearner`.

        Raises:
            ValueError: the task decides once per several actions.
        """
        check_reactive(contract)
        super().__init__(contract, config, seed, temperature)

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """A draw from the policy; see `Learner.act`."""
        with torch.no_grad():
            mean, log_std = self.gaussian(self.features(observation))
            return torch.tanh(mean + log_std.exp() * self.noise(*mean.shape)).numpy(force=True)

    def gaussian(self, features: Tensor, actor: nn.Module | None = None) -> tuple[Tensor, Tensor]:
        """μ and log σ before the tanh, `[…, A]` each, of the actor unless it is another one."""
        mean, log_std = (self.actor if actor is None else actor)(features).chunk(2, dim=-1)
        return mean, log_std.clamp(*self.log_std)

    def policy(self) -> nn.Module:
        """The actor's mean, squashed; see `Learner.policy`."""
        return ReactivePolicy(self.contract, self.encoder, self.actor)


class ReactivePolicy(nn.Module):
    """tanh of the actor's mean, in SI units, as a chunk of one action."""

    def __init__(self, contract: Contract, encoder: FeatureEncoder, actor: nn.Module) -> None:
        """Bind.

        Args:
            contract: gives the range of the actions.
            encoder: observation → features.
            actor: features → 2A, of which the first A are the mean.
        """
        super().__init__()
        self.encoder, self.actor, self.range = encoder, actor, ActionRange(contract)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions `[B, 1, A]`."""
        mean, _ = self.actor(self.encoder(observation)).chunk(2, dim=-1)
        return self.range.to_si(torch.tanh(mean))[:, None]
