"""Recorded experience beside the fresh one: a fixed share of every batch comes from each.

Ball et al., "Efficient Online Reinforcement Learning with Offline Data" (ICML 2023, arXiv 2302.02948), section 4.1: symmetric sampling, half of each
batch from the recordings and half from the replay. The learner's loss is its own and does not know which is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.actions import ActionScale
from isthmus_policies.replay import Batch, Replay

__all__ = ["Offline", "mix", "recorded_replay"]


class Episode(Protocol):
    """N control periods that followed each other.

    Attributes:
        observation: at the beginning of each, and at the end of the last one, `[N + 1, history, *shape]` per signal.
        action: what was asked for, `[N, A]`, SI.
        reward: `[N]`.
        terminated: whether nothing is to be gained after the last period.
    """

    @property
    def observation(self) -> Mapping[str, Array]: ...
    @property
    def action(self) -> Array: ...
    @property
    def reward(self) -> Array: ...
    @property
    def terminated(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Offline:
    """Recorded experience.

    Attributes:
        replay: the recordings.
        share: of each batch that is drawn from them, in (0, 1).
        identity: names recordings and share; a training is only resumed with the same ones.
    """

    replay: Replay
    share: float
    identity: str

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"the share of recordings in a batch must be in (0, 1), got {self.share}")

    def count(self, batch_size: int) -> int:
        """Transitions of a batch that come from the recordings.

        Raises:
            ValueError: all of them, or none.
        """
        count = round(self.share * batch_size)
        if not 0 < count < batch_size:
            raise ValueError(f"a share of {self.share} of batches of {batch_size} is {count}; both parts need at least 1")
        return count


def recorded_replay(contract: Contract, episodes: Sequence[Episode]) -> Replay:
    """A replay that holds exactly these episodes.

    Actions that were asked for beyond the contract's range are stored at its bound.

    Args:
        contract: what the learner observes and does.
        episodes: in any order.

    Raises:
        ValueError: there is no transition.
    """
    count = sum(len(episode.reward) for episode in episodes)
    if not count:
        raise ValueError("the recordings hold no transition: each needs two measurements, and an action asked for in between")
    replay = Replay(contract, count + len(episodes))
    scale = ActionScale(contract)
    for episode in episodes:
        actions = np.clip(scale.from_si(episode.action), -1, 1)
        before = np.concatenate([np.zeros_like(actions[:1]), actions[:-1]])
        for step, reward in enumerate(episode.reward):
            now, after = ({name: values[at : at + 1] for name, values in episode.observation.items()} for at in (step, step + 1))
            last = step + 1 == len(episode.reward)
            replay.add(
                now,
                scale.executed(now, before[step : step + 1]),
                actions[step : step + 1],
                np.array([reward]),
                np.array([last and episode.terminated]),
                np.array([last and not episode.terminated]),
                after,
            )
    return replay


def mix(fresh: Batch, recorded: Batch) -> Batch:
    """One batch of both, the fresh transitions first. Recorded ones have negative slots: −1 is the first of the recordings."""
    parts = (fresh, recorded)
    sizes = [len(part.reward) for part in parts]
    halves = {
        name: [
            half for end in (0, 1) for half in (part.observation[name].split(size)[end] for part, size in zip(parts, sizes, strict=True))
        ]
        for name in fresh.observation
    }
    return Batch(
        np.concatenate([fresh.slots, -1 - recorded.slots]),
        {name: torch.cat(tensors) for name, tensors in halves.items()},
        torch.cat([part.previous for part in parts]),
        torch.cat([part.action for part in parts]),
        torch.cat([part.reward for part in parts]),
        torch.cat([part.discount for part in parts]),
    )
