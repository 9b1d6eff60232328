"""Contracts as Gymnasium spaces."""

from __future__ import annotations

import gymnasium
import numpy as np

from isthmus.contract import Contract
from isthmus.signals import Signal

__all__ = ["action_space", "observation_space"]


def observation_space(contract: Contract) -> gymnasium.spaces.Dict:
    """One Box `[history, *shape]` per signal, in SI units, with the bounds of the contract: nominal ones, which a measurement may exceed a little."""
    return gymnasium.spaces.Dict({signal.name: _box(signal) for signal in contract.observation})


def action_space(contract: Contract) -> gymnasium.spaces.Box:
    """A Box `[A]` in SI units."""
    return gymnasium.spaces.Box(np.array(contract.action.low, np.float32), np.array(contract.action.high, np.float32), dtype=np.float32)


def _box(signal: Signal) -> gymnasium.spaces.Box:
    if signal.camera is not None:
        return gymnasium.spaces.Box(0, 255, (signal.history, *signal.shape), dtype=np.uint8)
    kind = np.dtype(signal.dtype).type
    low, high = (np.tile(np.array(bound, kind), (signal.history, 1)) for bound in (signal.low, signal.high))
    return gymnasium.spaces.Box(low, high, dtype=kind)
