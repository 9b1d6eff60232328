"""The actor of sequence RL, which emits primitive actions one after the other, and the graph that is exported of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.contract import Contract
from isthmus.sequence import PREVIOUS
from isthmus_policies.actions import ActionRange
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.networks import LOG_STD, mlp, squash, xavier

__all__ = ["ExecutedAction", "SequenceActor", "SequencePolicy"]


class SequenceActor(nn.Module):
    """Emits actions one after the other: h₀ = W₂ ReLU(W₁ s), h_k = GRU(a_{k−1}, h_{k−1}), a_k = tanh(μ(h_k) + σ(h_k) ε_k)."""

    def __init__(self, features: int, actions: int, hidden: int) -> None:
        """Draw the weights.

        Args:
            features: of a state.
            actions: A.
            hidden: width.
        """
        super().__init__()
        self.start = mlp((features, hidden, hidden))
        self.cell = nn.GRUCell(actions, hidden)
        self.mean, self.log_std = nn.Linear(hidden, actions), nn.Linear(hidden, actions)
        xavier(self.start, self.mean, self.log_std)

    def forward(self, features: Tensor, previous: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A drawn sequence.

        Args:
            features: s, `[B, F]`.
            previous: a₀, the action executed before it, `[B, A]`.
            noise: ε, `[B, n, A]`.

        Returns:
            actions `[B, n, A]` and log-densities `[B, n]`, each given the actions before it.
        """
        hidden, action = self.start(features), previous
        actions, densities = [], []
        for epsilon in noise.unbind(dim=1):
            hidden = self.advance(action, hidden)
            action, density = squash(self.mean(hidden), self.log_std(hidden).clamp(*LOG_STD), epsilon)
            actions.append(action)
            densities.append(density)
        return torch.stack(actions, dim=1), torch.stack(densities, dim=1)

    def deterministic(self, features: Tensor, previous: Tensor, length: int) -> Tensor:
        """The sequence of means `[B, length, A]`, each fed to the next; the arguments are those of `forward`."""
        hidden, action = self.start(features), previous
        actions = []
        for _ in range(length):
            hidden = self.advance(action, hidden)
            action = torch.tanh(self.mean(hidden))
            actions.append(action)
        return torch.stack(actions, dim=1)

    def advance(self, action: Tensor, hidden: Tensor) -> Tensor:
        """The next h, `[B, hidden]`: the recurrence of `torch.nn.GRUCell`, written out because that one cannot be exported."""
        cell, sizes = self.cell, (2 * self.cell.hidden_size, self.cell.hidden_size)
        gates_of_action, new_of_action = functional.linear(action, cell.weight_ih, cell.bias_ih).split(sizes, dim=1)
        gates_of_hidden, new_of_hidden = functional.linear(hidden, cell.weight_hh, cell.bias_hh).split(sizes, dim=1)
        reset, keep = torch.sigmoid(gates_of_action + gates_of_hidden).chunk(2, dim=1)
        new = torch.tanh(new_of_action + reset * new_of_hidden)
        return new + keep * (hidden - new)


class ExecutedAction(nn.Module):
    """The action that was executed before an observation, as that shows it; not what was asked for where a guard acted.

    Attributes:
        range: of the actions.
    """

    def __init__(self, contract: Contract) -> None:
        """Read the bounds; the contract observes the previous action."""
        super().__init__()
        self._name = next(signal.name for signal in contract.observation if signal.source == PREVIOUS)
        self.range = ActionRange(contract)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """`[B, A]` in [−1, 1]."""
        return self.range.from_si(observation[self._name][:, -1])


class SequencePolicy(nn.Module):
    """The actor's sequence of means, unrolled over the horizon of the contract, in SI units."""

    def __init__(self, contract: Contract, encoder: FeatureEncoder, actor: SequenceActor) -> None:
        """Bind.

        Args:
            contract: observes the previous action; gives horizon and range of the actions.
            encoder: observation → features.
            actor: emits the sequence.
        """
        super().__init__()
        self.encoder, self.actor, self.executed = encoder, actor, ExecutedAction(contract)
        self._horizon = contract.horizon

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Actions `[B, horizon, A]`."""
        actions = self.actor.deterministic(self.encoder(observation), self.executed(observation), self._horizon)
        return self.executed.range.to_si(actions)
