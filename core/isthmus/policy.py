"""The one interface that a learner, a controller and a deployed file share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array

__all__ = ["Policy", "RowPolicy", "batched"]


@runtime_checkable
class Policy(Protocol):
    """Maps observations to a chunk of actions. It has no clock, no ROS and no memory.

    Everything a policy remembers is in the `ObservationBuilder` that feeds it, so the same file behaves alike in training, in evaluation and on
    a robot. A solver may keep a warm start per row, and a search random numbers per row: such a policy is a `RowPolicy`.

    Attributes:
        contract: what the policy consumes and produces.
    """

    contract: Contract

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Forget caches.

        Args:
            rows: indices of the rows that begin a new episode; None means all.
            seed: of a stochastic policy: the i-th of the rows draws from `seed + i`; None keeps the generators.
        """

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Decide.

        Args:
            observation: `[B, history, *shape]` in SI units per signal name of the contract.

        Returns:
            actions `[B, H, A]` in SI units, H = `contract.horizon`, with diagnostics.
        """
        ...


@runtime_checkable
class RowPolicy(Policy, Protocol):
    """A policy that keeps something per row: a warm start, which may change the result within the solver's tolerance, or a random generator.

    It is told which rows of the batch it is asked for; what it keeps of the others stays as it is. So a row of a batch decides what it would decide
    alone.
    """

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """Decide for some rows of the batch.

        `Policy.act` is told none. It has the warm starts of rows 0 … B - 1, and all of its random numbers are those of row 0, so that equal
        observations give equal actions wherever they stand.

        Args:
            observation: of these rows only, `[n, history, *shape]` in SI units per signal name of the contract.
            rows: their indices in the batch, `[n]`, as in `reset`.

        Returns:
            actions `[n, H, A]`, see `Policy.act`.
        """
        ...


def batched(contract: Contract, observation: Mapping[str, Array]) -> dict[str, Array]:
    """An observation with its axis of rows: that of a single environment, `[history, *shape]` per signal, becomes one row.

    Signals that are not in the contract are left out, and those that are missing stay so: it is the policy that says what it needs.
    """
    known = {signal.name: signal for signal in contract.observation}
    values = {name: np.asarray(value) for name, value in observation.items() if name in known}
    single = all(value.ndim == 1 + len(known[name].shape) for name, value in values.items())
    return {name: value[None] for name, value in values.items()} if single else values
