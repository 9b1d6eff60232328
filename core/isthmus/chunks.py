"""Executes chunks of actions: each row has a counter of its own, and what becomes of one row changes nothing for the others.

Simulation, suites, analytic systems, training and ROS 2 all count with `Chunks`. A policy is asked only for the rows that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from isthmus.policy import Policy, RowPolicy
from isthmus.records import ActionChunk, Array

__all__ = ["Chunks", "act_on"]


class Chunks:
    """The chunks in execution.

    Attributes:
        batch: number of rows B.
        length: actions of a chunk that are executed before its row needs the next one.
        ended: rows `[B]` that need nothing any more; read only.
    """

    def __init__(self, batch: int, length: int, actions: int, dtype: type[np.floating] = np.float64) -> None:
        """Begin without any.

        Args:
            batch: number of rows B.
            length: actions of a chunk to execute.
            actions: elements A of an action.
            dtype: of the actions.
        """
        self.batch, self.length = batch, length
        self._actions = np.full((batch, length, actions), np.nan, dtype=dtype)
        self._used = np.full(batch, length)
        self.ended = np.zeros(batch, dtype=bool)
        self._rows = np.arange(batch)

    @property
    def needs(self) -> Array:
        """Rows `[B]` that the policy has to be asked for: nothing is left to execute, and they have not ended."""
        return np.asarray((self._used >= self.length) & ~self.ended)

    def begin(self) -> None:
        """All rows begin anew."""
        self._used[:], self.ended[:] = self.length, False

    def ask(self, policy: Policy, observation: Mapping[str, Array]) -> ActionChunk:
        """Let a policy decide for the rows that need it.

        Args:
            policy: decides.
            observation: of the whole batch, `[B, history, *shape]` per signal.

        Returns:
            what it decided for these n rows, in their order.

        Raises:
            ValueError: the actions are not `[n, H, A]`.
        """
        rows = np.flatnonzero(self.needs)
        some = observation if len(rows) == self.batch else {name: values[rows] for name, values in observation.items()}
        chunk = act_on(policy, some, rows)
        expected = (len(rows), policy.contract.horizon, self._actions.shape[2])
        if chunk.actions.shape != expected:
            raise ValueError(f"policy returned actions of shape {list(chunk.actions.shape)}, expected {list(expected)}")
        self.put(rows, chunk.actions)
        return chunk

    def put(self, rows: Array, actions: Array) -> None:
        """Take new chunks.

        Args:
            rows: indices `[n]`.
            actions: `[n, H, A]`, H >= `length`.
        """
        self._actions[rows], self._used[rows] = actions[:, : self.length], 0

    def drop(self, rows: Array | None = None) -> None:
        """Forget what is left of the chunks of a mask `[B]`; None means all."""
        self._used[slice(None) if rows is None else rows] = self.length

    def end(self, rows: Array) -> None:
        """The rows of a mask `[B]` need nothing any more until `begin`."""
        self._used[rows], self.ended[rows] = self.length, True

    def next(self) -> Array | None:
        """The next action of each row, `[B, A]`, NaN where nothing is left; None if that is so in all rows."""
        has = self._used < self.length
        if not has.any():
            return None
        action: Array = self._actions[self._rows, np.minimum(self._used, self.length - 1)]
        if not has.all():
            action[~has] = np.nan
        self._used[has] += 1
        return action


def act_on(policy: Policy, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
    """Ask a policy for some rows of a batch.

    A policy without memory acts on them as on any batch; one that keeps something per row is told which rows they are, see `RowPolicy`.

    Args:
        policy: decides.
        observation: of these rows only, `[n, history, *shape]` per signal.
        rows: their indices in the batch, `[n]`.
    """
    if hasattr(policy, "act_rows"):  # isinstance of a protocol takes longer than many a decision
        return cast(RowPolicy, policy).act_rows(observation, rows)
    return policy.act(observation)
