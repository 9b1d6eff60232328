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
    """Plans by the cross-entropy method, row by row.

    The random numbers of a plan follow from the seed and the state it is made for, so that no row depends on the others of its batch, nor on how
    often they decide.

    Attributes:
        contract: its horizon is that of the model.
    """

    def __init__(self, contract: Contract, model: Model, settings: CemSettings | None = None) -> None:
        self.contract = contract
        self._problem, self._settings = Problem(contract, model), settings or CemSettings()
        self._seed = 0

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Take another seed, if one is given, for all rows."""
        self._seed = self._seed if seed is None else seed

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Search; `info` has the exact `robustness` of the plan and `solve_time` in s, `[B]` each."""
        states = self._problem.states(observation)
        plans, times = [], []
        for state in states:
            began = time.perf_counter()
            plans.append(self._search(state))
            times.append(time.perf_counter() - began)
        found = np.array(plans)
        return ActionChunk(found, {"robustness": np.asarray(self._problem.robustness(states, found)), "solve_time": np.array(times)})

    def _search(self, state: Array) -> Array:
        problem, settings = self._problem, self._settings
        draw = np.random.default_rng([self._seed, *state.view(np.uint64).tolist()])
        middle, reach = (problem.low + problem.high) / 2, (problem.high - problem.low) / 2
        shape = (problem.choices, len(middle))
        mean, spread = np.tile(middle, (shape[0], 1)), np.tile(settings.spread * reach, (shape[0], 1))
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
            mean, spread = elites.mean(0), np.maximum(elites.std(0), settings.narrowest * reach)
        return best
