"""Whether episodes satisfy the specification of their task, in Signal Temporal Logic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.specification import Specification
from isthmus_controllers import stl
from isthmus_sim.task import Transition

__all__ = ["Judge"]


class _Ended(Protocol):
    @property
    def steps(self) -> int: ...


class Judge:
    """Collects the signals of a specification, and judges episodes exactly.

    What falls beyond the end of an episode is left out: an episode that ends early has not reached what was still to come, and keeps what it had
    violated.

    Attributes:
        specification: what is judged by.
    """

    def __init__(self, specification: Specification, contract: Contract, robot: Robot) -> None:
        self.specification = specification
        self._contract, self._robot = contract, robot
        self._bound = stl.BoundSpecification(specification, contract)
        self._signals: stl.MeasuredSignals | None = None
        self._samples: list[dict[str, Array]] = []
        self._robustness: list[float] = []

    def record(self, transition: Transition) -> None:
        """Take one control period, all rows."""
        if self._signals is None:
            self._signals = stl.MeasuredSignals(self._bound, self._contract, self._robot, len(transition.action))
        self._samples.append(self._signals.read(transition.after, transition.inputs))

    def conclude(self, results: Sequence[_Ended]) -> None:
        """Judge the rows of a batch of episodes, which have just ended."""
        names = self._bound.formula.signals
        traces = {name: np.stack([sample[name] for sample in self._samples], axis=1) for name in names}  # [B, T]
        for row, result in enumerate(results):
            signals = {name: values[row : row + 1, : max(result.steps, 1)] for name, values in traces.items()}
            self._robustness.append(float(self._bound.formula.robustness(signals, end="truncate")[0]))
        self._samples, self._signals = [], None

    @property
    def robustness(self) -> Array:
        """Exact robustness of all episodes so far, `[n]`."""
        return np.array(self._robustness)
