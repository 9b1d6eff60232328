"""DSAC-T: soft actor-critic whose critics learn how the return is distributed.

Duan et al., "Distributional Soft Actor-Critic with Three Refinements" (arXiv 2310.05858). Each critic gives mean and standard deviation of a Gaussian
over the soft return. Expected value substitution: means are learned from the expected target, standard deviations from a random one. Twin value
distribution: targets are those of the twin with the smaller mean. Variance-based critic gradient adjustment: the random target is clipped, and the
gradient scaled, by the running mean of the standard deviation.

The loss is the paper's. The authors' later code has another one, with Huber terms, whose standard deviations come out smaller by √2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.contract import Contract
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import OffPolicyConfig, check_finite, check_positive, check_widths, task_config
from isthmus_policies.networks import TwinMlp, mlp, polyak, squash
from isthmus_policies.optimizer import FlatAdam, flatten
from isthmus_policies.reactive import ReactiveLearner
from isthmus_policies.replay import Batch
from isthmus_policies.soft import seeded

__all__ = ["DsacT", "DsacTConfig", "dsac_t_config", "random_target", "surrogate_loss"]

DELAY = 2  # updates of the critics per update of actor, temperature and targets
CLIP = 3.0  # ξ, standard deviations at which random targets are clipped
EPSILON = 0.1  # ε and ε_ω


@dataclass(frozen=True, slots=True)
class DsacTConfig(OffPolicyConfig):
    """Settings of the learner. The paper's budget is one update per 20 control periods (update_ratio 0.05) with smaller learning rates.

    Attributes:
        critic_rate: learning rate of the critics (Adam), at the beginning.
        actor_rate: of the actor.
        temperature_rate: of the temperature.
        initial_temperature: α at the beginning; the authors' code begins with 2.718.
        hidden: widths of the hidden layers of actor and critics.
    """

    critic_rate: float = 3e-4
    actor_rate: float = 3e-4
    temperature_rate: float = 3e-4
    initial_temperature: float = 1.0
    hidden: tuple[int, ...] = (256, 256, 256)

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "critic_rate", "actor_rate", "temperature_rate", "initial_temperature")
        check_widths(self, "hidden")


def dsac_t_config(task: str, fast: bool = False) -> DsacTConfig:
    """The tuned settings of a task, or the defaults if there are none; `fast` for many rows and few updates."""
    return task_config(DsacTConfig, task, "dsac_t", *(["fast"] if fast else []))


class DsacT(ReactiveLearner):
    """See `Learner`.

    Attributes:
        algorithm: "dsac-t".
        contract: of the task.
        warms_up_at_random: False; the untrained policy makes the first actions.
        spread: m, running mean of each critic's standard deviation, `[2]`; 0 before the first update.
    """

    algorithm = "dsac-t"
    warms_up_at_random = False
    log_std: ClassVar[tuple[float, float]] = (-20.0, 0.5)

    def __init__(self, contract: Contract, config: DsacTConfig, seed: int = 0) -> None:
        """Draw the networks.

        Args:
            contract: of the task.
            config: settings.
            seed: of networks and exploration.

        Raises:
            ValueError: the task decides once per several actions.
        """
        super().__init__(contract, config, seed, config.initial_temperature)
        self._tau = config.tau
        size, actions = FeatureEncoder(contract).size, len(contract.action.elements)
        with seeded(seed):
            self.encoder = FeatureEncoder(contract)
            self.actor, self.target_actor = (mlp((size, *config.hidden, 2 * actions), nn.GELU) for _ in range(2))
            self.critic, self.target = (TwinMlp((size + actions, *config.hidden, 2), functional.gelu) for _ in range(2))
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target.load_state_dict(self.critic.state_dict())
        for network in (self.encoder, self.actor, self.target_actor, self.critic, self.target):
            network.to(self._device)
        self.spread = torch.zeros(2, device=self._device)
        self._updates = torch.zeros((), dtype=torch.int64)
        self._critic_adam = FlatAdam([*self.critic.parameters(), *self.encoder.parameters()], config.critic_rate)
        self._actor_adam = FlatAdam([*self.actor.parameters()], config.actor_rate)
        self._temperature_adam = FlatAdam([self.log_alpha], config.temperature_rate)
        self._target_vector, self._target_actor_vector = (flatten([*network.parameters()]) for network in (self.target, self.target_actor))
        self._learns_features = any(True for _ in self.encoder.parameters())
        self._adams = {"critic": self._critic_adam, "actor": self._actor_adam, "temperature": self._temperature_adam}
        self._others = {
            "target": self._target_vector,
            "target_actor": self._target_actor_vector,
            "spread": self.spread,
            "updates": self._updates,
        }

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step of the critics, and every second time one of actor, temperature and targets; see `Learner.update`."""
        batch = draw().to(self._device)
        with torch.set_grad_enabled(self._learns_features):
            now, after = self.encoder(batch.observation).chunk(2)
        noise = self.noise(2, *batch.action.shape)
        chance = self.noise(2, len(batch.reward)).clamp(-3, 3)
        improves = int(self._updates) % DELAY == DELAY - 1
        near = self.near(now.detach(), after.detach()) if improves else None

        def improve() -> tuple[Tensor, Tensor, Sequence[Tensor], Sequence[Tensor]]:
            mean, log_std = self.gaussian(now.detach())
            action, log_density = squash(mean, log_std, noise[0])
            loss = self.actor_loss(now.detach(), action, log_density)
            whole = loss if near is None else loss + self.roughness(torch.tanh(mean), torch.tanh(self.gaussian(near)[0]))
            of_actor = torch.autograd.grad(whole, self._actor_adam.parameters)
            of_temperature = torch.autograd.grad(self.temperature_loss(log_density), [self.log_alpha])
            return loss, log_density, of_actor, of_temperature

        improvement = self._second.submit(improve) if improves else None
        expected, drawn = self.targets(batch, after.detach(), noise[1], chance)
        mean, std = self.distribution(self.critic, now, batch.action)
        spread = self.running_spread(std.detach())
        critic_loss = surrogate_loss(mean, std, expected, random_target(mean.detach(), drawn, spread), spread)
        critic_gradients = torch.autograd.grad(critic_loss, self._critic_adam.parameters)
        losses = {
            "critic_loss": critic_loss.item(),
            "value": mean.mean().item(),
            "value_std": std.mean().item(),
            "critic_gradient": self._critic_adam.take(critic_gradients),
        }
        if improvement:
            actor_loss, log_density, actor_gradients, temperature_gradients = improvement.result()
            losses |= {"actor_loss": actor_loss.item(), "entropy": -log_density.mean().item()}
            losses |= {
                "actor_gradient": self._actor_adam.take(actor_gradients),
                "temperature_gradient": self._temperature_adam.take(temperature_gradients),
            }
        check_finite(losses)
        self.spread.copy_(spread)
        self._updates += 1
        self._critic_adam.step(rate)
        if improvement:
            self._actor_adam.step(rate)
            self._temperature_adam.step(rate)
            polyak(self._target_vector, self._critic_adam.vector[: self._target_vector.numel()], self._tau)
            polyak(self._target_actor_vector, self._actor_adam.vector, self._tau)
        return {**losses, "alpha": self.log_alpha.exp().item()}

    def distribution(self, critic: TwinMlp, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Mean Q and standard deviation σ of the soft return, `[2, B]` each."""
        mean, std = critic(torch.cat([features, action], dim=1)).unbind(dim=-1)
        return mean, functional.softplus(std)

    @torch.no_grad()
    def targets(self, batch: Batch, after: Tensor, noise: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        """y_q and y_z: the expected target, and a random one, of the twin with the smaller mean; actions are those of the target policy.

        Args:
            batch: transitions.
            after: features of what followed, `[B, F]`.
            noise: ε of the action, `[B, A]`.
            chance: ε of each twin's return, within ±3, `[2, B]`.

        Returns:
            `[B]` each.
        """
        action, log_density = squash(*self.gaussian(after, self.target_actor), noise)
        mean, std = self.distribution(self.target, after, action)
        lower = mean.argmin(dim=0, keepdim=True)
        entropy = self.log_alpha.exp() * log_density
        drawn = (mean + chance * std).gather(0, lower)[0]
        expected = mean.gather(0, lower)[0]
        return batch.reward + batch.discount * (expected - entropy), batch.reward + batch.discount * (drawn - entropy)

    def running_spread(self, std: Tensor) -> Tensor:
        """The running mean m ← (1 − τ) m + τ E[σ] of each critic, `[2]`; at the first update E[σ]."""
        mean = std.mean(dim=1)
        return mean if self._updates == 0 else torch.lerp(self.spread, mean, self._tau)

    def actor_loss(self, now: Tensor, action: Tensor, log_density: Tensor) -> Tensor:
        """J_π = E[α log π(ã|o) − min_i Q_i(o, ã)], of means."""
        mean, _ = self.distribution(self.critic, now, action)
        return (self.log_alpha.detach().exp() * log_density - mean.amin(dim=0)).mean()


def random_target(mean: Tensor, drawn: Tensor, spread: Tensor) -> Tensor:
    """The random target, clipped around the current mean: Q + clip(y_z − Q, ±ξ m), `[2, B]`.

    Args:
        mean: Q of each critic, `[2, B]`, without gradient.
        drawn: y_z, `[B]`.
        spread: m, `[2]`.
    """
    bound = CLIP * spread[:, None]
    return mean + (drawn - mean).clamp(-bound, bound)


def surrogate_loss(mean: Tensor, std: Tensor, expected: Tensor, drawn: Tensor, spread: Tensor) -> Tensor:
    """A loss whose gradient is that of the paper's critics; its value means nothing.

    Σ_i (ω_i + ε) E[ −(y_q − Q_i) / (σ_i² + ε) Q_i − ((Q_i − y_z)² − σ_i²) / (σ_i³ + ε) σ_i ] with ω = m²; only the last factors have a gradient.

    Args:
        mean: Q of each critic, `[2, B]`.
        std: σ of each critic, `[2, B]`.
        expected: y_q, `[B]`.
        drawn: y_z after clipping, `[2, B]`.
        spread: m, `[2]`.
    """
    q, sigma = mean.detach(), std.detach()
    of_mean = -(expected - q) / (sigma.square() + EPSILON) * mean
    of_std = -((q - drawn).square() - sigma.square()) / (sigma**3 + EPSILON) * std
    return ((spread.square() + EPSILON) * (of_mean + of_std).mean(dim=1)).sum()
