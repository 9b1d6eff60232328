"""Opens a door: the peg goes over the gap behind the handle, down into it, and then ahead of the handle on its circle.

The phase follows from where the peg is and how far the door is open. The circle follows from where the handle of the closed door is said to be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["DoorPolicy"]

HANDLE = np.array([0.32, 0.07])  # m, from the hinge, along the closed door and away from it
PEG_END = (0.0, 0.0, 0.11)  # m, the point of the peg that pulls, in the tool frame
GAP = 0.036  # m, from the door's middle plane: the peg is free between door and handle
PULLING = 0.052  # m, from the same: the peg touches the handle from behind
WIDTH, DEPTH = 0.05, 0.044  # m, from the middle of the gap along the door and away from it: the peg is behind the handle
ABOVE = 0.08  # m, over the handle before going down
NEAR, DEEP = 0.008, 0.012  # m: precise enough to go down; the peg is behind the handle when it is so close to its height
AHEAD, OPEN = 0.2, 0.65  # rad: of the handle's place that is pulled to; angle at which it is left
LOWERING, PULL = 0.15, 0.15  # m/s


class DoorPolicy:
    """Opens the door.

    Attributes:
        contract: that of the task `door`.
        SETTINGS: by name, the range.
    """

    SETTINGS: Mapping[str, tuple[float, float]] = {"handle_x": (-0.5, 0.5), "handle_y": (-1.0, 0.0)}

    def __init__(self, contract: Contract, handle_x: Array | float | None = None, handle_y: Array | float | None = None) -> None:
        """Bind a contract.

        Args:
            contract: that of the task `door`.
            handle_x: of the closed door, m, or one for each row; None looks at the signal `handle`.
            handle_y: likewise.
        """
        self.contract = contract
        self._handle = (handle_x, handle_y)
        self._motion = CartesianMotion(contract, tip=PEG_END)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        door, handle = (np.asarray(observation[name], dtype=float)[:, -1] for name in ("door", "handle"))
        for axis, told in enumerate(self._handle):
            if told is not None:
                handle = handle.copy()
                handle[:, axis] = told
        setpoint = self._motion.setpoint(observation)
        peg, _ = self._motion.pose(setpoint)
        angle = 2 * np.arctan2(door[:, 0], door[:, 1])
        gap = _place(handle, angle, GAP)
        aside = peg[:, :2] - gap[:, :2]
        away = np.sqrt((aside**2).sum(axis=1))
        along = np.abs(aside[:, 0] * np.cos(angle) + aside[:, 1] * np.sin(angle))
        outward = aside[:, 1] * np.cos(angle) - aside[:, 0] * np.sin(angle)
        low = peg[:, 2] < handle[:, 2] + DEEP
        hooked = low & (along < WIDTH) & (np.abs(outward) < DEPTH)
        further = angle + np.clip(OPEN - angle, 0.0, AHEAD)
        target = np.where((away < NEAR)[:, None], gap, gap + np.array([0.0, 0.0, ABOVE]))
        target[:, :2] = np.where(
            (low & ~hooked)[:, None], peg[:, :2], target[:, :2]
        )  # a peg in front of the handle goes up before it goes over
        target = np.where(hooked[:, None], _place(handle, further, PULLING), target)
        speed = np.where(hooked, PULL, np.where(away < NEAR, LOWERING, 0.4))
        action = self._motion.rates(setpoint, target, direction=np.array([0.0, 0.0, -1.0]), speed=speed)
        return ActionChunk(action[:, None])


def _place(handle: Array, angle: Array, depth: float) -> Array:
    """Where the point at the handle's height and length, `depth` m from the door's middle plane, is when the door is open by `angle`, `[B, 3]`, m."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = handle[:, 0] - HANDLE[0], handle[:, 1] - HANDLE[1]
    return np.stack([x + HANDLE[0] * cos - depth * sin, y + HANDLE[0] * sin + depth * cos, handle[:, 2]], axis=1)
