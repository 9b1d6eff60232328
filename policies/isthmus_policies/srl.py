"""Sequence reinforcement learning: an actor that, for one observation, emits a whole sequence of primitive actions.

Patel & Siegelmann, "Overcoming Slow Decision Frequencies in Continuous Control: Model-Based Sequence Reinforcement Learning for Model-Free Control"
(arXiv 2410.08979). The critic scores single primitive actions. A model of one step, learned beside it, imagines the states in which the later
actions of a sequence are taken (temporal recall); it is used in training only, as its Polyak average, and no gradient passes through it. What is
deployed is the actor alone, which may be asked for any number of actions: those of a shorter sequence are the first ones of a longer.

States are the features of the observation. Actions, also those that the actor is fed, are in [−1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.chunks import Chunks
from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.sequence import sequence_contract
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import OffPolicyConfig, check_finite, check_positive, check_widths, task_config
from isthmus_policies.networks import TwinMlp, mlp, polyak, xavier
from isthmus_policies.optimizer import FlatAdam, flatten
from isthmus_policies.replay import Batch
from isthmus_policies.sequence_actor import ExecutedAction, SequenceActor, SequencePolicy
from isthmus_policies.soft import SoftLearner, seeded

__all__ = ["Srl", "SrlConfig", "srl_config"]

LEAST_HORIZON = 30  # primitive actions that an exported policy plans at least; what the frequency-averaged score asks for


@dataclass(frozen=True, slots=True)
class SrlConfig(OffPolicyConfig):
    """Settings of the learner.

    Attributes:
        learning_rate: of all networks and the temperature (Adam), at the beginning.
        sequence: J, primitive actions per decision in training.
        actor_every: updates of critics and model per update of actor and temperature.
        hidden: width of the actor, whose memory is a gated recurrent unit.
        critic_hidden: widths of the hidden layers of the critics.
        model_hidden: widths of the hidden layers of the model.
    """

    learning_rate: float = 3e-4
    sequence: int = 8
    actor_every: int = 1
    hidden: int = 256
    critic_hidden: tuple[int, ...] = (256, 256)
    model_hidden: tuple[int, ...] = (400, 300)

    def __post_init__(self) -> None:
        OffPolicyConfig.__post_init__(self)  # super() does not find its way in a class with slots
        check_positive(self, "learning_rate")
        if self.n_step != 1:
            raise ValueError(f"n_step must be 1, because the model predicts one step, got {self.n_step}")
        for name in ("sequence", "actor_every", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        check_widths(self, "critic_hidden", "model_hidden")

    @property
    def horizon(self) -> int:
        """Primitive actions per decision of the exported policy."""
        return max(self.sequence, LEAST_HORIZON)


def srl_config(task: str) -> SrlConfig:
    """The tuned settings of a task, or the defaults if there are none."""
    return task_config(SrlConfig, task, "srl")


class Srl(SoftLearner):
    """See `Learner`.

    Attributes:
        algorithm: "srl".
        contract: of the task, for a policy that decides once per `config.horizon` primitive actions.
        warms_up_at_random: True.
    """

    algorithm = "srl"
    warms_up_at_random = True

    def __init__(self, contract: Contract, config: SrlConfig, seed: int = 0) -> None:
        """Draw the networks.

        Args:
            contract: of the task.
            config: settings.
            seed: of networks and exploration.

        Raises:
            ValueError: the task observes images, which the model does not predict.
        """
        if images := [signal.name for signal in contract.observation if signal.source == "image"]:
            raise ValueError(
                f"SRL learns a model of the observation, which cannot be images; task {contract.task!r} observes {', '.join(images)}"
            )
        super().__init__(sequence_contract(contract, config.horizon), config, seed)
        self._config = config
        self.encoder = FeatureEncoder(contract)  # the previous action is among the features only where the task itself observes it
        size, actions = self.encoder.size, len(contract.action.elements)
        with seeded(seed):
            self.actor = SequenceActor(size, actions, config.hidden)
            self.critic, self.target = (TwinMlp((size + actions, *config.critic_hidden, 1)) for _ in range(2))
            self.model, self.target_model = (mlp((size + actions, *config.model_hidden, size)) for _ in range(2))
            xavier(self.critic, self.model)
        self.target.load_state_dict(self.critic.state_dict())
        self.target_model.load_state_dict(self.model.state_dict())
        self._executed = ExecutedAction(self.contract)
        for network in (self.encoder, self.actor, self.critic, self.target, self.model, self.target_model, self._executed):
            network.to(self._device)
        self._critic_adam = FlatAdam([*self.critic.parameters()], config.learning_rate)
        self._model_adam = FlatAdam([*self.model.parameters()], config.learning_rate)
        self._actor_adam = FlatAdam([*self.actor.parameters(), self.log_alpha], config.learning_rate)
        self._target_vector, self._target_model_vector = (flatten([*network.parameters()]) for network in (self.target, self.target_model))
        self._updates = torch.zeros((), dtype=torch.int64)
        self._adams = {"critic": self._critic_adam, "model": self._model_adam, "actor": self._actor_adam}
        self._others = {"target": self._target_vector, "target_model": self._target_model_vector, "updates": self._updates}
        self._chunks = Chunks(0, config.sequence, actions)

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """The next action of each row's sequence, and a new sequence of J where there is none left; see `Learner.act`."""
        length = self._config.sequence
        if self._chunks.batch != len(fresh):
            self._chunks = Chunks(len(fresh), length, previous.shape[1], np.float32)
        self._chunks.drop(fresh)
        rows = np.flatnonzero(self._chunks.needs)
        if rows.size:
            with torch.no_grad():
                features = self.features({name: value[rows] for name, value in observation.items()})
                noise = self.noise(len(rows), length, previous.shape[1])
                actions, _ = self.actor(features, torch.from_numpy(previous[rows]).to(self._device), noise)
            self._chunks.put(rows, actions.numpy(force=True))
        action = self._chunks.next()
        assert action is not None  # noqa: S101 - every row has a sequence now
        return action

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step of critics, model and targets, and if due of actor and temperature; see `Learner.update`."""
        batch, other = draw().to(self._device), draw().to(self._device)
        with torch.no_grad():
            now, after = self.encoder(batch.observation).chunk(2)
            start, successor = self.encoder(other.observation).chunk(2)
        rows, actions = batch.action.shape
        noise, noise_after = self.noise(rows, self._config.sequence, actions), self.noise(rows, 1, actions)
        improves = int(self._updates) % self._config.actor_every == self._config.actor_every - 1
        near = self.near(start, successor) if improves else None
        followed = self._executed(other.observation)[rows:]

        def improve() -> tuple[Tensor, Tensor, Sequence[Tensor]]:
            actions, log_density = self.actor(start, other.previous, noise)
            loss = self.actor_loss(self.recall(start, actions), actions, log_density)
            together = loss + self.temperature_loss(log_density)
            if near is not None:
                plan, *plans = (
                    self.actor.deterministic(features, previous, self._config.sequence)
                    for features, previous in zip((start, *near), (other.previous, followed, other.previous), strict=True)
                )
                together = together + self.roughness(plan, torch.stack(plans))
            return loss, log_density, torch.autograd.grad(together, self._actor_adam.parameters)

        improvement = self._second.submit(improve) if improves else None
        executed = self._executed(batch.observation)[len(after) :]
        critic_loss = self.critic_loss(now, batch, self.soft_target(batch, after, executed, noise_after))
        critic_gradients = torch.autograd.grad(critic_loss, self._critic_adam.parameters)
        model_loss = self.model_loss(start, other.action, successor)
        model_gradients = torch.autograd.grad(model_loss, self._model_adam.parameters)
        losses = {
            "critic_loss": critic_loss.item(),
            "model_loss": model_loss.item(),
            "critic_gradient": self._critic_adam.take(critic_gradients),
            "model_gradient": self._model_adam.take(model_gradients),
        }
        if improvement:
            actor_loss, log_density, actor_gradients = improvement.result()
            losses |= {"actor_loss": actor_loss.item(), "entropy": -log_density.mean().item()}
            losses["actor_gradient"] = self._actor_adam.take(actor_gradients)
        check_finite(losses)
        self._updates += 1
        self._critic_adam.step(rate)
        self._model_adam.step(rate)
        if improvement:
            self._actor_adam.step(rate)
        polyak(self._target_vector, self._critic_adam.vector, self._config.tau)
        polyak(self._target_model_vector, self._model_adam.vector, self._config.tau)
        return {**losses, "alpha": self.log_alpha.exp().item()}

    @torch.no_grad()
    def soft_target(self, batch: Batch, after: Tensor, executed: Tensor, noise: Tensor) -> Tensor:
        """The target y = r + γ (1 − d) (min_i Q_θ̄i(s′, a′) − α ℓ′), a′ the first action of the sequence from s′ after what was executed, `[B]`."""
        actions, log_density = self.actor(after, executed, noise)
        value = self.target(torch.cat([after, actions[:, 0]], dim=1))[..., 0].amin(dim=0)
        return batch.reward + batch.discount * (value - self.log_alpha.exp() * log_density[:, 0])

    def critic_loss(self, now: Tensor, batch: Batch, target: Tensor) -> Tensor:
        """Σ_i E[(Q_i(s, a) − y)²], per primitive action."""
        values = self.critic(torch.cat([now, batch.action], dim=1))[..., 0]
        return (values - target).square().mean(dim=1).sum()

    def model_loss(self, now: Tensor, action: Tensor, successor: Tensor) -> Tensor:
        """E[(f_ψ(s, a) − s′)²]."""
        return functional.mse_loss(self.model(torch.cat([now, action], dim=1)), successor)

    @torch.no_grad()
    def recall(self, start: Tensor, actions: Tensor) -> Tensor:
        """Temporal recall: ŝ₁ = s, ŝ_{k+1} = f_ψ̄(ŝ_k, a_k), without gradient, `[B, J, F]`."""
        states = [start]
        for action in actions.unbind(dim=1)[:-1]:
            states.append(self.target_model(torch.cat([states[-1], action], dim=1)))
        return torch.stack(states, dim=1)

    def actor_loss(self, states: Tensor, actions: Tensor, log_density: Tensor) -> Tensor:
        """Σ_k E[α ℓ_k − min_i Q_i(ŝ_k, a_k)]; the gradient passes through the actions, also those that were fed back, and never through states."""
        value = self.critic(torch.cat([states, actions], dim=2).flatten(0, 1))[..., 0].amin(dim=0)
        return (self.log_alpha.detach().exp() * log_density - value.view_as(log_density)).mean(dim=0).sum()

    def policy(self) -> nn.Module:
        """The sequence of means; see `Learner.policy`."""
        return SequencePolicy(self.contract, self.encoder, self.actor)

    def summary(self) -> Mapping[str, Any]:
        """How many actions of a sequence to execute by default; see `Learner.summary`."""
        return {"sequence": self._config.sequence, "replan": self._config.sequence}
