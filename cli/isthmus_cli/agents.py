"""What moves a robot when there is no policy: for looking at a task, not for solving it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus import strict
from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array

__all__ = ["AGENTS", "Agent"]

AGENTS = ("zero", "random", "sine")
_PERIOD = 4.0  # s, of the slowest sine


class Agent:
    """A policy that hardly looks: "zero" asks for rest, "random" for anything, "sine" for slow waves, one frequency per element.

    Unlike a policy it counts time itself.

    Attributes:
        contract: of the task.
    """

    def __init__(self, name: str, contract: Contract) -> None:
        """Choose.

        Args:
            name: one of `AGENTS`.
            contract: of the task.

        Raises:
            ValueError: unknown name; the message lists the known ones.
        """
        if name not in AGENTS:
            raise ValueError(f"unknown agent {name!r}; {strict.suggest(name, AGENTS)}")
        self.contract = contract
        self._name = name
        self._low, self._high = np.array(contract.action.low), np.array(contract.action.high)
        start = [contract.start[joint][0] if joint in contract.start else 0.0 for joint in contract.action.elements]
        rest = np.array(start) if contract.mode == "position" else np.zeros(len(self._low))
        self._rest = np.clip(rest, self._low, self._high)
        self.reset()

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Begin again."""
        self._generator = np.random.default_rng(seed)
        self._time = 0.0

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """The next action for every row, `[B, H, A]`, equal over the horizon."""
        batch, elements = len(next(iter(observation.values()))), len(self._rest)
        action = np.tile(self._rest, (batch, 1))
        if self._name == "random":
            action = self._generator.uniform(self._low, self._high, (batch, elements))
        elif self._name == "sine":
            frequency = 2 * np.pi / _PERIOD * (1 + np.arange(elements) / elements)
            room = 0.5 * np.minimum(self._high - self._rest, self._rest - self._low)
            action += room * np.sin(frequency * self._time)
        self._time += self.contract.control_period * self.contract.horizon
        return ActionChunk(np.repeat(action[:, None], self.contract.horizon, axis=1))
