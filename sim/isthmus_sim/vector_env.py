"""Tasks as Gymnasium environments: many at once on one batched plant, or a single one.

Each environment step is one guarded control period. Rows reset themselves in the step in which they end (`AutoresetMode.SAME_STEP`);
the observation before that reset is in `info["final_obs"]`, for all rows.

Physics may explode. A row whose truth is no longer finite ends its episode, truncated: its final observation is the last finite one, its reward that
of having stayed there, or 0 if that is less, `info["diverged"]` marks it, and what led there is saved for `isthmus view --dump FILE`. A row that is
asked for a value that is not finite or beyond a thousand times its bound, or whose reward is not finite, ends likewise, marked in `info["invalid"]`.
Other rows notice nothing. A marked period is no experience of the task: a learner leaves it out, or an explosion could look better than what it would
have cost to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from isthmus.control import ControlStep
from isthmus.guard import STOP
from isthmus.monitors import finite
from isthmus.records import Array, Measurement
from isthmus.unguarded import Unguarded
from isthmus_sim.calls import asked_actions, asked_rows, asked_seed, asked_seeds, render_mode_of
from isthmus_sim.explosions import exploded, kept_finite
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.randomization import Sampler
from isthmus_sim.spaces import action_space, observation_space
from isthmus_sim.suites import SuiteVectorEnv
from isthmus_sim.task import Scorer, Task, Transition

__all__ = ["TaskEnv", "TaskVectorEnv"]

MOST_DUMPS = 10
ABSURD = 1e3  # times its bound: an action that nobody means


class TaskVectorEnv(gymnasium.vector.VectorEnv):
    """A batch of a task's episodes.

    Attributes:
        task: what is asked.
        plant: what moves.
        num_envs: number of rows.
        elapsed: control periods since each row's reset, `[num_envs]`; whoever wants rows to end at different times may set it after a reset.
        diverged: rows whose physics exploded so far.
        hidden: physical parameters that were drawn for the present episodes, `[num_envs, P]`, in the order of their names; no policy may see them.
        progress: of the training, 0 … 1; widens the curricula of the randomisation. Set by whoever trains; 1 draws from the full ranges.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's name and type

    render_mode: str | None = "rgb_array"

    def __init__(
        self,
        task: Task,
        plant: RenderedSimulator,
        *,
        autoreset: bool = True,
        guard: bool = True,
        randomization: Sampler | None = None,
        dumps: Path | None = None,
    ) -> None:
        """Bind task and plant.

        Args:
            task: what is asked.
            plant: has one row per environment, and is closed with the environment.
            autoreset: whether rows that end begin their next episode in the same step.
            guard: False lets every action through, as benchmarks of outside suites demand; what is trained so is not fit for a robot.
            randomization: bound to the plant; draws physical parameters for each episode.
            dumps: folder for the first explosions of the physics, if the plant can save them; None saves nothing.
        """
        self.task, self.plant = task, plant
        self.progress = 1.0
        self._autoreset = autoreset
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.SAME_STEP if autoreset else AutoresetMode.DISABLED}
        self._randomization = randomization
        self.hidden = np.zeros((plant.batch, len(randomization.names) if randomization else 0), dtype=np.float32)
        self.num_envs = plant.batch
        self.single_observation_space = observation_space(task.contract)
        self.single_action_space = action_space(task.contract)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._step = ControlStep(plant, task.contract, None if guard else Unguarded(task.contract))
        self._scorer = Scorer(task, self.num_envs)
        self._fallen = task.fallen
        self.elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self.diverged = 0
        self._dumps, self._dumped = dumps, 0
        self._inputs = {signal.name: np.zeros((self.num_envs, len(signal.elements))) for signal in task.contract.inputs}
        self._generators = [np.random.default_rng(row) for row in range(self.num_envs)]
        self._before: Measurement | None = None
        self._largest = ABSURD * np.maximum(np.abs(task.contract.action.low), np.abs(task.contract.action.high))

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: row i draws from a generator of `seed + i`, and its first episode is the one of that seed; or one seed per row, None keeps the
                row's generator.
            options: `{"reset_mask": mask}` begins only the rows of a mask `[num_envs]` bool; the others stay where they are.

        Returns:
            the observation of all rows, and nothing else.

        Raises:
            ValueError: a wrong seed, number of seeds, or option.
            ResetNeeded: of some rows, before all of them have begun.
        """
        rows, seeds = asked_rows(options, self.num_envs), asked_seeds(seed, self.num_envs)
        if self._before is None and len(rows) < self.num_envs:
            raise ResetNeeded("the first reset must be of all rows, without a reset_mask")
        for row in rows:
            if seeds[row] is not None:
                self._generators[row] = np.random.default_rng(seeds[row])
        self._begin(rows)
        self._before = self.plant.truth()
        return self._step.observe(self._inputs), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """One control period of all rows.

        Args:
            actions: `[num_envs, A]`, SI units.

        Returns:
            observation, reward `[num_envs]`, always finite, terminated (the task says that the robot has fallen), truncated (time limit, the guard
            stopped the row, its physics exploded, or it is invalid; what a stop costs is the learner's to say, see its `rung`), and info with
            `success`, `rung`, `diverged`, `invalid` `[num_envs]`, reward terms, `final_obs` where rows ended and `cause` where the guard stopped one.

        Raises:
            ResetNeeded: no episode has begun.
            ClosedEnvironmentError: it was closed.
            ValueError: the actions have another shape.
        """
        if self.closed:
            raise ClosedEnvironmentError("Cannot call env.step() after env.close()")
        if self._before is None:
            raise ResetNeeded("Cannot call env.step() before calling env.reset()")
        asked = asked_actions(actions, (self.num_envs, *self.single_action_space.shape))
        decision = self._step.act(asked)
        invalid = np.asarray(~(np.abs(asked) <= self._largest).all(axis=1))
        if np.count_nonzero(invalid):
            sent = np.zeros_like(asked) if decision.command is None else np.nan_to_num(decision.command.values)
            asked = np.where(invalid[:, None], sent, asked)  # what was executed instead
        after = self.plant.truth()
        diverged = exploded(after)
        lost = bool(np.count_nonzero(diverged))
        if lost:
            last = self._step.observe(self._inputs)
            after = kept_finite(diverged, self._before, after)
            self._report(np.flatnonzero(diverged))
            with np.errstate(all="ignore"):
                self._step.sense()
        else:
            self._step.sense()
        transition = Transition(self._before, after, asked, self._inputs, self._step.time)
        outcome = self._scorer.score(transition)
        self._before = after
        self.elapsed += 1
        stopped = decision.rung == STOP
        terminated = self._fallen(transition) if self._fallen else np.zeros(self.num_envs, dtype=bool)
        truncated = stopped | (self.elapsed >= self.task.episode_steps)
        observation = self._step.observe(self._inputs)
        worthless = np.zeros_like(invalid)
        if not finite(outcome.reward):
            worthless = ~np.isfinite(outcome.reward)
            invalid = invalid | worthless
        if lost:
            terminated = terminated & ~diverged
            worthless = worthless | (diverged & (outcome.reward > 0))
            for name, values in observation.items():
                values[diverged] = last[name][diverged]
        if np.count_nonzero(worthless):
            for values in (outcome.reward, *outcome.terms.values()):
                values[worthless] = 0.0
        truncated = truncated | ((diverged | invalid) & ~terminated)
        info: dict[str, Any] = {
            "success": outcome.success & ~(stopped | diverged | invalid | terminated),
            "rung": decision.rung,
            "diverged": diverged,
            "invalid": invalid,
            "terms": outcome.terms,
        }
        if np.count_nonzero(stopped):
            info["cause"] = decision.cause
        ended = terminated | truncated
        if np.count_nonzero(ended):
            info["final_obs"], info["_final_obs"] = observation, ended
            if self._autoreset:
                self._begin(np.flatnonzero(ended))
                self._before = self.plant.truth()
                observation = self._step.observe(self._inputs)
        return observation, outcome.reward, terminated, truncated, info

    def render(self) -> tuple[Array, ...] | None:
        """One picture `[H, W, 3]` per row; None without a render mode."""
        return None if self.render_mode is None else tuple(self.picture(row) for row in range(self.num_envs))

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

    def _report(self, rows: Array) -> None:
        """Count explosions and save the first ones."""
        self.diverged += rows.size
        dump = getattr(self.plant, "dump", None)
        if self._dumps is None or dump is None:
            return
        for row in rows[: MOST_DUMPS - self._dumped].tolist():
            self._dumped += 1
            dump(row, self._dumps / f"explosion_{self._dumped:02d}.npz")

    def _begin(self, rows: Array) -> None:
        generators = [self._generators[row] for row in rows]
        start = self.task.start(generators)
        drawn = self._randomization.sample(generators, self.progress) if self._randomization else {}
        if drawn:
            self.hidden[rows] = np.stack(list(drawn.values()), axis=1)
        # Only randomised plants have noise or a random look; others need no seed, and their later episodes stay what they were.
        seeds = [int(generator.integers(2**63)) for generator in generators] if self._randomization else None
        self._step.reset(rows, seeds, start.state, {**start.parameters, **drawn})
        self._scorer.reset(rows)
        self.elapsed[rows] = 0
        for name, values in start.inputs.items():
            self._inputs[name][rows] = values


class TaskEnv(gymnasium.Env[dict[str, Array], Array]):
    """One episode at a time, for code that expects a plain Gymnasium environment."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - Gymnasium's name and type

    def __init__(self, vector: TaskVectorEnv | SuiteVectorEnv, render_mode: str | None = "rgb_array") -> None:
        """Wrap.

        Args:
            vector: has one row, does not begin anew by itself, and is closed with the environment.
            render_mode: "rgb_array", or None to draw nothing.

        Raises:
            ValueError: unknown render mode.
        """
        self._vector = vector
        self.render_mode = render_mode_of(render_mode)
        self.observation_space, self.action_space = vector.single_observation_space, vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin an episode; with `seed`, the one of that seed.

        Raises:
            ValueError: a wrong seed, or an option.
        """
        plain = asked_seed(seed)
        super().reset(seed=plain)
        observation, info = self._vector.reset(seed=plain, options=options)
        return _row(observation), info

    def step(self, action: Array) -> tuple[dict[str, Array], float, bool, bool, dict[str, Any]]:
        """One control period; see `TaskVectorEnv.step`. After the end of an episode, call `reset`."""
        asked = asked_actions(action, self.action_space.shape or ())
        observation, reward, terminated, truncated, info = self._vector.step(asked[None])
        scalars: dict[str, Any] = {name: bool(info[name][0]) for name in ("success", "diverged", "invalid") if name in info}
        scalars |= {"rung": int(info["rung"][0])} if "rung" in info else {}
        return _row(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), scalars

    def render(self) -> Array | None:
        """A picture `[H, W, 3]`; None without a render mode."""
        return None if self.render_mode is None else self._vector.picture()

    def close(self) -> None:
        """Close the plant."""
        self._vector.close()


def _row(observation: dict[str, Array]) -> dict[str, Array]:
    return {name: value[0] for name, value in observation.items()}
