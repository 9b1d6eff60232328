"""Proximal policy optimisation, for what many rows of a simulation make cheap.

Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv 1707.06347), with generalised advantages (arXiv 1506.02438) and a learning
rate that follows the divergence of the policies before and after (Rudin et al., "Learning to Walk in Minutes", arXiv 2109.11978).
Actions are drawn from a Gaussian in [−1, 1], and what is beyond is cut off before it is executed. Features are normalised by what was seen so far,
inside the exported graph. A time limit is bootstrapped with what was observed last; see `Explorer` for a stop of the guard.

A robot with a mirror in its profile can have a policy that is symmetric by construction: π(o) is the mean of f(o) and of f at the mirrored
observation, mirrored back.

The critic is also told what was drawn of the simulation for an episode, which is nothing that a policy may see (Pinto et al., "Asymmetric Actor
Critic", arXiv 1710.06542); `TrainingEnv.hidden` has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import LearnerConfig, check_finite, check_positive, check_widths, find_device, task_config
from isthmus_policies.mirror import Mirror
from isthmus_policies.networks import gaussian_log_density, mlp
from isthmus_policies.normaliser import Normaliser
from isthmus_policies.optimizer import FlatAdam
from isthmus_policies.ppo_policy import PpoPolicy
from isthmus_policies.reactive import check_reactive
from isthmus_policies.rollout import Rollout, advantages
from isthmus_policies.smoothness import neighbours, smoothness_loss
from isthmus_policies.soft import seeded

__all__ = ["Ppo", "PpoConfig", "ppo_config", "scheduled"]

RATES = (1e-5, 1e-2)  # bounds of the learning rate
STEP = 1.5  # factor by which it follows the divergence


@dataclass(frozen=True, slots=True)
class PpoConfig(LearnerConfig):
    """Settings of the learner.

    Attributes:
        learning_rate: of actor and critic (Adam), at the beginning.
        divergence: KL divergence of the policies before and after an update that the learning rate aims at; 0 keeps it as it is.
        periods: control periods of each row per rollout.
        epochs: times that a rollout is gone through.
        minibatches: parts that it is split into.
        trace: λ of the advantages.
        clip: ε, by which the ratio of the probabilities may differ from 1 with a gain.
        entropy: weight of the entropy.
        value: weight of the value's loss.
        longest: length that a gradient is cut to.
        spread: standard deviation of the actions at the beginning, in actions of [−1, 1].
        hidden: widths of the hidden layers of actor and critic.
        mirror: whether the policy is the same in the robot's mirror.
    """

    num_envs: int = 256
    learning_rate: float = 1e-3
    divergence: float = 0.01
    periods: int = 24
    epochs: int = 5
    minibatches: int = 4
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.005
    value: float = 1.0
    longest: float = 1.0
    spread: float = 0.5
    hidden: tuple[int, ...] = (128, 128)
    mirror: bool = False
    evaluate_every: int = 200_000
    checkpoint_every: int = 1_000_000

    def __post_init__(self) -> None:
        LearnerConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "learning_rate", "clip", "longest", "spread", "periods", "epochs", "minibatches")
        check_widths(self, "hidden")
        for name in ("divergence", "entropy", "value"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not 0 <= self.trace <= 1:
            raise ValueError(f"trace must be in [0, 1], got {self.trace}")
        if (most := self.periods * self.num_envs) < 2:
            raise ValueError("periods × num_envs must be >= 2, because the advantages of a rollout are compared with each other, got 1")
        if self.minibatches > most:
            raise ValueError(f"minibatches must be <= the {most} control periods of a rollout, got {self.minibatches}")


def ppo_config(task: str) -> PpoConfig:
    """The tuned settings of a task, or the defaults if there are none."""
    return task_config(PpoConfig, task, "ppo")


def scheduled(rate: float, divergence: float, aim: float) -> float:
    """The next learning rate: smaller where policies parted by more than twice what is aimed at, larger where by less than half of it."""
    if aim <= 0 or aim / 2 <= divergence <= 2 * aim:
        return rate
    return max(rate / STEP, RATES[0]) if divergence > 2 * aim else min(rate * STEP, RATES[1])


@dataclass(frozen=True, slots=True)
class _Known:
    """Of the N = T · R control periods of a rollout, before an update.

    Attributes:
        now: features, `[…, N, F]`.
        after: of what followed, likewise.
        hidden: `[N, P]`.
        action: as drawn, `[N, A]`.
        mean: of the actions, `[N, A]`.
        spread: logarithm of their standard deviation, `[A]`.
        density: logarithm of that of the action, `[N]`.
        gain: advantage, normalised, `[N]`.
        target: of the value, `[N]`.
    """

    now: Tensor
    after: Tensor
    hidden: Tensor
    action: Tensor
    mean: Tensor
    spread: Tensor
    density: Tensor
    gain: Tensor
    target: Tensor


class Ppo:
    """See `Learner`.

    Attributes:
        algorithm: "ppo".
        contract: of the task.
        warms_up_at_random: False.
        rate: the learning rate, `[]`.
        hidden: P, parameters of the simulation that the critic is told.
    """

    algorithm = "ppo"
    warms_up_at_random = False

    def __init__(self, contract: Contract, config: PpoConfig, seed: int = 0, hidden: int = 0) -> None:
        """Draw the networks.

        Args:
            contract: of the task.
            config: settings.
            seed: of networks and exploration.
            hidden: P, parameters of the simulation that the critic is told and no policy sees.

        Raises:
            ValueError: the task decides once per several actions or observes images, or its robot has no mirror that is asked for.
        """
        check_reactive(contract, "PPO")
        if images := [signal.name for signal in contract.observation if signal.source == "image"]:
            raise ValueError(f"PPO learns from numbers; task {contract.task!r} observes {', '.join(images)}")
        self.contract, self._config, self.hidden = contract, config, hidden
        self._device = find_device(config.device)
        self._generator = torch.Generator().manual_seed(seed)
        mirror = Mirror(contract, load_robot(contract.robot)) if config.mirror else None
        encoder = FeatureEncoder(contract)
        actions = len(contract.action.elements)
        with seeded(seed):
            actor = mlp((encoder.size, *config.hidden, actions), nn.ELU)
            self.critic = mlp((encoder.size + hidden, *config.hidden, 1), nn.ELU)
        with torch.no_grad():
            actor[-1].weight.mul_(0.01)  # the first actions are those of an untrained mean, which is nothing
        self.log_std = torch.full((actions,), float(np.log(config.spread)), device=self._device, requires_grad=True)
        self._policy = PpoPolicy(contract, encoder, Normaliser(encoder.size), actor, mirror).to(self._device)
        self._of_hidden = Normaliser(hidden)
        for network in (self.critic, self._of_hidden):
            network.to(self._device)
        self._adam = FlatAdam([*actor.parameters(), *self.critic.parameters(), self.log_std], 1.0)
        self.rate = torch.tensor(config.learning_rate, dtype=torch.float64)

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """A draw from the policy; see `Learner.act`."""
        with torch.no_grad():
            mean = self._policy.mean(self._features(observation))
            noise = torch.randn(mean.shape, generator=self._generator).to(self._device)
            return (mean + self._spread().exp() * noise).numpy(force=True)

    def learn(self, rollout: Rollout, generator: np.random.Generator, share: float) -> Iterator[Mapping[str, float]]:
        """Learn from a full rollout; nothing where all but one of its control periods were lost.

        Args:
            rollout: what happened.
            generator: shuffles.
            share: of the training that is done, 0 … 1.

        Returns:
            losses and diagnostics of each update.

        Raises:
            DivergedError: a loss or a gradient is not finite; nothing was learned from that minibatch.
        """
        config, kept = self._config, np.flatnonzero(~rollout.lost.reshape(-1))
        if kept.size < 2:
            return
        known = self._known(rollout)
        decay = config.learning_rate_decay + (1 - config.learning_rate_decay) * (1 - share)
        for _ in range(config.epochs):
            for part in np.array_split(generator.permutation(kept), min(config.minibatches, kept.size)):
                chosen = torch.from_numpy(part).to(self._device)
                loss, losses = self._loss(known, chosen)
                gradients = torch.autograd.grad(loss, self._adam.parameters)
                losses["gradient"] = self._adam.take(gradients, config.longest)
                check_finite(losses)
                self.rate.fill_(scheduled(self.rate.item(), losses["divergence"], config.divergence))
                self._adam.step(self.rate.item() * decay)
                yield {**losses, "learning_rate": self.rate.item() * decay}
        self._policy.normaliser.include(known.now.reshape(-1, known.now.shape[-1]))
        if known.hidden.shape[-1]:
            self._of_hidden.include(known.hidden)

    @torch.no_grad()
    def _known(self, rollout: Rollout) -> _Known:
        """What there is to know of a rollout before anything is learned from it."""
        config = self._config
        now, after = (
            self._features({name: values.reshape(-1, *values.shape[2:]) for name, values in part.items()})
            for part in (rollout.observation, rollout.following)
        )
        hidden = torch.from_numpy(rollout.hidden.reshape(len(rollout.lost.reshape(-1)), -1)).to(self._device)
        action = torch.from_numpy(rollout.action.reshape(-1, rollout.action.shape[-1])).to(self._device)
        value, mean, spread = self.value(now, hidden), self._policy.mean(now), self._spread().clone()
        scale = 1 - config.gamma  # of what the critic says: rewards per control period, whatever the horizon
        values, after_values = (found.view(rollout.reward.shape).numpy(force=True) / scale for found in (value, self.value(after, hidden)))
        gains = scale * advantages(rollout, values, after_values, config.gamma, config.trace)
        gain = torch.from_numpy(gains.reshape(-1).astype(np.float32)).to(self._device)
        kept = gain[torch.from_numpy(~rollout.lost.reshape(-1)).to(self._device)]
        told = (gain - kept.mean()) / (kept.std() + 1e-8)
        return _Known(now, after, hidden, action, mean, spread, gaussian_log_density(action, mean, spread), told, gain + value)

    def _loss(self, known: _Known, chosen: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Of a minibatch, and what is told of it."""
        config, features, told = self._config, known.now[..., chosen, :], known.gain[chosen]
        mean, spread = self._policy.mean(features), self._spread()
        ratio = (gaussian_log_density(known.action[chosen], mean, spread) - known.density[chosen]).exp()
        best = torch.minimum(ratio * told, ratio.clamp(1 - config.clip, 1 + config.clip) * told)
        of_value = (self.value(features, known.hidden[chosen]) - known.target[chosen]).square().mean()
        entropy = (spread + 0.5 * float(np.log(2 * np.pi * np.e))).sum()
        loss = -best.mean() + config.value * of_value - config.entropy * entropy
        if config.temporal_smoothness or config.spatial_smoothness:
            now, after = (self._policy.normaliser(part) for part in (features, known.after[..., chosen, :]))
            noise = torch.randn(now.shape, generator=self._generator).to(self._device)
            others = torch.stack([self._policy.mean_of_normalised(one) for one in neighbours(now, after, noise)])
            loss = loss + smoothness_loss(mean, others, (config.temporal_smoothness, config.spatial_smoothness))
        return loss, {
            "loss": loss.item(),
            "value_loss": of_value.item(),
            "entropy": entropy.item(),
            "divergence": _divergence(known.mean[chosen], known.spread, mean.detach(), spread.detach()),
            "ratio": ratio.mean().item(),
        }

    def value(self, features: Tensor, hidden: Tensor) -> Tensor:
        """V of features and of the hidden parameters `[B, P]`, `[B]`; of mirrored features those that are not."""
        seen = features if self._policy.mirror is None else features[0]
        return self.critic(torch.cat([self._policy.normaliser(seen), self._of_hidden(hidden)], dim=-1))[..., 0]

    def policy(self) -> nn.Module:
        """The mean of the actions; see `Learner.policy`."""
        return self._policy

    def ended(self, returns: Sequence[float]) -> None:
        """Nothing; see `Learner.ended`."""

    def summary(self) -> Mapping[str, Any]:
        """Nothing; see `Learner.summary`."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """See `Learner.state`."""
        parts = {"normaliser": self._policy.normaliser, "of_hidden": self._of_hidden}
        normaliser = {f"{part}.{name}": value for part, module in parts.items() for name, value in module.named_buffers()}
        adam = {f"adam.{name}": value for name, value in self._adam.state().items()}
        return {**adam, **normaliser, "rate": self.rate, "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `Learner.load`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])

    def _features(self, observation: Mapping[str, Array]) -> Tensor:
        numbers = {name: torch.from_numpy(np.asarray(value, dtype=np.float32)).to(self._device) for name, value in observation.items()}
        return self._policy.features(numbers)

    def _spread(self) -> Tensor:
        """Logarithm of the standard deviation of the actions, `[A]`."""
        mirror = self._policy.mirror
        return self.log_std if mirror is None else (self.log_std + mirror.unsigned(self.log_std)) / 2


def _divergence(old_mean: Tensor, old_spread: Tensor, mean: Tensor, spread: Tensor) -> float:
    """KL divergence of the Gaussian now from the one before, mean over the batch."""
    ratio = (2 * (old_spread - spread)).exp()
    return float((spread - old_spread + (ratio + ((old_mean - mean) / spread.exp()).square() - 1) / 2).sum(dim=-1).mean())
