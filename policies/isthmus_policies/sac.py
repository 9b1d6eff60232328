"""Soft actor-critic with automatic temperature.

Haarnoja et al., "Soft Actor-Critic Algorithms and Applications" (arXiv 1812.05905): twin critics, tanh-Gaussian actor, temperature tuned so that the
policy's entropy stays near H̄ = −dim(A), measured in actions of [−1, 1]. Time limits are bootstrapped, not terminated.

The gradients of critics and actor are taken at the same parameters, so that two processor cores compute them at the same time. With images, the
encoder learns from the critics' loss alone (Yarats et al. 2021, "Improving sample efficiency in model-free reinforcement learning from images").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import LearnerConfig, Second, check_finite, find_device, task_config
from isthmus_policies.networks import LOG_STD, TwinMlp, mlp, polyak, squash
from isthmus_policies.optimizer import FlatAdam, flatten
from isthmus_policies.replay import Batch

__all__ = ["ReactivePolicy", "Sac", "SacConfig", "check_reactive", "sac_config"]


@dataclass(frozen=True, slots=True)
class SacConfig(LearnerConfig):
    """Settings of the learner.

    Attributes:
        learning_rate: of actor, critics and temperature (Adam), at the beginning.
        hidden: widths of the hidden layers of actor and critics.
    """

    learning_rate: float = 3e-4
    hidden: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        LearnerConfig.__post_init__(self)  # super() does not find its way in a class with slots
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be widths >= 1, got {self.hidden}")


def sac_config(task: str) -> SacConfig:
    """The tuned settings of a task, or the defaults if there are none."""
    return task_config(SacConfig, task, "sac")


def check_reactive(contract: Contract) -> None:
    """Refuse a task that decides once per several actions.

    Raises:
        ValueError: the message names the task and its horizon.
    """
    if contract.horizon > 1:
        raise ValueError(f"SAC decides every control period; task {contract.task!r} decides once per {contract.horizon} actions")


class Sac:
    """See `Learner`.

    Attributes:
        algorithm: "sac".
        contract: of the task.
        warms_up_at_random: True.
        log_alpha: logarithm of the temperature α.
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
        check_reactive(contract)
        self.contract, self._config = contract, config
        self._generator = torch.Generator().manual_seed(seed)
        size, actions = FeatureEncoder(contract).size, len(contract.action.elements)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = FeatureEncoder(contract)
            self.actor = mlp((size, *config.hidden, 2 * actions))
            self.critic, self.target = (TwinMlp((size + actions, *config.hidden, 1)) for _ in range(2))
        self.target.load_state_dict(self.critic.state_dict())
        self._device = find_device(config.device)
        for network in (self.encoder, self.actor, self.critic, self.target):
            network.to(self._device)
        self.log_alpha = torch.zeros((), device=self._device, requires_grad=True)
        self._target_entropy = -float(actions)
        self._critic_adam = FlatAdam([*self.critic.parameters(), *self.encoder.parameters()], config.learning_rate)
        self._actor_adam = FlatAdam([*self.actor.parameters(), self.log_alpha], config.learning_rate)
        self._target_vector = flatten([*self.target.parameters()])
        self._learns_features = any(True for _ in self.encoder.parameters())
        self._second = Second()

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """A draw from the policy; see `Learner.act`."""
        with torch.no_grad():
            features = self.encoder({name: torch.from_numpy(value).to(self._device) for name, value in observation.items()})
            mean, log_std = self.gaussian(features)
            noise = torch.randn(mean.shape, generator=self._generator).to(self._device)
            return torch.tanh(mean + log_std.exp() * noise).numpy(force=True)

    def gaussian(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ before the tanh, `[…, A]` each."""
        mean, log_std = self.actor(features).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD)

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step of critics, actor, temperature and targets; see `Learner.update`."""
        batch = draw().to(self._device)
        with torch.set_grad_enabled(self._learns_features):
            now, after = self.encoder(batch.observation).chunk(2)
        noise = torch.randn(2, *batch.action.shape, generator=self._generator).to(self._device)
        alpha = self.log_alpha.detach().exp()

        def improve() -> tuple[Tensor, Tensor, Sequence[Tensor]]:
            mean, log_std = self.gaussian(now.detach())
            action, log_density = squash(mean, log_std, noise[0])
            loss = self.actor_loss(now.detach(), action, log_density, alpha)
            together = loss + self.temperature_loss(log_density)
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
        }
        check_finite(losses)
        self._critic_adam.step(critic_gradients, rate)
        self._actor_adam.step(actor_gradients, rate)
        polyak(self._target_vector, self._critic_adam.vector[: self._target_vector.numel()], self._config.tau)
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

    def temperature_loss(self, log_density: Tensor) -> Tensor:
        """J(α) = E[−log α (log π + H̄)]: the paper's −α (log π + H̄), but in log α, so that steps do not shrink with α."""
        return -self.log_alpha * (log_density.detach().mean() + self._target_entropy)

    def policy(self) -> nn.Module:
        """Tanh of the actor's mean; see `Learner.policy`."""
        return ReactivePolicy(self.contract, self.encoder, self.actor)

    def summary(self) -> Mapping[str, Any]:
        """Nothing; see `Learner.summary`."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """See `Learner.state`."""
        adams = {"critic": self._critic_adam, "actor": self._actor_adam}
        tensors = {f"{name}.{key}": value for name, adam in adams.items() for key, value in adam.state().items()}
        return {**tensors, "target": self._target_vector, "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `Learner.load`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])


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
        self.encoder, self.actor = encoder, actor
        low, high = torch.tensor(contract.action.low), torch.tensor(contract.action.high)
        self.register_buffer("center", (high + low) / 2)
        self.register_buffer("half_range", (high - low) / 2)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions `[B, 1, A]`."""
        mean, _ = self.actor(self.encoder(observation)).chunk(2, dim=-1)
        return (self.center + self.half_range * torch.tanh(mean))[:, None]
