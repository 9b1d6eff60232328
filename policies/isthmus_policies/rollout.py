"""The memory of an on-policy learner: the newest control periods of all rows, learned from once and then forgotten.

What a period led to is kept beside it, so that an episode's last one is bootstrapped with what was really observed, not with the reset after it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from isthmus.contract import Contract
from isthmus.records import Array

__all__ = ["Rollout", "advantages"]


class Rollout:
    """T control periods of R rows.

    Attributes:
        observation: `[T, R, history, *shape]` per signal.
        following: what each period led to, likewise.
        action: as the learner drew it, `[T, R, A]`.
        reward: `[T, R]`.
        terminated: nothing is to be gained after the period, `[T, R]`.
        ended: the episode ended with it, or was cut, `[T, R]`.
        lost: it is no experience, `[T, R]`.
        hidden: what was drawn of the simulation for the episode, `[T, R, P]`.
    """

    def __init__(self, contract: Contract, periods: int, rows: int, hidden: int = 0) -> None:
        """Reserve the memory.

        Args:
            contract: gives signals and actions.
            periods: T.
            rows: R, of the environment.
            hidden: P.
        """
        shapes = {signal.name: (periods, rows, signal.history, *signal.shape) for signal in contract.observation}
        self._types = {signal.name: signal.dtype for signal in contract.observation}
        self.observation, self.following = ({name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()} for _ in range(2))
        self.action = np.zeros((periods, rows, len(contract.action.elements)), dtype=np.float32)
        self.reward = np.zeros((periods, rows), dtype=np.float32)
        self.hidden = np.zeros((periods, rows, hidden), dtype=np.float32)
        self.terminated, self.ended, self.lost = (np.zeros((periods, rows), dtype=bool) for _ in range(3))
        self._periods, self._at, self._known = periods, 0, 1

    @property
    def full(self) -> bool:
        """Whether it holds T periods, which are to be learned from and then cleared."""
        return self._at == self._periods

    def add(
        self,
        observation: Mapping[str, Array],
        previous: Array,
        action: Array,
        reward: Array,
        terminated: Array,
        truncated: Array,
        following: Mapping[str, Array],
        lost: Array | None = None,
        hidden: Array | None = None,
    ) -> None:
        """Remember one control period of all rows; see `Replay.add`."""
        at = self._at
        for name in self.observation:
            self.observation[name][at], self.following[name][at] = observation[name], following[name]
        self.action[at], self.reward[at] = action, reward
        self.hidden[at] = 0.0 if hidden is None else hidden
        self.lost[at] = False if lost is None else lost
        self.terminated[at], self.ended[at] = terminated & ~self.lost[at], terminated | truncated
        self._at += 1
        self._known = max(self._known, self._at)

    def cut(self) -> None:
        """All rows are about to be reset."""
        if self._at:
            self.ended[self._at - 1] = True

    def clear(self) -> None:
        """Begin anew."""
        self._at = 0

    def observations(self, count: int) -> dict[str, Array]:
        """Up to `count` observations of the newest periods, `[n, history, *shape]` per signal, in the signals' own types."""
        flat = {name: values[: self._known].reshape(-1, *values.shape[2:]) for name, values in self.observation.items()}
        size = self._known * self.reward.shape[1]
        chosen = np.linspace(0, size - 1, min(count, size)).astype(np.int64)
        return {name: values[chosen].astype(self._types[name]) for name, values in flat.items()}

    def state(self) -> dict[str, Tensor]:
        """What was remembered and not yet learned from."""
        return {name: torch.from_numpy(values[: self._at].copy()) for name, values in self._arrays().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember what `state` told."""
        self._at = len(state["reward"])
        for name, values in self._arrays().items():
            values[: self._at] = state[name].numpy()

    def _arrays(self) -> dict[str, Array]:
        named = {name: getattr(self, name) for name in ("action", "reward", "terminated", "ended", "lost", "hidden")}
        seen = {f"observation.{name}": values for name, values in self.observation.items()}
        return {**named, **seen, **{f"following.{name}": values for name, values in self.following.items()}}


def advantages(rollout: Rollout, value: Array, after: Array, gamma: float, trace: float) -> Array:
    """Generalised advantage estimates A_t = δ_t + γ λ A_{t+1}, δ_t = r_t + γ V(what followed) − V_t (Schulman et al., arXiv 1506.02438), `[T, R]`.

    V of what followed counts as 0 where the episode terminated, and as it is where it ended in any other way. The sum goes on over no end, and over
    no period that was lost.

    Args:
        rollout: full.
        value: V of each observation, `[T, R]`.
        after: V of what followed, `[T, R]`.
        gamma: γ.
        trace: λ.
    """
    error = rollout.reward + gamma * np.where(rollout.terminated, 0.0, after) - value
    found, later = np.zeros_like(error), np.zeros_like(error[0])
    for step in reversed(range(len(error))):
        found[step] = error[step] + gamma * trace * np.where(rollout.ended[step], 0.0, later)
        # A lost period has an advantage of no meaning, and the one before it is bootstrapped.
        later = np.where(rollout.lost[step], 0.0, found[step])
    return found
