"""Soft actor-critic with automatic temperature.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv 1812.05905): twin critics, tanh-Gaussian actor, temperature tuned so that the
policy's entropy stays near H̄ = −dim(A), measured in actions of [−1, 1]. Time limits are bootstrapped, not terminated.

The gradients of critics and actor are taken at the same parameters, so that two processor cores compute them at the same time. With images, the
encoder learns from the critics' loss alone (Yarats et al. 2021, "Improving sample efficiency in model-free reinforcement learning from images").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.contract import Contract
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import OffPolicyConfig, check_finite, check_positive, check_widths, task_config
from isthmus_policies.networks import TwinMlp, mlp, polyak, squash
from isthmus_policies.optimizer import FlatAdam, flatten
from isthmus_policies.reactive import ReactiveLearner
from isthmus_policies.replay import Batch
from isthmus_policies.soft import seeded

__all__ = ["Sac", "SacConfig", "sac_config"]


@dataclass(frozen=True, slots=True)
class SacConfig(OffPolicyConfig):
    """Settings of the learner.

    Attributes:
        learning_rate: of actor, critics and temperature (Adam), at the beginning.
        hidden: widths of the hidden layers of actor and critics.
    """

    learning_rate: float = 3e-4
    hidden: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "learning_rate")
        check_widths(self, "hidden")


def sac_config(task: str, fast: bool = False) -> SacConfig:
    """The tuned settings of a task, or the defaults if there are none; `fast` for many rows and few updates."""
    return task_config(SacConfig, task, "sac", *(["fast"] if fast else []))


class Sac(ReactiveLearner):
    """See `Learner`.

    Attributes:
        algorithm: "sac".
        contract: of the task.
        warms_up_at_random: True.
    """

    algorithm = "sac"
    warms_up_at_random = True

    def __init__(self, contract: Contract, config: SacConfig, seed: int = 0) -> None:
        """Draw the networks.

        Args:
            contract: of the task.
            config: settings.
            seed: of networks and exploration.

        Raises:
            ValueError: the task decides once per several actions.
        """
        super().__init__(contract, config, seed)
        self._tau = config.tau
        size, actions = FeatureEncoder(contract).size, len(contract.action.elements)
        with seeded(seed):
            self.encoder = FeatureEncoder(contract)
            self.actor = mlp((size, *config.hidden, 2 * actions))
            self.critic, self.target = (TwinMlp((size + actions, *config.hidden, 1)) for _ in range(2))
        self.target.load_state_dict(self.critic.state_dict())
        for network in (self.encoder, self.actor, self.critic, self.target):
            network.to(self._device)
        self._critic_adam = FlatAdam([*self.critic.parameters(), *self.encoder.parameters()], config.learning_rate)
        self._actor_adam = FlatAdam([*self.actor.parameters(), self.log_alpha], config.learning_rate)
        self._target_vector = flatten([*self.target.parameters()])
        self._learns_features = any(True for _ in self.encoder.parameters())
        self._adams = {"critic": self._critic_adam, "actor": self._actor_adam}
        self._others = {"target": self._target_vector}

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step of critics, actor, temperature and targets; see `Learner.update`."""
        batch = draw().to(self._device)
        with torch.set_grad_enabled(self._learns_features):
            now, after = self.encoder(batch.observation).chunk(2)
        noise = self.noise(2, *batch.action.shape)
        near = self.near(now.detach(), after.detach())
        alpha = self.log_alpha.detach().exp()

        def improve() -> tuple[Tensor, Tensor, Sequence[Tensor]]:
            mean, log_std = self.gaussian(now.detach())
            action, log_density = squash(mean, log_std, noise[0])
            loss = self.actor_loss(now.detach(), action, log_density, alpha)
            together = loss + self.temperature_loss(log_density)
            if near is not None:
                together = together + self.roughness(torch.tanh(mean), torch.tanh(self.gaussian(near)[0]))
            return loss, log_density, torch.autograd.grad(together, self._actor_adam.parameters)

        improvement = self._second.submit(improve)
        critic_loss = self.critic_loss(now, batch, self.soft_target(batch, after.detach(), noise[1], alpha))
        critic_gradients = torch.autograd.grad(critic_loss, self._critic_adam.parameters)
        actor_loss, log_density, actor_gradients = improvement.result()
        losses = {
            "critic_loss": critic_loss.item(),
            "actor_loss": actor_loss.item(),
            "alpha": alpha.item(),
            "entropy": -log_density.mean().item(),
            "critic_gradient": self._critic_adam.take(critic_gradients),
            "actor_gradient": self._actor_adam.take(actor_gradients),
        }
        check_finite(losses)
        self._critic_adam.step(rate)
        self._actor_adam.step(rate)
        polyak(self._target_vector, self._critic_adam.vector[: self._target_vector.numel()], self._tau)
        return losses

    @torch.no_grad()
    def soft_target(self, batch: Batch, after: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
        """The target y = r + γ (1 − d) (min_i Q_θ̄i(o′, a′) − α log π(a′|o′)), a′ ~ π, `[B]`."""
        action, log_density = squash(*self.gaussian(after), noise)
        value = self.target(torch.cat([after, action], dim=1))[..., 0].amin(dim=0) - alpha * log_density
        return batch.reward + batch.discount * value

    def critic_loss(self, now: Tensor, batch: Batch, target: Tensor) -> Tensor:
        """J_Q = Σ_i ½ E[(Q_θi(o, a) − y)²]."""
        values = self.critic(torch.cat([now, batch.action], dim=1))[..., 0]
        return 0.5 * (values - target).square().mean(dim=1).sum()

    def actor_loss(self, now: Tensor, action: Tensor, log_density: Tensor, alpha: Tensor) -> Tensor:
        """J_π = E[α log π(ã|o) − min_i Q_θi(o, ã)]."""
        value = self.critic(torch.cat([now, action], dim=1))[..., 0].amin(dim=0)
        return (alpha * log_density - value).mean()
