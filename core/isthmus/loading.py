"""A policy file as something to call: `isthmus.load`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from isthmus.contract import Contract
from isthmus.policy import Policy, RowPolicy, batched
from isthmus.records import ActionChunk, Array

__all__ = ["load"]


def load(path: str | os.PathLike[str]) -> Policy:
    """The policy of a file. Its `act` also takes the observation of a single environment, without the axis of rows.

    Raises:
        ArtifactError: the file cannot be read, or is refused; a ValueError.
    """
    from isthmus.artifact import load_policy

    policy = load_policy(path)
    return _LoadedRows(policy) if isinstance(policy, RowPolicy) else _Loaded(policy)


class _Loaded:
    """Adds the axis of rows where it is missing."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.contract: Contract = policy.contract

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """See `Policy.reset`."""
        self._policy.reset(rows, seed)

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`; of a single environment's observation, `[history, *shape]` per signal, the actions are `[1, H, A]`."""
        return self._policy.act(batched(self.contract, observation))


class _LoadedRows(_Loaded):
    """Of a policy that keeps something per row."""

    _policy: RowPolicy

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """See `RowPolicy.act_rows`."""
        return self._policy.act_rows(batched(self.contract, observation), rows)
