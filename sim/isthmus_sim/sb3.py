"""Adapter to the vector environments of stable-baselines3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from isthmus.records import Array

if TYPE_CHECKING:
    from isthmus_sim.suites import SuiteVectorEnv
    from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["Sb3VecEnv"]


class Sb3VecEnv(VecEnv):
    """Our vector environments as stable-baselines3 expects them: one info dictionary per row, final observations and time limits in them."""

    def __init__(self, env: TaskVectorEnv | SuiteVectorEnv, seed: int | None = None) -> None:
        """Wrap.

        Args:
            env: closed with the adapter.
            seed: of the first reset.

        Raises:
            ValueError: the environments are no vector of ours.
        """
        if not isinstance(env, VectorEnv):
            raise ValueError(f"env must be what make_vec(TASK, NUM_ENVS) returns, got {env!r}")
        self._env = env  # the base class asks it for its render mode
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._seed = seed
        self._actions: Array = np.zeros((env.num_envs, *env.single_action_space.shape))

    def reset(self) -> dict[str, Array]:
        """Begin all episodes."""
        observation, _ = self._env.reset(seed=self._seed)
        self._seed = None
        return observation

    def step_async(self, actions: Array) -> None:
        """Remember the actions, `[num_envs, A]`."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, Array], Array, Array, list[dict[str, Any]]]:
        """Step all rows; a row that ends on its time limit says so in `TimeLimit.truncated`, one whose period is no experience in `lost`."""
        observation, reward, terminated, truncated, info = self._env.step(self._actions)
        done = terminated | truncated
        lost = info["diverged"] | info["invalid"]
        infos: list[dict[str, Any]] = [{"lost": bool(row)} for row in lost]
        for row, success in enumerate(info.get("success", ())):  # not every suite knows success
            infos[row]["is_success"] = bool(success)
        for row in map(int, np.flatnonzero(done)):
            infos[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
            infos[row]["terminal_observation"] = {name: value[row] for name, value in info["final_obs"].items()}
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute, once per row."""
        return [getattr(self._env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the shared environment."""
        setattr(self._env, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the shared environment once, and return its result once per row."""
        result = getattr(self._env, method_name)(*method_args, **method_kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """No row is wrapped."""
        return [False] * len(list(self._get_indices(indices)))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset; row i draws from `seed + i`."""
        self._seed = seed
        return [None if seed is None else seed + row for row in range(self.num_envs)]
