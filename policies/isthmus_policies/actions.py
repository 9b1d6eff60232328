"""Between actions of [−1, 1], which learners choose and store, and SI units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array

__all__ = ["ActionScale"]


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
        low, high = np.array(contract.action.low), np.array(contract.action.high)
        self.size = len(low)
        self._center, self._half = (high + low) / 2, (high - low) / 2
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
