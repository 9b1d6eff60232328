"""Soft actor-critic with robustness as its reward, on the tasks `stl:…`: what a user of reinforcement learning would try.

An episode is as long as a plan; the reward comes at its end, and is the exact robustness of what was executed, within ±1. The policy sees what the
planning network sees. stable-baselines3 with its defaults, but for several environments and updates at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecEnv

from isthmus.records import ActionChunk, Array
from isthmus_controllers import stl
from isthmus_sim.systems import System, system_contract

__all__ = ["RobustnessSac", "train_sac_on"]

ROWS = 16
STEPS = 48_000
UPDATES = 4  # per step of all rows


class _SystemRows(VecEnv):  # type: ignore[misc]
    """Rows of one system that begin and end together."""

    def __init__(self, system: System, mean: Array, spread: Array) -> None:
        self._system, self._mean, self._spread = system, mean, spread
        self._formula, self._draw = stl.parse(system.specification), np.random.default_rng(0)
        box = gymnasium.spaces.Box
        super().__init__(ROWS, box(-10, 10, mean.shape), box(-1, 1, (len(system.controls),)))

    def reset(self) -> Array:
        self._states = [self._system.sample(ROWS, self._draw)]
        return self._seen()

    def step_async(self, actions: Array) -> None:
        self._states.append(self._system.step(self._states[-1], scaled(self._system, actions)))

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        over, reward = len(self._states) > self._system.horizon, np.zeros(ROWS)
        infos: list[dict[str, Any]] = [{} for _ in range(ROWS)]
        if over:
            signals = self._system.signals(np.stack(self._states, 1)[:, self._system.first :])
            reward = np.clip(stl.robustness(self._formula, signals, end=self._system.end), -1, 1)
            infos = [{"terminal_observation": seen} for seen in self._seen()]
            return self.reset(), reward, np.ones(ROWS, dtype=bool), infos
        return self._seen(), reward, np.zeros(ROWS, dtype=bool), infos

    def _seen(self) -> Array:
        return normalised(self._system, self._states[-1], self._mean, self._spread)

    def close(self) -> None: ...

    def get_attr(self, name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, name, None)] * ROWS

    def set_attr(self, name: str, value: Any, indices: Any = None) -> None: ...

    def env_method(self, name: str, *arguments: Any, indices: Any = None, **named: Any) -> list[Any]:
        return [None] * ROWS

    def env_is_wrapped(self, wrapper: Any, indices: Any = None) -> list[bool]:
        return [False] * ROWS

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        self._draw = np.random.default_rng(seed)
        return [seed] * ROWS


def scaled(system: System, actions: Array) -> Array:
    """From −1 … 1 to the bounds of the controls."""
    low, high = np.array(system.low), np.array(system.high)
    return np.asarray(low + (np.asarray(actions, dtype=np.float64) + 1) / 2 * (high - low))


def normalised(system: System, state: Array, mean: Array, spread: Array) -> Array:
    """What the policy sees of states `[B, n]`."""
    return np.clip((system.encode(state) - mean) / spread, -10, 10).astype(np.float32)


class RobustnessSac:
    """The trained policy, one control per decision.

    Attributes:
        contract: of the system, with a horizon of 1.
    """

    def __init__(self, system: System, model: SAC, mean: Array, spread: Array) -> None:
        self.contract = system_contract(system, 1)
        self._system, self._model, self._mean, self._spread = system, model, mean, spread

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """The mean action."""
        state = np.asarray(observation["state"], dtype=np.float64)[:, -1]
        actions, _ = self._model.predict(normalised(self._system, state, self._mean, self._spread), deterministic=True)
        return ActionChunk(scaled(self._system, actions)[:, None])


def train_sac_on(system: System, folder: Path) -> RobustnessSac:
    """Train, or load what was trained before, from `folder/sac-NAME.zip`."""
    torch.set_num_threads(1)
    seen = system.encode(system.sample(2000, np.random.default_rng(0)))
    mean, spread = seen.mean(0), np.maximum(seen.std(0), 1e-3)
    path = folder / f"sac-{system.name}.zip"
    env = _SystemRows(system, mean, spread)
    if path.is_file():
        return RobustnessSac(system, SAC.load(path), mean, spread)
    model = SAC("MlpPolicy", env, seed=0, gradient_steps=UPDATES, learning_starts=2000)
    model.learn(STEPS)
    model.save(path)
    return RobustnessSac(system, model, mean, spread)
