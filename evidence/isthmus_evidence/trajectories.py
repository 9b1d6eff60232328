"""How the joints of each episode moved: how rough that was, and how far two worlds moved apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array, Measurement
from isthmus_evidence.statistics import mean_interval
from isthmus_sim.task import Transition

__all__ = ["Ended", "TrajectoryRecorder", "divergence", "mean_of"]


class Ended(Protocol):
    """An episode that has ended."""

    @property
    def steps(self) -> int:
        """Control periods until its end."""
        ...


class TrajectoryRecorder:
    """Collects true positions and velocities of the commanded joints, one control period after the other.

    Attributes:
        positions: of all episodes so far, `[T + 1, A]` each, rad or m.
        jerks: root mean square, over time and joints, of the second difference of the velocity over the control period, of each episode, rad/s^3 or
            m/s^3; NaN of episodes of less than two control periods.
    """

    def __init__(self, contract: Contract) -> None:
        self.positions: list[Array] = []
        self.jerks: list[float] = []
        self._contract = contract
        self._samples: list[tuple[Array, Array]] = []

    def observe(self, transition: Transition) -> None:
        """Take one control period, all rows."""
        if not self._samples:
            self._samples.append(self._commanded(transition.before))
        self._samples.append(self._commanded(transition.after))

    def conclude(self, results: Sequence[Ended]) -> None:
        """Take a batch of episodes, which have just ended; each of its own control periods."""
        position, velocity = (np.stack(values, axis=1) for values in zip(*self._samples, strict=True))  # [B, T + 1, A]
        for row, result in enumerate(results):
            own = slice(result.steps + 1)
            self.positions.append(position[row, own].copy())
            rough = np.diff(velocity[row, own], n=2, axis=0) / self._contract.control_period**2
            self.jerks.append(float(np.sqrt((rough**2).mean())) if len(rough) else np.nan)
        self._samples = []

    def keep(self, count: int) -> None:
        """Forget episodes that do not count: all but the first so many."""
        del self.positions[count:], self.jerks[count:]

    def _commanded(self, measurement: Measurement) -> tuple[Array, Array]:
        places = [measurement.joints.index(joint) for joint in self._contract.action.elements]
        return measurement.position[:, places], measurement.velocity[:, places]


def divergence(here: Sequence[Array], there: Sequence[Array]) -> dict[str, Any]:
    """How far the joints of episodes of the same seeds moved apart, while both ran.

    Args:
        here: positions, `[T + 1, A]` per episode.
        there: likewise.

    Returns:
        plain data: `rms` over time and joints, and `largest`, each the mean over episodes with its 95 % interval, rad or m; `episodes`.
    """
    apart = [one[: len(other)] - other[: len(one)] for one, other in zip(here, there, strict=True)]
    rms = mean_of([float(np.sqrt((own**2).mean())) for own in apart])
    return {"rms": rms, "largest": mean_of([float(np.abs(own).max()) for own in apart]), "episodes": len(apart)}


def mean_of(values: Sequence[float]) -> dict[str, float] | None:
    """Mean and 95 % interval as plain data; None of nothing finite."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not known.size:
        return None
    low, high = mean_interval(known)
    return {"mean": float(known.mean()), "low": low, "high": high}
