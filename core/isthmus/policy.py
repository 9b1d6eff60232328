"""The one interface that a learner, a controller and a deployed file share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array

__all__ = ["Policy"]


@runtime_checkable
class Policy(Protocol):
    """Maps observations to a chunk of actions. It has no clock, no ROS and no memory.

    Everything a policy remembers is in the `ObservationBuilder` that feeds it, so the same file behaves alike in training, in evaluation and on
    a robot. A solver may keep a warm start per row; it may change the result within the solver's tolerance only.

    Attributes:
        contract: what the policy consumes and produces.
    """

    contract: Contract

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Forget caches.

        Args:
            rows: indices of the rows that begin a new episode; None means all.
            seed: seed of a stochastic policy; None keeps its generator.
        """

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Decide.

        Args:
            observation: `[B, history, *shape]` in SI units per signal name of the contract.

        Returns:
            actions `[B, H, A]` in SI units, H = `contract.horizon`, with diagnostics.
        """
        ...
