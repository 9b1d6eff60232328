"""Before an exploration is trusted: identification, simulated for draws of the prior.

Fisher information is local. It knows nothing of a motion that tells two values of a parameter apart badly because they look alike, or that misses the
object for some of them. So for each draw the exploration is simulated with it, its measurements get noise, and the parameters are searched as one
would search those of a robot: by replaying the commands from the recorded start, first with values spread over the ranges, then by damped
Gauss-Newton steps from the best of these. What is told is the error that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import qmc

from isthmus.records import Array
from isthmus_sim.identification.estimate import UNIFORM, verdict
from isthmus_sim.identification.information import CAP, expected_sd, sensitivity
from isthmus_sim.identification.information_env import STEP, compared_plant
from isthmus_sim.identification.information_outputs import MeasurementNoise
from isthmus_sim.identification.information_plant import ComparedPlant
from isthmus_sim.identification.information_run import Run, play
from isthmus_sim.identification.information_task import exploration_task, spans
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.task import Task, Term
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["UNSURE", "Expected", "SimulatedIdentification", "with_length"]

UNSURE = 0.25
"""Of a range: an expected standard deviation above this is refused. A uniform prior alone has 0.29."""
_TRIED = 4  # times as many values as there are copies are tried before the steps
_NOISE = 7  # keeps the noise apart from other draws of the same seed


@dataclass(frozen=True, slots=True)
class Expected:
    """What an exploration can be expected to tell; D draws, p parameters.

    Attributes:
        sd: of the identified parameters, shares of their ranges, `[p]`: root mean square error, or what is left by the information at the answers
            and the prior if that is more, as where few draws happen to lie near the middle.
        errors: of each draw, `[D, p]`.
        run: of the D explorations.
    """

    sd: Array
    errors: Array
    run: Run

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What `isthmus identify` would call such standard deviations, by parameter."""
        return tuple(verdict(share) for share in self.sd.tolist())


