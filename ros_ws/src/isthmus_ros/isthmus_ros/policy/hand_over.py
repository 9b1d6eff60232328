"""The first commands of whoever takes over: a policy from a person, a person from a policy, new weights from old ones. Nothing here knows ROS."""

from __future__ import annotations

import math

import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.records import Array, reorder

__all__ = ["HandOver"]

_SECONDS = 0.5
_SHARE = 0.25  # of what the guard would let through


class HandOver:
    """Limits commands for half a second after another has taken over, to a quarter of the guard's rates, from what was executed last.

    Speeds and efforts may go down as fast as the guard lets them; they grow slowly. Positions change slowly.
    """

    def __init__(self, contract: Contract, limits: Limits) -> None:
        """Nobody has taken over yet.

        Args:
            contract: gives mode, joints and period of the commands.
            limits: those of the guard.
        """
        period = contract.control_period
        self._position = contract.mode == "position"
        self._periods = math.ceil(_SECONDS / period)
        self._left = 0
        braking = np.minimum(limits.acceleration, limits.stop_acceleration)
        rate = {"position": limits.velocity, "effort": np.array(limits.effort) / _SECONDS}.get(contract.mode, braking)
        self._step = _SHARE * period * reorder(np.array([rate]), limits.joints, contract.action.elements)

    def begin(self) -> None:
        """Somebody takes over with the next command."""
        self._left = self._periods

    def soften(self, asked: Array, executed: Array | None) -> Array:
        """What to ask for instead of `asked`, `[1, A]`, with `executed`, `[A]`, in force; to be called once for each command."""
        if self._left == 0:
            return asked
        self._left -= 1
        before = np.zeros_like(asked[0]) if executed is None else executed
        if self._position:
            return asked if executed is None else np.clip(asked, before - self._step, before + self._step)
        return np.clip(asked, np.minimum(before, 0.0) - self._step, np.maximum(before, 0.0) + self._step)
