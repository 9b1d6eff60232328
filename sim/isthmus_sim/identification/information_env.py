"""A task's episodes, rewarded with what they tell of the unknown parameters.

Each row has two copies per unknown parameter, which replay its guarded commands with a little more and a little less of it: central differences of
what would be measured. How long copies run before they take over the state of their row again gives the three forms of the information:

* every period: sums of one-step sensitivities, right if each state is disturbed by noise of its own, as Memmel et al. assume;
* never: the whole rollout, right if only the measurement is noisy and the identification replays the commands, as `isthmus identify` does;
* every k periods: between the two. It keeps slow parameters in sight, and copies do not drift far apart after a contact.

The reward of a period is what it adds to the objective, so that the return of an episode is the objective at its end, less that of its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.information import CAP, check_objective, sensitivity, value
from isthmus_sim.identification.information_outputs import MeasurementNoise
from isthmus_sim.identification.information_plant import ComparedPlant
from isthmus_sim.identification.information_task import exploration_task, outputs_of, spans
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.plants import task_plant
from isthmus_sim.plants.mujoco import MujocoPlant
from isthmus_sim.task import Task, Term, Transition
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["InformationVectorEnv", "compared_plant"]

STEP = 0.02
"""Of a difference, to each side, as a share of the range: what contacts need; smooth mechanisms bear 1e-4."""


class InformationVectorEnv(TaskVectorEnv):
    """See the module.

    Attributes:
        unknown: the p parameters.
        information: of each row since its reset, `[B, p, p]`, in shares of the ranges.
        objective: "a", "d" or "t".
        doubtful: share of differences so far that met a jump, see `information.sensitivity`.
        hidden: privileged, for critics alone: unknown parameters as shares of their ranges, upper triangle of the information as ln(1 + |·|) with its
            sign, and the share of the episode that has passed, `[B, p + p (p + 1) / 2 + 1]`.
    """

    def __init__(
        self,
        task: Task,
        unknown: Sequence[Unknown],
        rows: int,
        *,
        objective: str = "a",
        every: int | None = None,
        step: float = STEP,
        cap: float = CAP,
        noise: MeasurementNoise | None = None,
        autoreset: bool = True,
    ) -> None:
        """Build both batches: `rows` · (1 + 2 p) simulations.

        Args:
            task: whose episodes they are; its goals are not shown, its reward is not used.
            unknown: from `find_unknown`.
            rows: B.
            objective: "a" or "d" (both with the prior), or "t".
            every: control periods after which copies are put back to their rows; 1 is the one-step form, None the whole rollout.
            step: of the differences, share of a range.
            cap: largest sensitivity that is believed.
            noise: of the measurements.
            autoreset: whether rows that end begin anew by themselves.

        Raises:
            ValueError: unknown objective, a number out of range, or nothing of the unknown is observed.
        """
        check_objective(objective)
        if not 0 <= step <= 0.25:
            raise ValueError(f"step of a difference must be in 0 … 0.25 of a range, got {step}")
        if every is not None and every < 1:
            raise ValueError(f"copies must be put back after 1 or more control periods, got {every}")
        self.unknown, self.objective = tuple(unknown), objective
        self._low, self._width = spans(unknown)
        count = len(self.unknown)
        self.information = np.zeros((rows, count, count))
        self._told = self.information.copy()
        self._step_size, self._cap = step, cap
        self._doubts = self._asked = 0
        self._upper = np.triu_indices(count)
        exploring = exploration_task(task, unknown, Term("information", 1.0, "1", self._gained))
        plant = compared_plant(exploring, self.unknown, rows, 2 * count, self._beside, noise, every)
        self._compared = plant
        super().__init__(exploring, plant, autoreset=autoreset)
        self.hidden = np.zeros((rows, count + len(self._upper[0]) + 1), dtype=np.float32)

    @property
    def doubtful(self) -> float:
        """Share of differences that met a jump."""
        return self._doubts / max(self._asked, 1)

    def reset(self, **how: Any) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `TaskVectorEnv.reset`."""
        begun = super().reset(**how)
        self._tell()
        return begun

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """See `TaskVectorEnv.step`; info has `information` `[B, p, p]`, at the end of the episode where one ended."""
        observation, reward, terminated, truncated, info = super().step(actions)
        info["information"] = self._told
        self._tell()
        return observation, reward, terminated, truncated, info

    def _begin(self, rows: Array) -> None:
        super()._begin(rows)
        self.information[rows] = 0.0

    def _beside(self, _: Array, values: Array) -> Array:
        """Parameters of the copies: more, then less of each, never beyond its range, `[n, 2 p, p]`."""
        count = len(self.unknown)
        chosen = np.repeat(values[:, None], 2 * count, axis=1)
        for number in range(count):
            for side, sign in enumerate((1, -1)):
                moved = values[:, number] + sign * self._step_size * self._width[number]
                chosen[:, 2 * number + side, number] = np.clip(moved, self._low[number], self._low[number] + self._width[number])
        return chosen

    def _gained(self, _: Transition) -> Array:
        """What the newest period adds to the objective, `[B]`."""
        plant, count = self._compared, len(self.unknown)
        rows, apart = self.num_envs, plant.differences
        room = np.abs(plant.chosen - plant.values[:, None]) / self._width
        room = room[:, np.arange(2 * count), np.repeat(np.arange(count), 2)].reshape(rows, count, 2)
        sides = apart.reshape(rows, count, 2, -1)
        slopes, doubtful = sensitivity(sides[:, :, 0], sides[:, :, 1], room[..., 0], room[..., 1], self._cap)
        self._doubts += int(np.count_nonzero(doubtful))
        self._asked += doubtful.size
        before = value(self.objective, self.information)
        self.information = self.information + np.einsum("bpk,bqk->bpq", slopes, slopes)
        self._told = self.information.copy()
        return np.asarray(value(self.objective, self.information) - before)

    def _tell(self) -> None:
        shares = (self._compared.values - self._low) / self._width
        known = self.information[:, self._upper[0], self._upper[1]]
        passed = self.elapsed[:, None] / self.task.episode_steps
        self.hidden = np.concatenate([shares, np.sign(known) * np.log1p(np.abs(known)), passed], axis=1).astype(np.float32)


def compared_plant(
    task: Task,
    unknown: Sequence[Unknown],
    rows: int,
    copies: int,
    choose: Any,
    noise: MeasurementNoise | None = None,
    every: int | None = None,
) -> ComparedPlant:
    """A task's MuJoCo plant beside `copies` of each of its rows; for the other arguments see `ComparedPlant`.

    Raises:
        ValueError: the task does not run on MuJoCo, or nothing of it is observed.
    """
    outputs = outputs_of(task, unknown, noise or MeasurementNoise())
    plant, copies_of_it = (cast(MujocoPlant, task_plant("mujoco", task, batch)) for batch in (rows, rows * copies))
    return ComparedPlant(plant, copies_of_it, [one.name for one in unknown], choose, outputs, every)
