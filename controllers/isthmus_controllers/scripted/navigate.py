"""Goal seeking between round obstacles: the shortest way through a visibility graph, followed by steering to its first corner.

The graph is that of Lozano-Pérez and Wesley, "An algorithm for planning collision-free paths among polyhedral obstacles" (1979), with a regular
polygon around each obstacle, grown by the robot's radius and a margin. It is made anew in every decision, so nothing needs to be remembered. It
holds for obstacles that do not move.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array

__all__ = ["NavigatePolicy", "first_corner"]

RADII = {"pillar": 0.20, "crate": 0.23}  # m, around the shapes that the names of the obstacles begin with
HULL = 0.17  # m
MARGIN = 0.08  # m
CORNERS = 12  # of each polygon
TURN_GAIN, SLOW_DOWN = 3.0, 1.5  # 1/s
ARRIVED = 0.08  # m
PASSED = 0.03  # m: a corner this close lies behind


class NavigatePolicy:
    """Drives a differential base to its goal.

    Attributes:
        contract: that of the task `navigate`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        names = [element.removesuffix("_x") for element in contract.signal("obstacles").elements[::2]]
        self._radii = np.array([RADII[name.split("_")[0]] for name in names]) + HULL + MARGIN
        self._fastest = np.array(contract.action.high)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Steer to the first corner of the shortest way; see `Policy.act`."""
        observation = asked_observation(self.contract, observation)
        pose, goal = (np.asarray(observation[name], dtype=float)[:, -1] for name in ("base_link", "goal"))
        obstacles = np.asarray(observation["obstacles"], dtype=float)[:, -1].reshape(len(pose), -1, 2)
        position, heading = pose[:, :2], 2 * np.arctan2(pose[:, 2], pose[:, 3])
        away = first_corner(position, goal, obstacles, self._radii) - position
        error = (np.arctan2(away[:, 1], away[:, 0]) - heading + np.pi) % (2 * np.pi) - np.pi
        left = np.sqrt(((goal - position) ** 2).sum(axis=1))
        speed = np.minimum(self._fastest[0], SLOW_DOWN * left) * np.maximum(np.cos(error), 0.0) ** 2
        turn = np.clip(TURN_GAIN * error, -self._fastest[1], self._fastest[1])
        moves = (left > ARRIVED) & away.any(axis=1)
        twist = np.where(moves[:, None], np.stack([speed, turn], axis=1), 0.0)
        return ActionChunk(twist[:, None])


def first_corner(start: Array, goal: Array, centers: Array, radii: Array) -> Array:
    """Where the shortest way from start to goal first bends, or the goal; the start where there is no way, `[B, 2]`, m.

    Args:
        start: `[B, 2]`, m.
        goal: `[B, 2]`, m.
        centers: of the obstacles, `[B, O, 2]`, m.
        radii: of the obstacles, grown by what must stay clear, `[O]`, m.
    """
    # A robot that has come too close must be able to leave, and a goal that is too close can still be driven to.
    ends = np.stack([start, goal], axis=1)
    nearest = np.sqrt(((ends[:, None] - centers[:, :, None]) ** 2).sum(axis=3)).min(axis=2)
    radius = np.minimum(radii, nearest - 0.01)
    angle = 2 * np.pi * np.arange(CORNERS) / CORNERS
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 1.01 / np.cos(np.pi / CORNERS)
    corners = centers[:, :, None] + radius[:, :, None, None] * ring
    nodes = np.concatenate([ends, corners.reshape(len(start), -1, 2)], axis=1)
    length = np.sqrt(((nodes[:, :, None] - nodes[:, None]) ** 2).sum(axis=3))
    length[_blocked(nodes, centers, radius)] = np.inf
    to_go = length[:, :, 1]
    while True:  # Bellman–Ford
        shorter = (length + to_go[:, None]).min(axis=2)
        if np.array_equal(shorter, to_go):
            break
        to_go = shorter
    onward = length[:, 0] + to_go
    passed = length[:, 0] < PASSED
    passed[:, 1] = False
    onward[passed] = np.inf
    return np.asarray(np.take_along_axis(nodes, onward.argmin(axis=1)[:, None, None], axis=1)[:, 0])


def _blocked(nodes: Array, centers: Array, radius: Array) -> Array:
    """Which straight lines between nodes touch an obstacle, `[B, N, N]`."""
    way = nodes[:, None] - nodes[:, :, None]
    squared = np.maximum((way**2).sum(axis=3), 1e-12)
    blocked = np.zeros(squared.shape, dtype=bool)
    for index in range(centers.shape[1]):
        to_center = centers[:, index, None] - nodes
        along = np.clip((way * to_center[:, :, None]).sum(axis=3) / squared, 0.0, 1.0)
        rest = to_center[:, :, None] - along[..., None] * way
        blocked |= (rest**2).sum(axis=3) < radius[:, index, None, None] ** 2
    return blocked
