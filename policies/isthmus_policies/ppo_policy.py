"""What PPO exports: the mean action of normalised features, symmetric where the robot is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus_policies.actions import ActionRange
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.mirror import Mirror
from isthmus_policies.normaliser import Normaliser

__all__ = ["PpoPolicy"]


class PpoPolicy(nn.Module):
    """The mean action, of normalised features, cut to the range, in SI units, as a chunk of one action; symmetric if there is a mirror."""

    def __init__(
        self, contract: Contract, encoder: FeatureEncoder, normaliser: Normaliser, actor: nn.Module, mirror: Mirror | None
    ) -> None:
        """Bind.

        Args:
            contract: gives the range of the actions.
            encoder: observation → features.
            normaliser: of the features.
            actor: normalised features → A.
            mirror: of the robot.
        """
        super().__init__()
        self.encoder, self.normaliser, self.actor, self.mirror, self.range = encoder, normaliser, actor, mirror, ActionRange(contract)

    def features(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Before they are normalised, `[B, F]`; with a mirror `[2, B, F]`, the mirrored ones last."""
        found = self.encoder(observation)
        return found if self.mirror is None else torch.stack([found, self.encoder(self.mirror.observation(observation))])

    def mean(self, features: Tensor) -> Tensor:
        """Of the actions in [−1, 1], `[B, A]`."""
        return self.mean_of_normalised(self.normaliser(features))

    def mean_of_normalised(self, features: Tensor) -> Tensor:
        """The same of features that are normalised already."""
        means = self.actor(features)
        return means if self.mirror is None else (means[0] + self.mirror.action(means[1])) / 2

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions `[B, 1, A]`."""
        return self.range.to_si(self.mean(self.features(observation)).clamp(-1, 1))[:, None]
