"""Records how the episodes of a batch move, and sums up the figures of `isthmus.motion` with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from isthmus.contract import Contract
from isthmus.motion import Motion, motion_of, pooled
from isthmus.records import Array, Measurement
from isthmus.runner import Tick
from isthmus_evidence.statistics import mean_interval
from isthmus_sim.task import Transition

__all__ = ["MOTION_FIGURES", "MotionRecorder", "motion_summary"]

MOTION_FIGURES = ("clamped", "held", "stopped", "reversals_per_second", "command_change_rms")
"""Figures that are means over control periods, so that they have intervals; peaks have none."""


class _Ended(Protocol):
    @property
    def steps(self) -> int: ...


class MotionRecorder:
    """Collects commands, rungs of the guard and true velocities, one control period after the other.

    Attributes:
        motions: of all episodes so far.
    """

    def __init__(self, contract: Contract) -> None:
        self.motions: list[Motion] = []
        self._contract = contract
        self._commands: list[Array] = []
        self._rungs: list[Array] = []
        self._velocity: list[Array] = []

    def observe(self, transition: Transition) -> None:
        """Take the motion of one control period, all rows."""
        if not self._velocity:
            self._velocity.append(self._commanded(transition.before))
        self._velocity.append(self._commanded(transition.after))

    def record(self, tick: Tick) -> None:
        """Take what was commanded in it."""
        sent = tick.decision.command
        self._commands.append(np.full_like(self._commands[-1], np.nan) if sent is None else sent.values.copy())
        self._rungs.append(tick.decision.rung.copy())

    def conclude(self, results: Sequence[_Ended]) -> None:
        """Take the figures of a batch of episodes, which have just ended; each of its own control periods."""
        commands, rungs, velocity = (np.stack(values, axis=1) for values in (self._commands, self._rungs, self._velocity))  # [B, T, …]
        for row, result in enumerate(results):
            own = slice(result.steps)
            moved = velocity[row, : result.steps + 1]
            self.motions.append(motion_of(self._contract, commands[row, own], rungs=rungs[row, own], velocity=moved))
        self._commands, self._rungs, self._velocity = [], [], []

    def _commanded(self, measurement: Measurement) -> Array:
        """Velocities of the commanded joints, `[B, A]`."""
        return measurement.velocity[:, [measurement.joints.index(joint) for joint in self._contract.action.elements]]


def motion_summary(motions: Sequence[Motion], unit: str) -> dict[str, Any]:
    """What several episodes say together.

    Args:
        motions: one per episode, at least one.
        unit: of the action, see `isthmus.signals.Signal`.

    Returns:
        plain data: `isthmus.motion.pooled`, the `unit` of the commands, and `intervals`: `low` and `high` of each of `MOTION_FIGURES`, its 95 %
        interval over episodes, None where an episode does not say.
    """
    told = pooled(motions)
    intervals: dict[str, Any] = {}
    for name in MOTION_FIGURES:
        power = 2 if name.endswith("_rms") else 1
        known = [(motion.periods, value**power) for motion in motions if (value := getattr(motion, name)) is not None]
        intervals[name] = None
        if len(known) == len(motions):
            periods, values = np.array(known, dtype=np.float64).T
            middle = told[name] ** power
            # A ratio of two sums over episodes: its error is that of the weighted residuals (Cochran, Sampling Techniques, section 2.11).
            low, high = mean_interval(middle + periods / periods.mean() * (values - middle))
            intervals[name] = {"low": max(low, 0.0) ** (1 / power), "high": high ** (1 / power)}
    return {**told, "unit": " or ".join(dict.fromkeys(unit.split(", "))), "intervals": intervals}
