"""Behaviour cloning: an actor that does what a recording did, by regression (Pomerleau 1989).

The network is that of `Sac`, so that a training with it can go on from there. The environment is only evaluated in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from isthmus.contract import Contract
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import OffPolicyConfig, check_finite, check_positive, check_widths, task_config
from isthmus_policies.networks import mlp
from isthmus_policies.optimizer import FlatAdam
from isthmus_policies.reactive import ReactiveLearner
from isthmus_policies.replay import Batch
from isthmus_policies.soft import seeded

__all__ = ["Bc", "BcConfig", "bc_config"]


@dataclass(frozen=True, slots=True)
class BcConfig(OffPolicyConfig):
    """Settings of the learner. A step is an update here, not a control period; what concerns returns and exploring changes nothing.

    Attributes:
        learning_rate: of the actor (Adam), at the beginning.
        hidden: widths of the actor's hidden layers.
    """

    steps: int = 10_000
    learning_starts: int = 0
    learning_rate_decay: float = 0.1
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "learning_rate")
        check_widths(self, "hidden")
        if self.num_envs != 1:
            raise ValueError(f"num_envs must be 1, because nothing acts in this training, got {self.num_envs}")


def bc_config(task: str) -> BcConfig:
    """The tuned settings of a task, or the defaults if there are none."""
    return task_config(BcConfig, task, "bc")


class Bc(ReactiveLearner):
    """See `OffPolicyLearner`.

    Attributes:
        algorithm: "bc".
        contract: of the task.
        warms_up_at_random: False; nothing acts.
    """

    algorithm = "bc"
    warms_up_at_random = False

    def __init__(self, contract: Contract, config: BcConfig, seed: int = 0) -> None:
        """Draw the network.

        Args:
            contract: of the task.
            config: settings.
            seed: of the network.

        Raises:
            ValueError: the task decides once per several actions.
        """
        super().__init__(contract, config, seed)
        with seeded(seed):
            self.encoder = FeatureEncoder(contract)
            self.actor = mlp((self.encoder.size, *config.hidden, 2 * len(contract.action.elements)))
        for network in (self.encoder, self.actor):
            network.to(self._device)
        self._adam = FlatAdam([*self.actor.parameters(), *self.encoder.parameters()], config.learning_rate)
        self._adams = {"actor": self._adam}

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step towards the recorded actions; see `OffPolicyLearner.update`."""
        batch = draw().to(self._device)
        now, after = self.encoder(batch.observation).chunk(2)
        mean, spread = self.gaussian(now)
        loss = functional.mse_loss(torch.tanh(mean), batch.action)
        near = self.near(now.detach(), after.detach())
        # What only exploration needs has a gradient of nothing, and stays what it was.
        whole = loss + 0 * spread.sum() + (0 if near is None else self.roughness(torch.tanh(mean), torch.tanh(self.gaussian(near)[0])))
        losses = {"loss": loss.item(), "gradient": self._adam.take(torch.autograd.grad(whole, self._adam.parameters))}
        check_finite(losses)
        self._adam.step(rate)
        return losses
