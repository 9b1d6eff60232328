"""Contracts as Gymnasium spaces."""

from __future__ import annotations

import gymnasium
import numpy as np

from isthmus.contract import Contract
from isthmus.signals import Signal

__all__ = ["action_space", "observation_space"]

_MEASURED = ("joint_velocity", "joint_effort", "twist", "wrench")
_SOFT = 0.01


def observation_space(contract: Contract) -> gymnasium.spaces.Dict:
    """One Box `[history, *shape]` per signal, in SI units, with the bounds of the contract.

    Measured velocities, efforts and forces may exceed what is nominal and have none. Positions get 1 % of their range more: joint stops are soft.
    """
    return gymnasium.spaces.Dict({signal.name: _box(signal) for signal in contract.observation})


def action_space(contract: Contract) -> gymnasium.spaces.Box:
    """A Box `[A]` in SI units."""
    return gymnasium.spaces.Box(np.array(contract.action.low, np.float32), np.array(contract.action.high, np.float32), dtype=np.float32)


def _box(signal: Signal) -> gymnasium.spaces.Box:
    if signal.camera is not None:
        return gymnasium.spaces.Box(0, 255, (signal.history, *signal.shape), dtype=np.uint8)
    kind = np.dtype(signal.dtype).type
    low, high = np.array(signal.low), np.array(signal.high)
    if signal.source in _MEASURED:
        low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
    elif signal.source in ("joint_position", "pose"):
        low, high = low - _SOFT * (high - low), high + _SOFT * (high - low)
    low, high = (np.tile(bound.astype(kind), (signal.history, 1)) for bound in (low, high))
    return gymnasium.spaces.Box(low, high, dtype=kind)
