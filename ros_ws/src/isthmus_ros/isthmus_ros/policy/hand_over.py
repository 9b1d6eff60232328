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

    Speeds and efforts may go down as fast as the guard lets them; they grow slowly. Positions change slowly. Time in which the guard executes nothing
    of what is asked for does not count. Actions that are not finite are left to the guard, which stops for them.
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
        self._asked: Array | None = None  # `[A]`, the softened command before
        braking = np.minimum(limits.acceleration, limits.stop_acceleration)
        rate = {"position": limits.velocity, "effort": np.array(limits.effort) / _SECONDS}.get(contract.mode, braking)
        self._step = _SHARE * period * reorder(np.array([rate]), limits.joints, contract.action.elements)

    def begin(self) -> None:
        """Somebody takes over with the next command."""
        self._left, self._asked = self._periods, None

    def soften(self, asked: Array, executed: Array | None, going: bool = True) -> Array:
        """What to ask for instead of an action; to be called once for each command.

        Args:
            asked: the action, `[1, A]`.
            executed: in force as far as is known, `[A]`: in passing time the answer to the command before the last.
            going: the command before was asked for, and the guard lets through what is asked for.
        """
        if self._left == 0 or not np.isfinite(asked).all():
            return asked
        self._left -= going
        if not self._position:
            before = np.zeros_like(asked[0]) if executed is None else executed
            return np.clip(asked, np.minimum(before, 0.0) - self._step, np.maximum(before, 0.0) + self._step)
        before = self._asked if going and self._asked is not None else executed
        if before is None:
            return asked
        softened = np.clip(asked, before - self._step, before + self._step)
        self._asked = softened[0]
        return softened
