"""What planners have in common: a state out of an observation, and the exact robustness of plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.arrays import center_and_half
from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import Array
from isthmus_controllers import stl
from isthmus_controllers.npc.model import Model

__all__ = ["Problem"]


class Problem:
    """One model and its specification.

    Attributes:
        contract: of the planner; the concatenated newest observations are the state of the model.
        model: what plans are made for.
        formula: what is asked of them.
        low: bounds of the controls, `[m]`.
        high: likewise.
        center: of their ranges, `[m]`.
        half: of each range, `[m]`.
        choices: controls that make up a plan, each held for the model's `hold` steps.
    """

    def __init__(self, contract: Contract, model: Model) -> None:
        if contract.horizon != model.horizon:
            raise ValueError(f"the model plans {model.horizon} steps, the contract has a horizon of {contract.horizon}")
        self.contract, self.model = contract, model
        self.formula = stl.parse(model.specification)
        self.low, self.high = np.array(model.low), np.array(model.high)
        self.center, self.half = center_and_half(self.low, self.high)
        self.choices = -(-model.horizon // model.hold)

    def held(self, choices: Any) -> Any:
        """Plans `[B, T, m]` from the controls that make them up, `[B, choices, m]`, in numpy, torch or CasADi."""
        return choices[:, np.arange(self.model.horizon) // self.model.hold]

    def states(self, observation: Mapping[str, Array]) -> Array:
        """States `[B, n]` of an observation; see `asked_observation`."""
        asked = asked_observation(self.contract, observation)
        return np.concatenate([np.asarray(value, dtype=np.float64)[:, -1] for value in asked.values()], 1)

    def robustness(self, states: Any, plans: Any, mode: str = "exact", temperature: float | None = None) -> Any:
        """Of plans `[B, T, m]` from states `[B, n]`, numpy or torch: `[B]`."""
        trajectory = self.model.rollout(states, plans)
        return stl.robustness(
            self.formula, self.model.signals(trajectory[:, self.model.first :]), mode=mode, temperature=temperature, end=self.model.end
        )
