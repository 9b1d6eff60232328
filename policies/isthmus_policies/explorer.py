"""The half of a training that acts: in all rows of the environment, remembering what came of it."""

from __future__ import annotations

from collections import deque

import numpy as np

from isthmus.guard import HOLD
from isthmus_policies.actions import ActionScale
from isthmus_policies.environment import TrainingEnv
from isthmus_policies.learner import Learner
from isthmus_policies.replay import Replay

__all__ = ["Explorer"]

_RECENT = 20  # episodes whose mean return is told


class Explorer:
    """Acts as the learner says, or at random, and puts each transition into the replay memory."""

    def __init__(self, learner: Learner, env: TrainingEnv, replay: Replay, generator: np.random.Generator) -> None:
        """Prepare; `begin_episodes` comes before the first control period.

        Args:
            learner: decides.
            env: where it acts.
            replay: gets the transitions.
            generator: of the actions at random.
        """
        self._learner, self._env, self._replay, self._generator = learner, env, replay, generator
        self._rows = env.num_envs
        self._scale = ActionScale(learner.contract)
        self._returns: deque[float] = deque(maxlen=_RECENT)

    @property
    def recent_return(self) -> float | None:
        """Mean return of the newest episodes; None before the first has ended."""
        return float(np.mean(self._returns)) if self._returns else None

    def begin_episodes(self, seed: int, share: float) -> None:
        """Reset all rows.

        Args:
            seed: of the episodes.
            share: of the training that is done, 0 … 1.
        """
        self._env.progress = share
        self._observation, _ = self._env.reset(seed=seed)
        self._previous = np.zeros((self._rows, self._scale.size), dtype=np.float32)
        self._fresh = np.ones(self._rows, dtype=bool)
        self._return = np.zeros(self._rows)

    def advance(self, share: float, at_random: bool) -> None:
        """One control period of all rows.

        Args:
            share: of the training that is done, 0 … 1.
            at_random: whether actions are uniform instead of the learner's.
        """
        observation, previous = self._observation, self._scale.executed(self._observation, self._previous)
        if at_random:
            action = self._generator.uniform(-1, 1, (self._rows, self._scale.size)).astype(np.float32)
        else:
            action = self._learner.act(observation, previous, self._fresh)
        self._env.progress = share
        self._observation, reward, terminated, truncated, info = self._env.step(self._scale.to_si(action))
        ended = terminated | truncated
        following = info["final_obs"] if ended.any() else self._observation
        lost = np.zeros(self._rows, dtype=bool)
        for mark in ("diverged", "invalid"):
            lost |= info.get(mark, False)
        self._replay.add(observation, previous, action, reward, terminated, truncated, following, lost)
        self._previous = np.where(ended[:, None], np.float32(0), action)
        self._fresh = ended | (info["rung"] >= HOLD) if "rung" in info else ended
        self._return += reward
        self._returns.extend(self._return[ended].tolist())
        self._return[ended] = 0.0
