"""The cross-entropy method on exact robustness (Rubinstein 1999; as a planner e.g. Kobilarov 2012).

Draws plans from normal distributions, keeps the best, fits the distributions to them, and so on. It needs no gradient and no smooth formula, and gets
slow and coarse with the number of controls.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array
from isthmus_controllers.npc.model import Model
from isthmus_controllers.planners.planner import Problem

__all__ = ["CemPlanner", "CemSettings"]

_STREAM = 3  # keeps these draws apart from others of the same seed


@dataclass(frozen=True, slots=True)
class CemSettings:
    """Settings of the search.

    Attributes:
        candidates: plans per iteration.
        elites: of them are kept.
        iterations: at most; it ends as soon as the best plan satisfies the formula.
        spread: standard deviation in the beginning, in half ranges of the controls.
        narrowest: standard deviation at least, likewise.
    """

    candidates: int = 500
    elites: int = 25
    iterations: int = 30
    spread: float = 0.6
    narrowest: float = 0.02


class CemPlanner:
    """Plans by the cross-entropy method, row by row, with random numbers of each row's own (`isthmus.policy.RowPolicy`).

    The random numbers of a plan follow from the seed of its row and the state it is made for, so that no row depends on the others of its batch, nor
    on how often they decide.

    Attributes:
        contract: its horizon is that of the model.
    """

    def __init__(self, contract: Contract, model: Model, settings: CemSettings | None = None) -> None:
        self.contract = contract
        self._problem, self._settings = Problem(contract, model), settings or CemSettings()
        self._seed = 0
        self._seeds: dict[int, int] = {}  # of rows that have one of their own

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Take other seeds, if one is given, see `Policy.reset`."""
        if seed is None:
            return
        if rows is None:
            self._seed, self._seeds = seed, {}
            return
        for place, row in enumerate(np.asarray(rows).tolist()):
            self._seeds[row] = seed + place

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Search, for each state as row 0 would; `info` has the exact `robustness` of the plan and `solve_time` in s, `[B]` each."""
        states = self._problem.states(observation)
        return self._plan(states, np.zeros(len(states), dtype=np.int64))

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """As `act`, for these rows of a batch, with their random numbers."""
        return self._plan(self._problem.states(observation), rows)

    def _plan(self, states: Array, rows: Array) -> ActionChunk:
        plans, times = [], []
        for row, state in zip(rows.tolist(), states, strict=True):
            began = time.perf_counter()
            seed = self._seeds.get(row, self._seed + row)
            plans.append(self._search(state, np.random.default_rng([seed, _STREAM, *state.view(np.uint64).tolist()])))
            times.append(time.perf_counter() - began)
        found = np.array(plans)
        return ActionChunk(found, {"robustness": np.asarray(self._problem.robustness(states, found)), "solve_time": np.array(times)})

    def _search(self, state: Array, draw: np.random.Generator) -> Array:
        problem, settings = self._problem, self._settings
        shape = (problem.choices, len(problem.center))
        mean, spread = np.tile(problem.center, (shape[0], 1)), np.tile(settings.spread * problem.half, (shape[0], 1))
        states = np.repeat(state[None], settings.candidates, 0)
        best: Array = problem.held(mean[None])[0]
        highest = -np.inf
        for _ in range(settings.iterations):
            choices = np.clip(mean + spread * draw.standard_normal((settings.candidates, *shape)), problem.low, problem.high)
            plans = problem.held(choices)
            robustness = np.asarray(problem.robustness(states, plans))
            order = np.argsort(-robustness)
            if robustness[order[0]] > highest:
                best, highest = plans[order[0]], float(robustness[order[0]])
            if highest >= 0:
                break
            elites = choices[order[: settings.elites]]
            mean, spread = elites.mean(0), np.maximum(elites.std(0), settings.narrowest * problem.half)
        return best
