"""Gradient ascent on smooth robustness, anew at every decision: STL_g in the comparison of Meng & Fan (arXiv 2309.05131).

What the network of `isthmus_controllers.npc` has learned once is looked for each time; all rows are one batch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array
from isthmus_controllers.npc.model import Model
from isthmus_controllers.planners.planner import Problem

__all__ = ["GradientPlanner", "GradientSettings"]


@dataclass(frozen=True, slots=True)
class GradientSettings:
    """Settings of the ascent.

    Attributes:
        steps: of Adam.
        learning_rate: in units of what tanh is taken of.
        margin: robustness that is enough.
        temperature: of the smooth robustness.
    """

    steps: int = 50
    learning_rate: float = 0.1
    margin: float = 0.5
    temperature: float = 0.01


class GradientPlanner:
    """Plans by Adam (Kingma & Ba 2015), from the middle of the controls' ranges; the best plan by exact robustness counts.

    Attributes:
        contract: its horizon is that of the model.
    """

    def __init__(self, contract: Contract, model: Model, settings: GradientSettings | None = None) -> None:
        self.contract = contract
        self._problem, self._settings = Problem(contract, model), settings or GradientSettings()

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Ascend; `info` has the exact `robustness` of the plan and `solve_time` in s per row, `[B]` each."""
        began = time.perf_counter()
        problem, settings = self._problem, self._settings
        states = torch.from_numpy(problem.states(observation))
        center, half = torch.from_numpy(problem.center), torch.from_numpy(problem.half)
        values = torch.zeros(len(states), problem.choices, len(center), dtype=states.dtype, requires_grad=True)
        optimiser = torch.optim.Adam([values], lr=settings.learning_rate)
        best = problem.held(center + torch.zeros_like(values))
        highest = torch.full((len(states),), -torch.inf, dtype=states.dtype)
        for _ in range(settings.steps):
            plans = problem.held(center + half * torch.tanh(values))
            with torch.no_grad():
                exact = problem.robustness(states, plans)
                better = exact > highest
                best, highest = torch.where(better[:, None, None], plans, best), torch.where(better, exact, highest)
            smooth = problem.robustness(states, plans, "logsumexp", settings.temperature)
            loss = (settings.margin - smooth).clamp(min=0).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        spent = np.full(len(states), (time.perf_counter() - began) / len(states))
        return ActionChunk(best.detach().numpy(), {"robustness": highest.numpy(), "solve_time": spent})
