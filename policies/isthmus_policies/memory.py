"""What a training remembers, and what learns from it: everything for off-policy learners, the newest rollout for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from torch import Tensor

from isthmus.records import Array
from isthmus_policies.bc import BcConfig
from isthmus_policies.environment import TrainingEnv
from isthmus_policies.learner import Learner, LearnerConfig, OffPolicyConfig, OffPolicyLearner
from isthmus_policies.offline import Offline
from isthmus_policies.on_policy import OnPolicyUpdater
from isthmus_policies.ppo import Ppo, PpoConfig
from isthmus_policies.replay import Replay
from isthmus_policies.rollout import Rollout
from isthmus_policies.updater import Updater

__all__ = ["Memory", "Updates", "memory_for"]


class Memory(Protocol):
    """Gets every control period; `Replay` explains the methods."""

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
        """Remember one control period of all rows; `hidden` is what was drawn of the simulation for their episodes, `[rows, P]`."""
        ...

    def cut(self) -> None:
        """All rows are about to be reset."""
        ...

    def observations(self, count: int) -> dict[str, Array]:
        """Up to `count` observations."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What was remembered."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember what `state` told."""
        ...


class Updates(Protocol):
    """Learns from a memory.

    Attributes:
        updates: done so far.
    """

    updates: int

    def advance(self, step: int, share: float) -> Iterator[Mapping[str, float]]:
        """All updates that are due after `step` control periods, of a training of which a `share` is done; gives the losses of each."""
        ...


class Recorded:
    """Recordings alone: nothing is added to them, and they are read again where a training goes on."""

    def __init__(self, replay: Replay) -> None:
        """Hold the recordings."""
        self._replay = replay

    def add(self, *_: Any) -> None:
        """See `Memory.add`."""
        raise ValueError("nothing acts in a training from recordings alone")

    def cut(self) -> None:
        """See `Memory.cut`."""

    def observations(self, count: int) -> dict[str, Array]:
        """See `Memory.observations`."""
        return self._replay.observations(count)

    def state(self) -> dict[str, Tensor]:
        """See `Memory.state`."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `Memory.load`."""


def memory_for(
    learner: Learner, env: TrainingEnv, offline: Offline | None, config: LearnerConfig, generator: np.random.Generator, out: Path
) -> tuple[Memory, Updates]:
    """The memory of a training, and what learns from it.

    Args:
        learner: what learns.
        env: where it acts.
        offline: recorded experience; for off-policy learners only.
        config: the learner's settings.
        generator: draws batches.
        out: folder for the state of a training that diverged, and for the file of many pictures.

    Raises:
        ValueError: recordings for a learner that cannot use them, or none for one that has nothing else; more pictures than there is memory for.
    """
    if isinstance(config, BcConfig):
        if offline is None:
            raise ValueError("bc does what recordings did; give them with --offline, or ask for some of the task's script with --scripted")
        return Recorded(offline.replay), Updater(cast(OffPolicyLearner, learner), offline.replay, None, config, generator, out)
    if isinstance(config, OffPolicyConfig):
        replay = Replay(learner.contract, min(config.buffer_size, 2 * config.steps), env.num_envs, out)
        return replay, Updater(cast(OffPolicyLearner, learner), replay, offline, config, generator, out)
    if offline:
        raise ValueError(f"{learner.algorithm} learns from what its own policy does, and cannot use recordings; leave --offline out")
    assert isinstance(learner, Ppo)  # noqa: S101 - there is no other
    assert isinstance(config, PpoConfig)  # noqa: S101
    rollout = Rollout(learner.contract, config.periods, env.num_envs, learner.hidden)
    return rollout, OnPolicyUpdater(learner, rollout, generator, out)
