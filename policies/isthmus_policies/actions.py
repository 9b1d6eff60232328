"""Between actions of [−1, 1], which learners choose and store, and SI units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.arrays import center_and_half
from isthmus.contract import Contract
from isthmus.records import Array

__all__ = ["ActionRange", "ActionScale"]


class ActionScale:
    """Maps between both.

    Attributes:
        size: number of actions A.
    """

    def __init__(self, contract: Contract) -> None:
        """Read the bounds.

        Args:
            contract: gives the action, and the signal that shows the executed one if there is any.
        """
        self._center, self._half = center_and_half(np.array(contract.action.low), np.array(contract.action.high))
        self.size = len(self._center)
        self._shown = next((signal.name for signal in contract.observation if signal.source == "previous_action"), None)

    def to_si(self, action: Array) -> Array:
        """`[rows, A]` in SI units."""
        return np.asarray(self._center + self._half * action, dtype=np.float32)

    def from_si(self, action: Array) -> Array:
        """`[rows, A]` in [−1, 1], beyond it where the action is beyond the contract's range."""
        return np.asarray((action - self._center) / self._half, dtype=np.float32)

    def executed(self, observation: Mapping[str, Array], chosen: Array) -> Array:
        """What was really executed before an observation, `[rows, A]` in [−1, 1]: as the contract shows it, else what was chosen."""
        if self._shown is None:
            return chosen
        return self.from_si(observation[self._shown][:, -1])


class ActionRange(nn.Module):
    """The same within a graph.

    Attributes:
        center: of each action's range, SI, `[A]`.
        half_range: half of each range, SI, `[A]`.
    """

    center: Tensor
    half_range: Tensor

    def __init__(self, contract: Contract) -> None:
        """Read the bounds."""
        super().__init__()
        center, half = center_and_half(torch.tensor(contract.action.low), torch.tensor(contract.action.high))
        self.register_buffer("center", center)
        self.register_buffer("half_range", half)

    def to_si(self, action: Tensor) -> Tensor:
        """`[…, A]` in SI units."""
        return self.center + self.half_range * action

    def from_si(self, action: Tensor) -> Tensor:
        """`[…, A]` in [−1, 1]."""
        return (action - self.center) / self.half_range
