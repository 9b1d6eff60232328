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
_STREAM = 5  # keeps these draws apart from others of the same seed


class Agent:
    """A policy that hardly looks: "zero" asks for rest, "random" for anything, "sine" for slow waves, one frequency per element.

    Unlike a policy it counts time itself, per row (`isthmus.policy.RowPolicy`).

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
        self._seed = 0
        self._times: dict[int, float] = {}
        self._generators: dict[int, np.random.Generator] = {}

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Begin again; see `Policy.reset`."""
        if rows is None:
            self._seed = self._seed if seed is None else seed
            self._times, self._generators = {}, {}
            return
        for place, row in enumerate(np.asarray(rows).tolist()):
            self._times[row] = 0.0
            self._generators[row] = np.random.default_rng([row if seed is None else seed + place, _STREAM])

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """The next action for every row, `[B, H, A]`, equal over the horizon."""
        return self.act_rows(observation, np.arange(len(next(iter(observation.values())))))

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """As `act`, for these rows of a batch."""
        action = np.stack([self._next(row) for row in rows.tolist()])
        return ActionChunk(np.repeat(action[:, None], self.contract.horizon, axis=1))

    def _next(self, row: int) -> Array:
        """What a row asks for now, `[A]`."""
        if row not in self._times:
            self.reset(np.array([row]), self._seed + row)
        time = self._times[row]
        self._times[row] = time + self.contract.control_period * self.contract.horizon
        if self._name == "random":
            return self._generators[row].uniform(self._low, self._high)
        if self._name == "zero":
            return self._rest
        elements = len(self._rest)
        frequency = 2 * np.pi / _PERIOD * (1 + np.arange(elements) / elements)
        room = 0.5 * np.minimum(self._high - self._rest, self._rest - self._low)
        return np.asarray(self._rest + room * np.sin(frequency * time))
