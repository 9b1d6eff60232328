"""The one interface that a learner, a controller and a deployed file share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array

__all__ = ["Policy", "RowPolicy", "asked_observation", "batched"]


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

    Raises:
        ValueError: it is no mapping.
    """
    if not isinstance(observation, Mapping):
        raise ValueError(f"an observation maps names of signals to arrays, got a {type(observation).__name__}")
    known = {signal.name: signal for signal in contract.observation}
    values = {name: _array(name, value) for name, value in observation.items() if name in known}
    single = all(value.ndim == 1 + len(known[name].shape) for name, value in values.items())
    return {name: value[None] for name, value in values.items()} if single else values


def asked_observation(contract: Contract, observation: Mapping[str, Array], names: Collection[str] | None = None) -> dict[str, Array]:
    """What a policy is given, as its contract has it: its signals in their order, `[B, history, *shape]`.

    Args:
        contract: of the policy.
        observation: in SI units per signal name, also of a single environment; other keys are ignored.
        names: of the signals that the policy looks at; None means all.

    Raises:
        KeyError: a signal is missing.
        ValueError: it is no mapping, or a signal has no numbers, another shape than in the contract, another number of rows than the others, or is
            a picture of another type than uint8.
    """
    given = batched(contract, observation)
    asked: dict[str, Array] = {}
    batch = None
    for signal in contract.observation:
        if names is not None and signal.name not in names:
            continue
        if signal.name not in given:
            raise KeyError(f"signal {signal.name!r} is missing; given: {', '.join(given) or 'none'}")
        value = given[signal.name]
        if signal.source == "image" and value.dtype != np.uint8:
            raise ValueError(f"signal {signal.name!r} must be a picture of uint8, 0 … 255, got {value.dtype}")
        batch = (value.shape[0] if value.ndim else 0) if batch is None else batch
        expected = (batch, signal.history, *signal.shape)
        if value.shape != expected:
            raise ValueError(f"signal {signal.name!r} must be {list(expected)}, got {list(value.shape)}")
        asked[signal.name] = value
    return asked


def _array(name: str, value: object) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"signal {name!r} must be an array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"signal {name!r} must be an array of numbers, got {value!r:.60}")
    return array
