"""One decision for several steps of a suite's environment, as published results from pictures have it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from isthmus.records import Array

__all__ = ["Repeat"]


class Repeat(gymnasium.Wrapper):
    """Takes each action several times, until the episode ends; rewards are summed, and a success in between is one."""

    def __init__(self, env: gymnasium.Env, times: int) -> None:
        """Wrap; `times` is how many steps an action lasts."""
        super().__init__(env)
        self._times = times

    def step(self, action: Array) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """See `gymnasium.Env.step`."""
        total, succeeded = 0.0, False
        for _ in range(self._times):
            seen, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            succeeded = succeeded or bool(info.get("success", False))
            if terminated or truncated or not np.isfinite(total):
                break
        return seen, total, terminated, truncated, {**info, "success": succeeded} if "success" in info else info
