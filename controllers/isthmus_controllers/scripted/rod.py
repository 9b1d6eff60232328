"""Picks a rod at the balance point that it is told, as a signal or once and for all: over it, down, close, up.

The phase follows from where tool, fingers and rod are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["RodPolicy"]

GRIP, SLACK = 0.02, 0.004  # m: half width of the rod; how far from it a closed finger may be
ABOVE, LIFT = 0.08, 0.22  # m: of the tool over the grasp before going down; height at which the rod is held
NEAR, ALIGNED = 0.006, 0.04  # m, rad: precise enough to go down, and to close
HELD = 0.02  # m: the tool is this near to the grasp while it holds the rod
CLOSING, OPENING, WIDE = 0.06, 0.08, 0.042  # m/s, and m of each finger when it is open
LIFTING, LOWERING = 0.08, 0.12  # m/s


class RodPolicy:
    """Picks and holds the rod.

    Attributes:
        contract: that of the task `rod`.
        SETTINGS: by name, the range.
    """

    SETTINGS: Mapping[str, tuple[float, float]] = {"balance_point": (-0.14, 0.14)}

    def __init__(self, contract: Contract, balance_point: Array | float | None = None) -> None:
        """Bind a contract.

        Args:
            contract: that of the task `rod`.
            balance_point: along the rod, m, or one for each row; None looks at the signal of that name.
        """
        self.contract = contract
        self._balance_point = balance_point
        self._motion = CartesianMotion(contract)
        self._fingers = np.array(["finger" in name for name in contract.action.elements])

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """See `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        fingers = np.asarray(observation["joint_position"], dtype=float)[:, -1][:, self._fingers]
        rod, balance = (np.asarray(observation[name], dtype=float)[:, -1] for name in ("rod", "balance_point"))
        if self._balance_point is not None:
            balance = np.broadcast_to(np.atleast_1d(self._balance_point)[:, None], balance.shape)
        setpoint = self._motion.setpoint(observation)
        tip, rotation = self._motion.pose(setpoint)
        x, y, z, w = rod[:, 3:].T
        axis = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=1)
        grasp = rod[:, :3] + balance * axis

        gap = np.sqrt(((grasp - tip) ** 2).sum(axis=1))
        held = (gap < HELD) & (np.abs(fingers - GRIP) < SLACK).all(axis=1)
        own_yaw = np.arctan2(-rotation[:, 1, 0], -rotation[:, 0, 0])
        rod_yaw = np.arctan2(-axis[:, 0], axis[:, 1])
        turn = (rod_yaw - own_yaw + np.pi / 2) % np.pi - np.pi / 2  # both ends of the rod are alike
        aside = np.sqrt(((grasp - tip)[:, :2] ** 2).sum(axis=1))
        over = (aside < NEAR) & (np.abs(turn) < ALIGNED)
        down = over & (gap < NEAR)

        target = np.where(over[:, None], grasp, grasp + np.array([0.0, 0.0, ABOVE]))
        target = np.where(held[:, None], np.stack([tip[:, 0], tip[:, 1], np.full(len(tip), LIFT)], axis=1), target)
        half = (own_yaw + np.where(held, 0.0, turn)) / 2
        downward = np.stack([-np.sin(half), np.cos(half), 0 * half, 0 * half], axis=1)
        speed = np.where(held, LIFTING, np.where(over, LOWERING, 0.4))
        action = self._motion.rates(setpoint, target, orientation=downward, speed=speed)
        opening = np.minimum(OPENING, 5.0 * (WIDE - fingers))
        action[:, self._fingers] = np.where((held | down)[:, None], -CLOSING, opening)
        return ActionChunk(action[:, None])
