"""Straight to the goal: resolved-rate motion of the tool, with velocities, positions or efforts.

Efforts hold the arm against gravity and drive every joint to its rate (Siciliano et al., "Robotics", section 8.5.1, with a velocity reference).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.kinematics import Kinematics
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array, reorder
from isthmus.robot import load_robot
from isthmus_controllers.scripted.cartesian import CartesianMotion

__all__ = ["ReachPolicy"]

DAMPING = 0.2  # of a joint's largest effort per rad/s of rate error


class ReachPolicy:
    """Moves the tool to the goal.

    Attributes:
        contract: that of one of the tasks `reach`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        (self._goal,) = (signal.name for signal in contract.inputs)
        self._motion = CartesianMotion(contract, gain=4.0, speed=0.5)
        self._kinematics = Kinematics(load_robot(contract.robot).urdf_path)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """One step towards the goal; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        goal = np.asarray(observation[self._goal], dtype=float)[:, -1]
        if self.contract.mode != "effort":
            return ActionChunk(self._motion.act(observation, goal)[:, None])
        action, signal = self.contract.action, self.contract.signal("joint_velocity")
        position = self._motion.setpoint(observation)
        velocity = reorder(np.asarray(observation["joint_velocity"], dtype=float)[:, -1], signal.elements, action.elements)
        largest = np.array(action.high)
        effort = self._kinematics.gravity(action.elements, position)
        effort = effort + DAMPING * largest * (self._motion.rates(position, goal) - velocity)
        return ActionChunk(np.clip(effort, -largest, largest)[:, None])
