"""Tasks as Gymnasium environments: many at once on one batched plant, or a single one.

Each environment step is one guarded control period. Rows reset themselves in the step in which they end (`AutoresetMode.SAME_STEP`);
the observation before that reset is in `info["final_obs"]`, for all rows.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space

from isthmus.control import ControlStep
from isthmus.guard import STOP
from isthmus.records import Array
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.randomization import Sampler
from isthmus_sim.spaces import action_space, observation_space
from isthmus_sim.task import Scorer, Task, Transition

__all__ = ["TaskEnv", "TaskVectorEnv"]


class TaskVectorEnv(gymnasium.vector.VectorEnv):
    """A batch of a task's episodes.

    Attributes:
        task: what is asked.
        plant: what moves.
        num_envs: number of rows.
        progress: of the training, 0 … 1; widens the curricula of the randomisation. Set by whoever trains; 1 draws from the full ranges.
    """

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's name and type

    render_mode = "rgb_array"

    def __init__(self, task: Task, plant: RenderedSimulator, *, autoreset: bool = True, randomization: Sampler | None = None) -> None:
        """Bind task and plant.

        Args:
            task: what is asked.
            plant: has one row per environment, and is closed with the environment.
            autoreset: whether rows that end begin their next episode in the same step.
            randomization: bound to the plant; draws physical parameters for each episode.
        """
        self.task, self.plant = task, plant
        self.progress = 1.0
        self._autoreset = autoreset
        self._randomization = randomization
        self.num_envs = plant.batch
        self.single_observation_space = observation_space(task.contract)
        self.single_action_space = action_space(task.contract)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._step = ControlStep(plant, task.contract)
        self._scorer = Scorer(task, self.num_envs)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._inputs = {signal.name: np.zeros((self.num_envs, len(signal.elements))) for signal in task.contract.inputs}
        self._generators = [np.random.default_rng(row) for row in range(self.num_envs)]

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin all episodes. With `seed`, row i draws from a generator of `seed + i`; its first episode is the one of that seed."""
        if seed is not None:
            seeds = [seed + row for row in range(self.num_envs)] if isinstance(seed, int) else seed
            self._generators = [np.random.default_rng(value) for value in seeds]
        self._begin(np.arange(self.num_envs))
        self._before = self.plant.truth()
        return self._step.observe(self._inputs), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """One control period of all rows.

        Args:
            actions: `[num_envs, A]`, SI units.

        Returns:
            observation, reward `[num_envs]`, terminated (never: a learner bootstraps where the guard stops a row, so that a stop is neither punished
            nor a way out of punishment), truncated (time limit, or the guard stopped the row), and info with
            `success`, `rung`, reward terms, and `final_obs` where rows ended.
        """
        asked = np.asarray(actions, dtype=np.float64)
        decision = self._step.act(asked)
        self._step.sense()
        after = self.plant.truth()
        if not (np.isfinite(after.position).all() and np.isfinite(after.velocity).all()):
            row = int(np.flatnonzero(~np.isfinite(after.position + after.velocity).all(axis=1))[0])
            raise ValueError(f"the simulation of row {row} diverged: its joint state is not finite")
        outcome = self._scorer.score(Transition(self._before, after, asked, self._inputs))
        self._before = after
        self._elapsed += 1
        stopped = decision.rung == STOP
        truncated = stopped | (self._elapsed >= self.task.episode_steps)
        observation = self._step.observe(self._inputs)
        info: dict[str, Any] = {"success": outcome.success & ~stopped, "rung": decision.rung, "terms": outcome.terms}
        if truncated.any():
            info["final_obs"], info["_final_obs"] = observation, truncated
            info["cause"] = decision.cause
        if self._autoreset and truncated.any():
            self._begin(np.flatnonzero(truncated))
            self._before = self.plant.truth()
            observation = self._step.observe(self._inputs)
        return observation, outcome.reward, np.zeros(self.num_envs, dtype=bool), truncated, info

    def render(self) -> tuple[Array, ...]:
        """One picture `[H, W, 3]` per row."""
        return tuple(self.picture(row) for row in range(self.num_envs))

    def picture(self, row: int = 0, height: int = 480, width: int = 640) -> Array:
        """A picture `[height, width, 3]` of one row, with its goal."""
        markers = tuple(tuple(float(x) for x in values[row]) for values in self._inputs.values() if values.shape[1] == 3)
        return self.plant.render(
            row,
            height=height,
            width=width,
            look_at=self.task.look_at,
            distance=self.task.camera_distance,
            markers=markers,  # type: ignore[arg-type]
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Close the plant."""
        self.plant.close()

    def _begin(self, rows: Array) -> None:
        generators = [self._generators[row] for row in rows]
        start = self.task.start(generators)
        drawn = self._randomization.sample(generators, self.progress) if self._randomization else {}
        self._step.reset(rows, None, start.state, {**start.parameters, **drawn})
        self._scorer.reset(rows)
        self._elapsed[rows] = 0
        for name, values in start.inputs.items():
            self._inputs[name][rows] = values


class TaskEnv(gymnasium.Env[dict[str, Array], Array]):
    """One episode at a time, for code that expects a plain Gymnasium environment."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's name and type
    render_mode = "rgb_array"

    def __init__(self, task: Task, plant: RenderedSimulator, *, randomization: Sampler | None = None) -> None:
        """Bind task and plant.

        Args:
            task: what is asked.
            plant: has one row, and is closed with the environment.
            randomization: bound to the plant; draws physical parameters for each episode.
        """
        self._vector = TaskVectorEnv(task, plant, autoreset=False, randomization=randomization)
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin an episode; with `seed`, the one of that seed."""
        super().reset(seed=seed)
        observation, info = self._vector.reset(seed=seed, options=options)
        return _row(observation), info

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """One control period; see `TaskVectorEnv.step`. After the end of an episode, call `reset`."""
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray(action)[None])
        scalars = {"success": bool(info["success"][0]), "rung": int(info["rung"][0])}
        return _row(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), scalars

    def render(self) -> Array:
        """A picture `[H, W, 3]`."""
        return self._vector.picture()

    def close(self) -> None:
        """Close the plant."""
        self._vector.close()


def _row(observation: dict[str, Array]) -> dict[str, Array]:
    return {name: value[0] for name, value in observation.items()}
