"""SAC of sbx (JAX) with its own defaults on a task of ours, for the race to a target in `learn.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from isthmus import ActionChunk
from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_policies.features import FeatureEncoder

__all__ = ["train_sbx_sac"]


def train_sbx_sac(contract: Contract, env: VecEnv, score: Callable[[Policy], object], *, steps: int, every: int, seed: int) -> None:
    """Train, and show the deterministic policy to `score` every so many control periods.

    Args:
        contract: of the task; no images, since sbx gets the features that our encoder computes and learns none.
        env: training environment, SI actions.
        score: ends the training by raising.
        steps: control periods.
        every: control periods between two scores.
        seed: of networks, exploration and replay.

    Raises:
        ModuleNotFoundError: sbx is not installed.
    """
    import sbx

    model = sbx.SAC("MlpPolicy", _Features(env, contract), seed=seed)
    model.learn(steps, callback=_Score(_Actor(contract, model), score, every))


class _Features(VecEnvWrapper):
    """An environment whose observations are the features `[num_envs, F]`."""

    def __init__(self, env: VecEnv, contract: Contract) -> None:
        self.encode = _encoder(contract)
        super().__init__(env, Box(-np.inf, np.inf, (FeatureEncoder(contract).size,), np.float32))

    def reset(self) -> Array:
        observation: Any = self.venv.reset()
        return self.encode(observation)

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        observation: Any
        observation, reward, done, infos = self.venv.step_wait()
        for row in np.flatnonzero(done):
            final = infos[row]["terminal_observation"]
            infos[row]["terminal_observation"] = self.encode({name: value[None] for name, value in final.items()})[0]
        return self.encode(observation), reward, done, infos


class _Actor:
    """The deterministic policy of this moment."""

    def __init__(self, contract: Contract, model: Any) -> None:
        self.contract = contract
        self._encode, self._model = _encoder(contract), model

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """One action."""
        actions, _ = self._model.predict(self._encode(observation), deterministic=True)
        return ActionChunk(np.asarray(actions, dtype=np.float64)[:, None])


class _Score(BaseCallback):
    def __init__(self, policy: Policy, score: Callable[[Policy], object], every: int) -> None:
        super().__init__()
        self._policy, self._score, self._every = policy, score, every

    def _on_step(self) -> bool:
        if self.num_timesteps % self._every == 0:
            self._score(self._policy)
        return True


def _encoder(contract: Contract) -> Callable[[Mapping[str, Array]], Array]:
    """Features `[B, F]` of an observation `[B, history, elements]` per signal."""
    encoder = FeatureEncoder(contract)

    def encode(observation: Mapping[str, Array]) -> Array:
        with torch.no_grad():
            return encoder({name: torch.as_tensor(np.asarray(value, dtype=np.float32)) for name, value in observation.items()}).numpy()

    return encode
