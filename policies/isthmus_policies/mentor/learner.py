"""DrQ-v2, DrM and MENTOR: one learner from pictures, of which the settings switch parts on and off.

DrQ-v2 (Yarats et al., arXiv 2107.09645): shifted pictures, n-step returns, twin critics, noise that falls; the encoder learns from the critics
alone. DrM (Xu et al., arXiv 2310.19668) adds the dormant ratio of the actor, which rules noise, exploitation and perturbation. MENTOR (Huang et
al., arXiv 2410.14972) adds experts and perturbs towards past good agents. All gradients of an update are taken at the same parameters; in the
authors' code the actor sees the critics after their step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.learner import check_finite
from isthmus_policies.mentor.actor import Actor, PixelPolicy
from isthmus_policies.mentor.augment import shifted
from isthmus_policies.mentor.config import MentorConfig
from isthmus_policies.mentor.critics import Critic, Value, expectile_loss
from isthmus_policies.mentor.dormancy import dormant_ratio
from isthmus_policies.mentor.encoder import PixelEncoder, orthogonal
from isthmus_policies.mentor.experts import MixtureOfExperts, Routing, balance_loss, released_balance_loss
from isthmus_policies.mentor.exploration import AWAKE, EDGE, bounded, dormant_noise, exploitation_weight, falling_noise, kept_share
from isthmus_policies.mentor.perturbation import TopAgents, blend, drawn_anew, is_perturbed
from isthmus_policies.networks import polyak
from isthmus_policies.optimizer import FlatAdam, flatten
from isthmus_policies.reactive import check_reactive
from isthmus_policies.replay import Batch
from isthmus_policies.soft import SoftLearner, seeded

__all__ = ["Mentor"]


class Mentor(SoftLearner):
    """See `Learner`; it has no temperature.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        contract: of the task.
        warms_up_at_random: True.
        encoder: pictures → codes.
        actor: codes → mean action.
        critic: codes and action → two values.
        target: the critics' Polyak average.
        value: exploitation value; None without.
        top: past good agents; None where perturbations do not ask for them.
        beta: dormant ratio of the actor in the last update, 1 before.
    """

    warms_up_at_random = True
    encoder: PixelEncoder

    def __init__(self, contract: Contract, config: MentorConfig, seed: int = 0, algorithm: str = "mentor") -> None:
        """Draw the networks.

        Args:
            contract: of the task.
            config: settings.
            seed: of networks and exploration.
            algorithm: its name on the command line.

        Raises:
            ValueError: the task decides once per several actions, or shows no pictures that fit.
        """
        check_reactive(contract, algorithm)
        super().__init__(contract, config, seed)
        self.algorithm, self._config = algorithm, config
        actions, sizes = len(contract.action.elements), (config.features, config.hidden)
        with seeded(seed):
            self.encoder = PixelEncoder(contract, config.channels, config.shrink, config.proprioception, algorithm)
            self.actor = Actor(self.encoder, actions, *sizes, _middle(config))
            self.critic, self.target = (Critic(self.encoder, actions, *sizes) for _ in range(2))
            self.value = Value(self.encoder, *sizes) if config.exploitation else None
            learned: list[nn.Module] = [self.actor, self.critic, *([self.value] if self.value else [])]
            orthogonal(self.encoder, *learned)
        self.target.load_state_dict(self.critic.state_dict())
        self._networks = [*learned, self.target]
        for network in (self.encoder, *self._networks):
            network.to(self._device)
        self._critic_adam = FlatAdam([*self.critic.parameters(), *self.encoder.parameters()], config.learning_rate)
        self._actor_adam = FlatAdam([*self.actor.parameters()], config.actor_rate * config.learning_rate)
        self._adams = {"critic": self._critic_adam, "actor": self._actor_adam}
        if self.value:
            self._adams = {**self._adams, "value": FlatAdam([*self.value.parameters()], config.learning_rate)}
        self._target_vector = flatten([*self.target.parameters()])
        self.beta = torch.ones((), dtype=torch.float64)
        self._updates, self._events, self._considered = (torch.zeros((), dtype=torch.int64) for _ in range(3))
        self._awake = torch.tensor(-1)  # updates after which the actor was awake for the first time; -1 before
        self._others = {
            "target": self._target_vector,
            "beta": self.beta,
            "updates": self._updates,
            "events": self._events,
            "considered": self._considered,
            "awake": self._awake,
        }
        self._perturbed = is_perturbed(self._networks)
        self.top = TopAgents(config.top, len(self._perturbed)) if config.perturbation == "task" else None
        self._news: dict[str, float] = {}

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """The mean action with noise; see `Learner.act`."""
        with torch.no_grad():
            mean = self.actor(self.features(observation))
            return (mean + self.sigma(float(self.beta)) * self.noise(*mean.shape)).clamp(-EDGE, EDGE).numpy(force=True)

    def sigma(self, beta: float) -> float:
        """Standard deviation of the exploration noise of this moment, with that dormant ratio."""
        config, updates = self._config, int(self._updates)
        if config.exploration == "dormant":
            return config.noise_scale * dormant_noise(beta)
        if config.exploration == "linear":
            return falling_noise(config.learning_starts + updates / config.update_ratio, config.noise_steps)
        if self._awake < 0:
            return dormant_noise(beta)
        return max(dormant_noise(beta), falling_noise((updates - int(self._awake)) / config.update_ratio, config.noise_steps))

    def exploitation(self, beta: float) -> float:
        """Weight of the exploitation value in targets, with that dormant ratio."""
        most = self._config.exploitation
        return exploitation_weight(beta, most) if self._config.exploitation_guided else most

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """One step of all networks; see `OffPolicyLearner.update`."""
        batch = draw().to(self._device)
        now, after = self.codes(batch)
        still = now.detach()
        beta = dormant_ratio(self.actor.outputs(still))
        sigma = self.sigma(beta)
        noise = sigma * self.noise(2, *batch.action.shape)
        kept, near = self._kept(len(batch.reward)), self.near(still, after)

        def improve() -> tuple[Tensor, Routing | None, Sequence[Tensor]]:
            mean, routing = self.actor.decide(still, kept)
            loss = whole = self.actor_loss(still, self.explored(mean, noise[0]))
            if routing is not None:
                whole = whole + self._config.balance * self.balance_loss(routing)
            if near is not None:
                whole = whole + self.roughness(mean, self.actor(near))
            return loss, routing, torch.autograd.grad(whole, self._actor_adam.parameters)

        improvement = self._second.submit(improve)
        critic_loss = self.critic_loss(now, batch, self.targets(batch, after, noise[1], beta))
        gradients = {"critic": torch.autograd.grad(critic_loss, self._critic_adam.parameters)}
        losses = {"critic_loss": critic_loss.item(), "dormant": beta, "sigma": sigma}
        if self.value:
            value_loss = self.value_loss(still, batch)
            gradients["value"] = torch.autograd.grad(value_loss, self._adams["value"].parameters)
            losses |= {"value_loss": value_loss.item(), "exploitation": self.exploitation(beta)}
        actor_loss, routing, gradients["actor"] = improvement.result()
        losses |= {"actor_loss": actor_loss.item(), **self._routing_told(routing)}
        longest = {"actor": self._config.actor_gradient or float("inf")}
        for name, adam in self._adams.items():
            losses[f"{name}_gradient"] = adam.take(gradients[name], longest.get(name, float("inf")))
        check_finite(losses)
        self._learned(beta, rate)
        return {**losses, **self._top_told(), **self._take_news()}

    def codes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the observations of a batch and, without gradient, of what followed, both shifted at random, `[B, E + P]` each."""
        count, most = len(batch.reward), self._config.shift
        offsets = torch.randint(0, 2 * most + 1, (2 * count, 2), generator=self._generator)
        seen = shifted(batch.observation, offsets, most)
        now = self.encoder({name: values[:count] for name, values in seen.items()})
        with torch.no_grad():
            return now, self.encoder({name: values[count:] for name, values in seen.items()})

    def explored(self, mean: Tensor, noise: Tensor) -> Tensor:
        """Mean actions with clipped noise, `[B, A]`."""
        return bounded(mean + noise.clamp(-self._config.noise_clip, self._config.noise_clip))

    @torch.no_grad()
    def targets(self, batch: Batch, after: Tensor, noise: Tensor, beta: float) -> Tensor:
        """The targets y = R + D (λ V(e′) + (1 − λ) min_i Q̄_i(e′, a′)), `[B]`."""
        explored = self.target(after, self.explored(self.actor(after), noise)).amin(dim=0)
        if self.value:
            explored = torch.lerp(explored, self.value(after), self.exploitation(beta))
        return batch.reward + batch.discount * explored

    def critic_loss(self, now: Tensor, batch: Batch, target: Tensor) -> Tensor:
        """L_Q = Σ_i E[(Q_i(e, a) − y)²]."""
        return (self.critic(now, batch.action) - target).square().mean(dim=1).sum()

    def actor_loss(self, now: Tensor, action: Tensor) -> Tensor:
        """L_π = −E[min_i Q_i(e, ã)]."""
        return -self.critic(now, action).amin(dim=0).mean()

    def value_loss(self, now: Tensor, batch: Batch) -> Tensor:
        """L_V, the expectile regression of V(e) on min_i Q_i(e, a)."""
        assert self.value is not None  # noqa: S101 - asked only where there is one
        with torch.no_grad():
            known = self.critic(now, batch.action).amin(dim=0)
        return expectile_loss(self.value(now) - known, self._config.expectile)

    def balance_loss(self, routing: Routing) -> Tensor:
        """The loss that has all experts used, without its weight."""
        return balance_loss(routing) if self._config.balance_loss == "batch" else released_balance_loss(routing)

    def ended(self, returns: Sequence[float]) -> None:
        """Remember the agent if it did well, and perturb it if that is due; see `Learner.ended`."""
        if self.top:
            for earned in returns:
                self.top.offer(earned, self.weights)
        every = max(round(self._config.perturb_every * self._config.update_ratio), 1)
        due = int(self._updates) // every
        if self._config.perturbation != "none" and due > self._considered:
            self._considered.fill_(due)
            if self.top is None or len(self.top.returns) > 1:
                self.perturb()

    def perturb(self) -> None:
        """Replace a part of the weights, and forget the averages of all optimisers; the encoder keeps its weights."""
        kept = kept_share(float(self.beta), self._config.perturb_most)
        blend(self.weights(), self.top.draw(self._generator) if self.top else self._begun(), kept, self._perturbed)
        for adam in self._adams.values():
            adam.clear()
        self._events += 1
        self._news = {"perturbation": float(self._events), "perturbation_kept": kept}

    def weights(self) -> list[Tensor]:
        """The live parameters of all networks but the encoder, in parts; what perturbations and `top` know."""
        critic = self._critic_adam.vector[: self._target_vector.numel()]
        value = [self._adams["value"].vector] if self.value else []
        return [self._actor_adam.vector, critic, *value, self._target_vector]

    def policy(self) -> nn.Module:
        """The actor's mean; see `Learner.policy`."""
        return PixelPolicy(self.contract, self.encoder, self.actor)

    def state(self) -> dict[str, Tensor]:
        """See `Learner.state`."""
        top = self.top.state() if self.top else {}
        return {**SoftLearner.state(self), **{f"top.{name}": tensor for name, tensor in top.items()}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `Learner.load`."""
        for name, tensor in SoftLearner.state(self).items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])
        if self.top:
            self.top.load({name.removeprefix("top."): tensor for name, tensor in state.items() if name.startswith("top.")})

    def _begun(self) -> Tensor:
        """Weights as at the beginning of a training, `[P]`."""
        return drawn_anew(self._networks, int(torch.randint(2**62, (), generator=self._generator)))

    def _kept(self, count: int) -> Tensor | None:
        """Factors of the router's hidden units in this update, `[B, r]`; None where none is left out."""
        config = self._config
        if config.experts == 1 or not config.router_dropout:
            return None
        drawn = torch.rand(count, config.router_width, generator=self._generator) >= config.router_dropout
        return (drawn / (1 - config.router_dropout)).to(self._device)

    def _learned(self, beta: float, rate: float) -> None:
        """Take the steps of an update."""
        if self._awake < 0 and beta < AWAKE:
            self._awake.copy_(self._updates)
        self.beta.fill_(beta)
        self._updates += 1
        for adam in self._adams.values():
            adam.step(rate)
        polyak(self._target_vector, self._critic_adam.vector[: self._target_vector.numel()], self._config.tau)

    def _routing_told(self, routing: Routing | None) -> dict[str, float]:
        if routing is None:
            return {}
        usage = {f"expert_{number}": share for number, share in enumerate(routing.usage().tolist())}
        return {"balance_loss": self.balance_loss(routing).item(), **usage}

    def _top_told(self) -> dict[str, float]:
        returns = self.top.returns if self.top else []
        return {"top_worst": min(returns), "top_mean": sum(returns) / len(returns), "top_best": max(returns)} if returns else {}

    def _take_news(self) -> dict[str, float]:
        """What is told once: a perturbation since the last update."""
        news, self._news = self._news, {}
        return news


def _middle(config: MentorConfig) -> nn.Linear | MixtureOfExperts:
    """The actor's second hidden layer."""
    if config.experts == 1:
        return nn.Linear(config.hidden, config.hidden)
    return MixtureOfExperts(config.hidden, config.experts, config.active, config.expert_width, config.router_width)
