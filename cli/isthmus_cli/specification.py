"""Whether episodes satisfy the specification of their task, in Signal Temporal Logic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from isthmus.records import Array
from isthmus_controllers import stl
from isthmus_sim.task import Task, Transition

__all__ = ["Specification"]


class _Ended(Protocol):
    @property
    def steps(self) -> int: ...


class Specification:
    """Collects the signals of a task's specification, and judges them exactly; intervals in the text are in seconds.

    Sample 0 is the end of the first control period. What falls beyond the end of an episode is left out: an episode that ends early has not reached
    what was still to come, and keeps what it had violated.
    """

    def __init__(self, task: Task) -> None:
        self.text = task.specification
        self._task = task
        self._formula = stl.parse(task.specification, task.contract.control_period)
        self._samples: list[dict[str, Array]] = []
        self._robustness: list[float] = []

    def record(self, transition: Transition) -> None:
        """Take the signals of one control period, all rows."""
        self._samples.append({name: value(transition) for name, value in self._task.signals.items()})

    def conclude(self, results: Sequence[_Ended]) -> None:
        """Judge the rows of a batch of episodes, which have just ended."""
        traces = {name: np.stack([sample[name] for sample in self._samples], axis=1) for name in self._task.signals}  # [B, T]
        for row, result in enumerate(results):
            signals = {name: values[row : row + 1, : max(result.steps, 1)] for name, values in traces.items()}
            self._robustness.append(float(self._formula.robustness(signals, end="truncate")[0]))
        self._samples = []

    @property
    def robustness(self) -> Array:
        """Exact robustness of all episodes so far, `[n]`."""
        return np.array(self._robustness)
