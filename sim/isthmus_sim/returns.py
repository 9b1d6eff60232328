"""What an episode is worth, wherever it ran: the rewards of all control periods until the time limit, of those too that it did not live to see.

An episode that ends early must neither look better for it, where rewards are negative, nor earn what it did nothing for, where they are positive.
After a stop of the guard, a value that is not finite or exploded physics, each control period that is left counts as the worst that the episode had,
and at best as nothing.
Only a fall ends the sum, as it ends the episode in training: its price is a term of the task.
"""

from __future__ import annotations

import numpy as np

from isthmus.records import Array
from isthmus_sim.task import Outcome, Task

__all__ = ["Returns"]


class Returns:
    """Reward terms of a batch, summed over whole episodes.

    Attributes:
        terms: `[B]` per name.
    """

    def __init__(self, task: Task, batch: int) -> None:
        """Begin episodes of a task, of `batch` rows."""
        names = [term.name for term in task.reward]
        self.terms: dict[str, Array] = {name: np.zeros(batch) for name in names}
        self._worst_terms: dict[str, Array] = {name: np.zeros(batch) for name in names}
        self._worst = np.full(batch, np.inf)
        self._open = np.ones(batch, dtype=bool)
        self._left = task.episode_steps  # control periods

    @property
    def total(self) -> Array:
        """Undiscounted returns `[B]`."""
        return np.asarray(sum(self.terms.values()))

    def add(self, outcome: Outcome) -> Array:
        """Count one control period; a row whose reward is not finite is charged for it and for all that is left. Returns these rows, `[B]`."""
        broken = self._open & ~np.isfinite(outcome.reward)
        self.charge(broken)
        self._left -= 1
        worse = self._open & (outcome.reward < self._worst)
        np.copyto(self._worst, outcome.reward, where=worse)
        for name, values in outcome.terms.items():
            np.add(self.terms[name], values, out=self.terms[name], where=self._open)
            np.copyto(self._worst_terms[name], values, where=worse)
        return broken

    def close(self, rows: Array) -> None:
        """Rows of a mask `[B]` in which nothing is to be gained or lost any more."""
        self._open[rows] = False

    def charge(self, rows: Array) -> None:
        """Rows of a mask `[B]` that cannot go on: each control period that is left counts as the worst that the row had, or nothing."""
        charged = rows & self._open & (self._worst < 0)
        if np.count_nonzero(charged):
            for name, values in self.terms.items():
                values[charged] += self._left * self._worst_terms[name][charged]
        self._open[rows] = False
