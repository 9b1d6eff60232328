"""Inserts a peg into a hole whose pose it is told: over it, turn, straight down.

The phase follows from where the tip is: below the mouth of the hole it only goes down; above, it goes down once it is in line.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["PegPolicy"]

LENGTH = 0.12  # m, from the tool frame to the tip
ABOVE, DEPTH = 0.015, 0.030  # m: of the tip over the mouth before going down; below it at the end
IN_LINE, TURNED = 0.001, 0.02  # m, rad: precise enough to go down
FAST, SLOW = 0.15, 0.06  # m/s
QUARTER = np.pi / 2  # rad: turned by this, every peg is the same


class PegPolicy:
    """Inserts the peg.

    Attributes:
        contract: that of a task `peg-…-state`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._motion = CartesianMotion(contract, tip=(0.0, 0.0, LENGTH))

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        mouth, yaw = (np.asarray(observation[name], dtype=float)[:, -1] for name in ("hole", "hole_yaw"))
        setpoint = self._motion.setpoint(observation)
        tip, rotation = self._motion.pose(setpoint)
        own_yaw = np.arctan2(-rotation[:, 1, 0], -rotation[:, 0, 0])
        turn = (yaw[:, 0] - own_yaw + QUARTER / 2) % QUARTER - QUARTER / 2
        tilt = np.sqrt((rotation[:, :2, 2] ** 2).sum(axis=1))
        aside = np.sqrt(((mouth - tip)[:, :2] ** 2).sum(axis=1))
        in_line = (aside < IN_LINE) & (np.maximum(np.abs(turn), tilt) < TURNED)
        down = in_line | (tip[:, 2] < mouth[:, 2])

        target = mouth + np.stack([0 * tilt, 0 * tilt, np.where(down, -DEPTH, ABOVE)], axis=1)
        half = (own_yaw + turn) / 2
        orientation = np.stack([-np.sin(half), np.cos(half), 0 * half, 0 * half], axis=1)
        # No posture is preferred: its pull would leave the peg a few millimetres beside the hole.
        rates = self._motion.rates(setpoint, target, orientation=orientation, speed=np.where(down, SLOW, FAST), posture=setpoint)
        return ActionChunk(rates[:, None])
