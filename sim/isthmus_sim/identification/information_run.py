"""Explorations, played from the beginning to the end: what a motion tells, how near it comes, and whether it may be made at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from isthmus.guard import STOP
from isthmus.records import Array, Measurement
from isthmus.robot import load_robot
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.plants.base import turned
from isthmus_sim.scene import Body, Shape
from isthmus_sim.task import Task
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["Nearness", "Run", "play"]

_LONG = ("capsule", "cylinder")


@dataclass(frozen=True, slots=True)
class Run:
    """What came of B explorations.

    Attributes:
        bad: rows that the guard stopped, that the task says have failed (something fell), or whose physics exploded, `[B]` bool.
        nearest: least distance to what the unknown parameters are of, m, `[B]`; 0 where they are of the robot.
        speed: largest speed of a joint as a share of its limit, `[B]`.
        effort: largest effort of a joint as a share of its limit, `[B]`.
        seconds: until the row ended, `[B]`.
    """

    bad: Array
    nearest: Array
    speed: Array
    effort: Array
    seconds: Array

    def first(self, count: int) -> Run:
        """The first rows of it."""
        return Run(*(getattr(self, item.name)[:count] for item in fields(self)))

    @classmethod
    def joined(cls, runs: Sequence[Run]) -> Run:
        """Several as one."""
        return cls(*(np.concatenate([getattr(run, item.name) for run in runs]) for item in fields(cls)))


def play(
    env: TaskVectorEnv,
    act: Callable[[dict[str, Array], int], Array],
    seeds: Sequence[int],
    nearness: Nearness | None = None,
    watch: Callable[[int, Array, dict[str, Any]], None] | None = None,
) -> Run:
    """Play one episode in each row.

    Args:
        env: does not begin anew by itself.
        act: observation and number of the period → actions `[B, A]`.
        seeds: of the rows' episodes.
        nearness: measures how near the tool comes.
        watch: told of each period: its number, rows that had not ended before it `[B]` bool, and the environment's info.
    """
    rows = env.num_envs
    observation, _ = env.reset(seed=list(seeds))
    limits = env.task.contract.limits
    speeds, efforts = np.array(limits.velocity), np.array(limits.effort)
    alive, bad = np.ones(rows, dtype=bool), np.zeros(rows, dtype=bool)
    nearest, speed, effort, steps = np.full(rows, np.inf), np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for number in range(env.task.episode_steps):
        observation, _, terminated, truncated, info = env.step(act(observation, number))
        truth = env.plant.truth()
        if watch:
            watch(number, alive.copy(), info)
        speed = np.where(alive, np.fmax(speed, (np.abs(truth.velocity) / speeds).max(1)), speed)
        if truth.effort is not None:
            effort = np.where(alive, np.fmax(effort, (np.abs(truth.effort) / efforts).max(1)), effort)
        if nearness:
            nearest = np.where(alive, np.fmin(nearest, nearness(truth)), nearest)
        steps += alive
        bad |= alive & (terminated | (info["rung"] == STOP) | info["diverged"] | info["invalid"])
        alive &= ~(terminated | truncated)
        if not alive.any():
            break
    return Run(bad, nearest if nearness else np.zeros(rows), speed, effort, steps * env.plant.period)


class Nearness:
    """Distance between what the tool carries and the bodies whose parameters are unknown, by the middles and ends of their shapes."""

    def __init__(self, task: Task, unknown: Sequence[Unknown]) -> None:
        """Find both.

        Args:
            task: gives robot and scene.
            unknown: parameters; those of the robot are near anyway.
        """
        self._tool = load_robot(task.contract.robot).tool_frame
        bodies = task.scene.bodies if task.scene else ()
        owners = {one.name.partition(".")[0] for one in unknown}
        self._targets = {body.name: _points(body) for body in bodies if body.name in owners and body.moves}
        carried = [_points(body) for body in bodies if body.parent == self._tool]
        self._probes = np.concatenate(carried) if carried else np.zeros((1, 3))

    def __call__(self, truth: Measurement) -> Array:
        """`[B]`, m; 0 if there is no such body."""
        if not self._targets:
            return np.zeros(truth.batch)
        probes = _placed(truth.poses[self._tool], self._probes)
        apart = [
            np.sqrt(((probes[:, :, None] - _placed(truth.poses[name], points)[:, None]) ** 2).sum(-1)).min((1, 2))
            for name, points in self._targets.items()
        ]
        return np.asarray(np.max(apart, axis=0))


def _points(body: Body) -> Array:
    """In the body's frame, or in that of what carries it, `[n, 3]`, m."""
    own = np.concatenate([_of_shape(shape) for shape in body.shapes if shape.collides] or [np.zeros((1, 3))])
    if not body.parent:
        return own
    return np.asarray(turned(np.tile(body.rotation, (len(own), 1)), own) + np.array(body.position))


def _of_shape(shape: Shape) -> Array:
    middle = np.array([shape.position])
    if shape.kind not in _LONG:
        return middle
    half = turned(np.array([shape.rotation]), np.array([[0.0, 0.0, shape.size[1]]]))
    return np.concatenate([middle - half, middle, middle + half])


def _placed(pose: Array, points: Array) -> Array:
    """Points `[n, 3]` of frames with poses `[B, 7]`, `[B, n, 3]`."""
    rows, count = len(pose), len(points)
    quaternions = np.repeat(pose[:, 3:], count, axis=0)
    return np.asarray(pose[:, None, :3] + turned(quaternions, np.tile(points, (rows, 1))).reshape(rows, count, 3))
