"""From a state to a plan: a plain network, whose output cannot leave the bounds of the controls."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from isthmus.arrays import center_and_half
from isthmus_controllers.npc.model import Model

__all__ = ["PlanNetwork"]

_LAYERS = 3


class PlanNetwork(torch.nn.Module):  # type: ignore[misc]
    """Three hidden layers of ReLU, and tanh at the end; states `[B, n]` → controls `[B, T, m]`.

    The encoded state is normalised by mean and spread of the states that a model begins in.
    """

    def __init__(self, model: Model, hidden: int) -> None:
        super().__init__()
        self._encode, self._horizon, self._hold = model.encode, model.horizon, model.hold
        self._shape = (-(-model.horizon // model.hold), len(model.controls))
        seen = np.asarray(model.encode(model.sample(2000, np.random.default_rng(0))))
        middle, reach = center_and_half(torch.tensor(model.low), torch.tensor(model.high))
        self.register_buffer("mean", torch.from_numpy(seen.mean(0)).float())
        self.register_buffer("spread", torch.from_numpy(np.maximum(seen.std(0), 1e-3)).float())
        self.register_buffer("middle", middle.float())
        self.register_buffer("reach", reach.float())
        widths = [seen.shape[1], *[hidden] * _LAYERS]
        layers: list[torch.nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(hidden, self._shape[0] * self._shape[1]))

    def forward(self, states: Any) -> Any:
        """Plan."""
        return self.bounded(self.unbounded(states))

    def unbounded(self, states: Any) -> Any:
        """What tanh is taken of, one row per control that is held, `[B, ⌈T / hold⌉, m]`."""
        features = (self._encode(states) - self.mean) / self.spread
        return self.layers(features).reshape(-1, *self._shape)

    def bounded(self, values: Any) -> Any:
        """Controls within their bounds, `[B, T, m]`."""
        controls = self.middle + self.reach * torch.tanh(values)
        return controls if self._hold == 1 else controls.repeat_interleave(self._hold, 1)[:, : self._horizon]
