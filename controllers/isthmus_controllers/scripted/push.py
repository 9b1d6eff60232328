"""Pushing a puck with a stick: go round it until the stick is behind, then push it towards the goal.

The stick keeps its height and moves in the polar coordinates of the puck, whose axis points away from the goal: along the circle as long as it is off
the axis, inwards as it comes closer to it. While pushing, the sideways motion steers the puck, as in every behaviour of "push from behind"
(Lynch and Mason, "Stable pushing", 1996, say why a single point needs this feedback).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["PushPolicy"]

STICK = 0.20  # m from the tool frame to its tip
TOUCH = 0.057  # m, between the axes of puck and stick when they touch
CLEAR = 0.085  # m, the same on the way round
HEIGHT = 0.015  # m, of the tip above the table
DOWN = np.array([0.0, 0.0, -1.0])
FASTEST, SLOWEST = 0.15, 0.03  # m/s
CONE = 0.35  # rad, around straight behind, where the stick may push
STEER = 3.0  # 1/s, at which the stick goes round the puck
ARRIVED = 0.010  # m


class PushPolicy:
    """Pushes the puck to the goal.

    Attributes:
        contract: that of the task `push`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._motion = CartesianMotion(contract, tip=(0.0, 0.0, STICK), speed=0.3)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Move the stick by one period; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        puck, goal = (np.asarray(observation[name], dtype=float)[:, -1, :2] for name in ("puck", "goal"))
        position = self._motion.setpoint(observation)
        tip = self._motion.pose(position)[0]
        left = np.sqrt(((goal - puck) ** 2).sum(axis=1))
        ahead = (goal - puck) / np.maximum(left, 1e-6)[:, None]
        aside = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
        away = tip[:, :2] - puck
        radius = np.maximum(np.sqrt((away**2).sum(axis=1)), 1e-6)
        # Angle of the stick around the puck, 0 straight behind it.
        angle = np.arctan2(-(away * aside).sum(axis=1), -(away * ahead).sum(axis=1))
        arrived = left < ARRIVED
        behind = (np.abs(angle) < CONE) & ~arrived
        push_speed = np.clip(1.5 * left, SLOWEST, FASTEST)
        inwards = np.where(behind, push_speed, 4.0 * (radius - CLEAR))
        round_speed = np.where(arrived, 0.0, np.clip(STEER * angle, -2.5, 2.5) * radius)
        outwards = away / radius[:, None]
        along = np.stack([-outwards[:, 1], outwards[:, 0]], axis=1)
        velocity = np.zeros_like(tip)
        velocity[:, :2] = -outwards * np.clip(inwards, -0.3, 0.3)[:, None] - along * np.clip(round_speed, -0.25, 0.25)[:, None]
        target = tip.copy()
        target[:, 2] = HEIGHT
        rates = self._motion.rates(position, target, direction=DOWN, velocity=velocity)
        return ActionChunk(rates[:, None])
