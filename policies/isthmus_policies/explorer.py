"""The half of a training that acts: in all rows of the environment, remembering what came of it.

A stop of the guard ends an episode that could have gone on. What is observed there is where no experience ever goes on from, so its value would be
whatever a network makes up. As in evaluation (`isthmus_sim.returns`), each control period that is left counts as the worst that the episode had, and
at best as nothing; in training, where time limits are bootstrapped, all that are left are worth γ / (1 − γ) of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from isthmus.guard import HOLD, STOP
from isthmus_policies.actions import ActionScale
from isthmus_policies.environment import TrainingEnv
from isthmus_policies.learner import Learner
from isthmus_policies.memory import Memory

__all__ = ["Explorer"]

_RECENT = 20  # episodes whose mean return is told


class Explorer:
    """Acts as the learner says, or at random, and puts each transition into the memory."""

    def __init__(self, learner: Learner, env: TrainingEnv, memory: Memory, generator: np.random.Generator, gamma: float) -> None:
        """Prepare; `begin_episodes` comes before the first control period.

        Args:
            learner: decides.
            env: where it acts.
            memory: gets the transitions.
            generator: of the actions at random.
            gamma: discount per control period.
        """
        self._left = gamma / (1 - gamma)  # what all control periods after a stop are worth, in rewards
        self._learner, self._env, self._memory, self._generator = learner, env, memory, generator
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
        self._return, self._worst = np.zeros(self._rows), np.zeros(self._rows)

    def advance(self, share: float, at_random: bool, enough: Callable[[], bool] = lambda: False) -> bool:
        """One control period of all rows; False if nothing was done, as nothing may begin any more.

        Args:
            share: of the training that is done, 0 … 1.
            at_random: whether actions are uniform instead of the learner's.
            enough: whether nothing may begin any more.
        """
        if begin := getattr(self._env, "begin", None):
            if (begun := begin(enough)) is None:
                return False
            self._observation = begun
        observation, previous = self._observation, self._scale.executed(self._observation, self._previous)
        if at_random:
            action = self._generator.uniform(-1, 1, (self._rows, self._scale.size)).astype(np.float32)
        else:
            action = self._learner.act(observation, previous, self._fresh)
        self._env.progress = share
        hidden = self._env.hidden.copy()  # of the episode that may end now
        bounded = np.clip(action, -1, 1)
        self._observation, reward, terminated, truncated, info = self._env.step(self._scale.to_si(bounded))
        if "executed" in info:
            action = bounded = np.clip(self._scale.from_si(info["executed"]), -1, 1)
        ended = terminated | truncated
        following = info["final_obs"] if ended.any() else self._observation
        lost = np.zeros(self._rows, dtype=bool)
        for mark in ("diverged", "invalid"):
            lost |= info.get(mark, False)
        self._worst = np.minimum(self._worst, reward)
        worth, stopped = reward, info["rung"] == STOP if "rung" in info else ended & False
        if np.count_nonzero(stopped):
            worth = np.where(stopped, reward + self._left * self._worst, reward)
            terminated, truncated = terminated | stopped, truncated & ~stopped
        self._memory.add(observation, previous, action, worth, terminated, truncated, following, lost, hidden)
        self._previous = np.where(ended[:, None], np.float32(0), bounded)
        self._fresh = ended | (info["rung"] >= HOLD) if "rung" in info else ended
        if ended.any():
            self._learner.ended((self._return + worth)[ended & ~lost].tolist())
        self._return += reward
        self._returns.extend(self._return[ended].tolist())
        self._return[ended] = self._worst[ended] = 0.0
        return True