class SimulatedIdentification:
    """Explores and identifies, many draws at a time."""

    def __init__(
        self, task: Task, unknown: Sequence[Unknown], rows: int = 64, noise: MeasurementNoise | None = None, every: int | None = None
    ) -> None:
        """Build the simulations: `rows` · 2 (1 + p).

        Args:
            task: whose episodes are as long as the exploration, see `with_length`.
            unknown: the parameters.
            rows: draws at a time.
            noise: of the measurements.
            every: control periods after which replays begin anew at what was measured; None means never.
        """
        count = len(unknown)
        self._low, self._width = spans(unknown)
        self._values = np.zeros((rows, 1 + 2 * count, count))
        task = exploration_task(task, unknown, Term("none", 0.0, "1", lambda step: np.zeros(step.after.batch)))
        self._plant = compared_plant(task, unknown, rows, 1 + 2 * count, lambda ids, _: self._values[ids], noise, every)
        self._env = TaskVectorEnv(task, self._plant, autoreset=False)

    def passes(self, draws: int, steps: int = 4) -> int:
        """How often all rows are played by `run`."""
        return -(-draws // self._env.num_envs) * (_TRIED + steps + 1)

    def close(self) -> None:
        """Release the simulations."""
        self._env.close()

    def run(
        self,
        act: Callable[[dict[str, Array], int], Array],
        draws: int,
        seed: int = 0,
        steps: int = 4,
        tell: Callable[[], None] | None = None,
    ) -> Expected:
        """Explore and identify.

        Args:
            act: the exploration: observation and number of the period → actions `[B, A]`.
            draws: of parameters, starts and noise.
            seed: of the first draw; the others follow it.
            steps: of Gauss-Newton.
            tell: called after each of the `passes`.
        """
        rows = self._env.num_envs
        errors, left, runs = [], [], []
        for first in range(0, draws, rows):
            part = _Part(self._env, self._plant, self._values, act, [seed + first + row for row in range(rows)], tell)
            kept = min(rows, draws - first)
            apart, known = self._errors(part, steps)
            errors.append(apart[:kept])
            left.append(expected_sd(known)[:kept])
            runs.append(part.run.first(kept))
        apart, formal = np.concatenate(errors), np.concatenate(left)
        return Expected(np.sqrt(np.maximum((apart**2).mean(0), (formal**2).mean(0))), apart, Run.joined(runs))

    def _errors(self, part: _Part, steps: int) -> tuple[Array, Array]:
        """Identified less true parameters, shares of their ranges, `[B, p]`, and the information where the search ended, `[B, p, p]`."""
        rows, copies, count = self._values.shape

        def compared(shares: Array, *, slopes: bool) -> tuple[Array, Array, Array]:
            self._values[:] = self._low + self._width * shares
            return part.compared(shares, slopes=slopes)

        spread = qmc.LatinHypercube(count, seed=0).random(_TRIED * copies - 1)
        tried = np.concatenate([np.full((1, count), 0.5), spread])  # the middle first: where nothing is told, it stays
        cost = np.concatenate(
            [compared(np.tile(tried[at : at + copies], (rows, 1, 1)), slopes=False)[0] for at in range(0, len(tried), copies)], axis=1
        )
        best, least, damping = tried[cost.argmin(1)], cost.min(1), np.ones(rows)
        matrix, side, trial = np.zeros((rows, count, count)), np.zeros((rows, count)), best
        for number in range(steps + 1):
            found, hessian, gradient = compared(_beside(trial), slopes=True)
            better = (found[:, 0] <= least) | (number == 0)
            best = np.where(better[:, None], trial, best)
            least = np.where(better, found[:, 0], least)
            matrix = np.where(better[:, None, None], hessian, matrix)
            side = np.where(better[:, None], gradient, side)
            damping = np.where(better, damping / 4, damping * 8)
            step = np.linalg.solve(matrix + (damping * UNIFORM)[:, None, None] * np.eye(count), side[..., None])[..., 0]
            trial = np.clip(best - step, 0.0, 1.0)
        return best - (self._plant.values - self._low) / self._width, matrix


class _Part:
    """B draws, explored again and again beside replays with other values, with the same noise each time."""

    def __init__(
        self,
        env: TaskVectorEnv,
        plant: ComparedPlant,
        values: Array,
        act: Callable[[dict[str, Array], int], Array],
        seeds: list[int],
        tell: Any,
    ) -> None:
        self._env, self._plant, self._shape, self._act, self._seeds, self._tell = env, plant, values.shape, act, seeds, tell
        self._generators = [np.random.default_rng([one, _NOISE]) for one in seeds]
        self._drawn: list[Array] = []  # noise of each period, [B, K]
        self.run: Run

    def compared(self, shares: Array, *, slopes: bool) -> tuple[Array, Array, Array]:
        """Explore once more beside the values that the copies have now, which are `shares` `[B, c, p]` of the ranges.

        Returns:
            cost of the replays `[B, c]`; with `slopes` also JᵀJ `[B, p, p]` and Jᵀr `[B, p]` at the first of them, whose followers are `_beside` it.
        """
        rows, copies, count = self._shape
        cost = np.zeros((rows, copies))
        hessian, gradient = np.zeros((rows, count, count)), np.zeros((rows, count))
        moved = np.abs(shares[:, 1:] - shares[:, :1])[:, np.arange(2 * count), np.repeat(np.arange(count), 2)].reshape(rows, count, 2)

        def watch(number: int, alive: Array, _: Any) -> None:
            apart = np.clip(np.nan_to_num(self._plant.differences, nan=CAP), -CAP, CAP)
            if number == len(self._drawn):
                self._drawn.append(np.stack([generator.standard_normal(apart.shape[-1]) for generator in self._generators]))
            residual = (apart - self._drawn[number][:, None]) * alive[:, None, None]
            cost[:] += (residual**2).sum(-1)
            if slopes:
                sides = (apart[:, 1:] - apart[:, :1]).reshape(rows, count, 2, -1)
                found = sensitivity(sides[:, :, 0], sides[:, :, 1], moved[..., 0], moved[..., 1])[0] * alive[:, None, None]
                hessian[:] += np.einsum("bpk,bqk->bpq", found, found)
                gradient[:] += np.einsum("bpk,bk->bp", found, residual[:, 0])

        self.run = play(self._env, self._act, self._seeds, watch=watch)
        if self._tell:
            self._tell()
        return cost, hessian, gradient


def _beside(shares: Array) -> Array:
    """Each point, then a little more and a little less of each parameter, `[B, 1 + 2 p, p]`."""
    count = shares.shape[1]
    chosen = np.repeat(shares[:, None], 1 + 2 * count, axis=1)
    for number in range(count):
        chosen[:, 1 + 2 * number, number] = np.minimum(shares[:, number] + STEP, 1.0)
        chosen[:, 2 + 2 * number, number] = np.maximum(shares[:, number] - STEP, 0.0)
    return chosen


def with_length(task: Task, seconds: float) -> Task:
    """The task with episodes of that length."""
    steps = max(round(seconds / task.contract.control_period), 1)
    return replace(task, episode_steps=steps, success_steps=1)
