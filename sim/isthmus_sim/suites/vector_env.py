"""Environments of an outside suite, stepped one after the other, with the conventions of `TaskVectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from isthmus.records import Array
from isthmus_sim.calls import asked_actions, asked_rows, asked_seeds
from isthmus_sim.spaces import action_space, observation_space
from isthmus_sim.suites.derive import read_signals
from isthmus_sim.suites.suite import DivergedSuiteError, SuiteTask

__all__ = ["SuiteVectorEnv"]


class SuiteVectorEnv(gymnasium.vector.VectorEnv):
    """A batch of episodes of a suite's task.

    Rows reset themselves in the step in which they end (`AutoresetMode.SAME_STEP`); the observation before that reset is in `info["final_obs"]`,
    for all rows. `info["success"]` exists where the suite reports success.

    A row whose reward or observation is not finite, or whose simulation says that it diverged, ends truncated: its final observation is the one
    before, its reward 0, and `info["diverged"]` marks it. A row that is asked for a value that is not finite is not stepped and ends likewise, marked
    in `info["invalid"]`. A marked period is no experience of the task.

    Attributes:
        task: what is asked.
        num_envs: number of rows.
        diverged: rows whose simulation diverged so far.
        progress: of the training, 0 … 1; nothing here depends on it.
        hidden: nothing, `[num_envs, 0]`; nothing is drawn here.
    """

    progress = 1.0
    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}  # noqa: RUF012 - Gymnasium's name and type
    render_mode: str | None = "rgb_array"

    def __init__(self, task: SuiteTask, num_envs: int, *, autoreset: bool = True, picture_size: int | None = None) -> None:
        """Make the environments.

        Args:
            task: what is asked.
            num_envs: number of rows.
            autoreset: whether rows that end begin their next episode in the same step.
            picture_size: side of the pictures of `picture`, pixels; None for none, or those that the task observes.

        Raises:
            ValueError: the environment cannot be made with what is installed.
        """
        self.task, self.num_envs = task, num_envs
        self.diverged = 0
        self.hidden = np.zeros((num_envs, 0), dtype=np.float32)
        self._autoreset = autoreset
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.SAME_STEP if autoreset else AutoresetMode.DISABLED}
        self._begun = False
        contract = task.contract
        self.single_observation_space = observation_space(contract)
        self.single_action_space = action_space(contract)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._envs = [task.make(task.pixels or picture_size).env for _ in range(num_envs)]
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._succeeded = np.zeros(num_envs, dtype=bool)
        self._reports_success = False
        self._previous = next((signal.name for signal in contract.observation if signal.source == "previous_action"), None)
        self._history = {
            signal.name: np.zeros((num_envs, signal.history, *signal.shape), dtype=signal.dtype) for signal in contract.observation
        }

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin episodes; seeds, options and errors are those of `TaskVectorEnv.reset`."""
        rows, seeds = asked_rows(options, self.num_envs), asked_seeds(seed, self.num_envs)
        if not self._begun and len(rows) < self.num_envs:
            raise ResetNeeded("the first reset must be of all rows, without a reset_mask")
        for row in rows.tolist():
            self._begin(row, seeds[row])
        self._begun = True
        return self._observation(), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """One step of all rows.

        Args:
            actions: `[num_envs, A]`, in the suite's scale; clipped to its bounds.

        Returns:
            observation, reward `[num_envs]`, terminated, truncated (time limit, diverged or invalid) and info.

        Raises:
            ResetNeeded: no episode has begun.
            ClosedEnvironmentError: it was closed.
            ValueError: the actions have another shape.
        """
        if self.closed:
            raise ClosedEnvironmentError("Cannot call env.step() after env.close()")
        if not self._begun:
            raise ResetNeeded("Cannot call env.step() before calling env.reset()")
        actions = asked_actions(actions, (self.num_envs, *self.single_action_space.shape))
        reward = np.zeros(self.num_envs)
        terminated, truncated = np.zeros(self.num_envs, dtype=bool), np.zeros(self.num_envs, dtype=bool)
        diverged, invalid = np.zeros(self.num_envs, dtype=bool), np.asarray(~np.isfinite(actions).all(axis=1))
        space = self.single_action_space
        for row, action in enumerate(np.clip(actions, space.low, space.high).astype(np.float32)):
            if invalid[row]:
                continue
            try:
                seen, gained, terminated[row], truncated[row], found = self._envs[row].step(action)
                signals = self._signals(seen, action)
            except DivergedSuiteError:
                gained, signals, found = np.nan, {}, {}
            if not np.isfinite(gained) or not all(np.isfinite(value).all() for value in signals.values()):
                diverged[row], terminated[row] = True, False
                continue
            reward[row] = gained
            for name, value in signals.items():
                history = self._history[name][row]
                history[:-1] = history[1:]
                history[-1] = value
            success = found.get("success", found.get("is_success"))
            if success is not None:
                self._reports_success = True
                self._succeeded[row] = bool(success) or (self.task.success_once and self._succeeded[row])
        self.diverged += int(diverged.sum())
        self._elapsed += 1
        truncated |= (self._elapsed >= self.task.episode_steps) | diverged | invalid
        done = terminated | truncated
        observation = self._observation()
        info: dict[str, Any] = {"diverged": diverged, "invalid": invalid}
        if self._reports_success:
            info["success"] = self._succeeded & ~(diverged | invalid)
        if done.any():
            info["final_obs"], info["_final_obs"] = observation, done
            if self._autoreset:
                for ended in np.flatnonzero(done):
                    self._begin(int(ended), None)
                observation = self._observation()
        return observation, reward, terminated, truncated, info

    def picture(self, row: int = 0) -> Array:
        """A picture `[size, size, 3]` uint8 of one row; `picture_size` must have been given, or the task observe pixels."""
        return np.asarray(self._envs[row].render())

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def _begin(self, row: int, seed: int | None) -> None:
        seen, _ = self._envs[row].reset(seed=seed)
        for name, value in self._signals(seen, np.zeros(self.single_action_space.shape)).items():
            self._history[name][row] = value
        self._elapsed[row], self._succeeded[row] = 0, False

    def _signals(self, seen: Any, executed: Array) -> dict[str, Array]:
        """One sample per signal, with the action executed before it where that is observed."""
        signals = read_signals(self.task.contract, seen)
        return signals if self._previous is None else {**signals, self._previous: executed}

    def _observation(self) -> dict[str, Array]:
        return {name: values.copy() for name, values in self._history.items()}
