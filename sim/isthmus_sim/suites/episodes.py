"""Whole episodes of a policy in an outside suite."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.cadence import Cadence
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_sim.suites.suite import SuiteTask
from isthmus_sim.suites.vector_env import SuiteVectorEnv

__all__ = ["SuiteEpisode", "run_suite_episodes"]


@dataclass(frozen=True, slots=True)
class SuiteEpisode:
    """One episode.

    Attributes:
        seed: of its start.
        total_reward: undiscounted return.
        success: by the suite's own report; None where it makes none.
        steps: until its end.
    """

    seed: int
    total_reward: float
    success: bool | None
    steps: int


def run_suite_episodes(
    task: SuiteTask,
    policy: Policy,
    seeds: Sequence[int],
    *,
    replan: int | None = None,
    picture_size: int | None = None,
    on_step: Callable[[SuiteVectorEnv], None] | None = None,
    on_action: Callable[[Array], None] | None = None,
) -> tuple[list[SuiteEpisode], Cadence]:
    """Run one episode per seed, all at once.

    Args:
        task: what is asked; the policy's contract must be its.
        policy: what decides.
        seeds: one per episode.
        replan: actions of a chunk to execute before deciding again; None means all.
        picture_size: side of the pictures that `on_step` may take, pixels; None for none.
        on_step: called after each step in which the first episode still ran.
        on_action: called before each step, with the actions of all rows, `[B, A]`.

    Returns:
        one result per seed, and the times of the loop.

    Raises:
        ValueError: a simulation diverged, the environment cannot be made here, or `replan` is not in 1 … H.
    """
    horizon = policy.contract.horizon
    replan = horizon if replan is None else replan
    if not 1 <= replan <= horizon:
        raise ValueError(f"replan must be in 1 … {horizon}, got {replan}")
    env = SuiteVectorEnv(task, len(seeds), picture_size=picture_size)
    cadence = Cadence(task.contract.control_period, realtime=False)
    returns, steps = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=np.int64)
    success: list[bool | None] = [None] * len(seeds)
    running = np.ones(len(seeds), dtype=bool)
    try:
        observation, _ = env.reset(seed=seeds)
        policy.reset(seed=int(seeds[0]))
        while running.any():
            began = time.perf_counter()
            if cadence.steps % replan == 0:
                chunk = policy.act(observation).actions
                cadence.inference.append(time.perf_counter() - began)
            action = chunk[:, cadence.steps % replan]
            if on_action:
                on_action(action)
            observation, reward, terminated, truncated, info = env.step(action)
            returns[running] += reward[running]
            steps[running] += 1
            if "success" in info:
                for row in np.flatnonzero(running):
                    success[row] = bool(info["success"][row])
            if on_step and running[0]:
                on_step(env)
            running &= ~(terminated | truncated)
            cadence.work.append(time.perf_counter() - began)
            cadence.steps += 1
    finally:
        env.close()
    return [SuiteEpisode(int(s), float(r), won, int(n)) for s, r, won, n in zip(seeds, returns, success, steps, strict=True)], cadence
