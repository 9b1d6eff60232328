"""Records how the episodes of a batch move, for the figures of `isthmus.motion`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from isthmus.contract import Contract
from isthmus.motion import Motion, motion_of
from isthmus.records import Array, Measurement
from isthmus.runner import Tick
from isthmus_sim.task import Transition

__all__ = ["MotionRecorder"]


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
