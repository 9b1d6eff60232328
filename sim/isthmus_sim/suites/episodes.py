"""Whole episodes of a policy in an outside suite.

A suite's own end ends the sum of rewards. An episode that broke, because its simulation diverged or its policy asked for a value that is not finite,
must neither look better for it nor earn anything: each step that is left until the time limit counts as the worst that it had, at best as nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.cadence import Cadence
from isthmus.chunks import Chunks
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
        diverged: its simulation diverged, which ended it as a failure.
        invalid: what the policy asked for that was not finite, which ended it as a failure; "" if all was.
    """

    seed: int
    total_reward: float
    success: bool | None
    steps: int
    diverged: bool = False
    invalid: str = ""


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
        on_action: called before each step, with the actions of all rows, `[B, A]`; NaN in rows that have ended.

    Returns:
        one result per seed, and the times of the loop.

    Raises:
        ValueError: the environment cannot be made here, or `replan` is not in 1 … H.
    """
    horizon = policy.contract.horizon
    replan = horizon if replan is None else replan
    if not 1 <= replan <= horizon:
        raise ValueError(f"replan must be in 1 … {horizon}, got {replan}")
    env = SuiteVectorEnv(task, len(seeds), autoreset=False, picture_size=picture_size)
    cadence = Cadence(task.contract.control_period, realtime=False)
    chunks = Chunks(len(seeds), replan, len(task.contract.action.elements))
    returns, steps, worst = np.zeros(len(seeds)), np.zeros(len(seeds), dtype=np.int64), np.zeros(len(seeds))
    success: list[bool | None] = [None] * len(seeds)
    running, diverged = np.ones(len(seeds), dtype=bool), np.zeros(len(seeds), dtype=bool)
    invalid = [""] * len(seeds)
    try:
        observation, _ = env.reset(seed=seeds)
        policy.reset(seed=int(seeds[0]))
        while running.any():
            began = time.perf_counter()
            if chunks.needs.any():
                chunks.ask(policy, observation)
                cadence.inference.append(time.perf_counter() - began)
            action = chunks.next()
            assert action is not None  # noqa: S101 - some row is running
            if on_action:
                on_action(action)
            filming = running[0]
            observation, reward, terminated, truncated, info = env.step(action)
            lost = running & (info["diverged"] | info["invalid"])
            going = running & ~lost
            returns[going] += reward[going]
            worst[going] = np.minimum(worst[going], reward[going])  # at best 0
            steps[going] += 1
            returns[lost] += (task.episode_steps - steps[lost]) * worst[lost]
            diverged |= running & info["diverged"]
            for row in np.flatnonzero(running & info["invalid"]):
                element = task.contract.action.elements[int(np.argmin(np.isfinite(action[row])))]
                invalid[row] = f"command of {element} is not finite"
            if "success" in info:
                for row in np.flatnonzero(running):
                    success[row] = bool(info["success"][row])
            if on_step and filming:
                on_step(env)
            running &= ~(terminated | truncated)
            chunks.end(~running)
            cadence.work.append(time.perf_counter() - began)
            cadence.steps += 1
    finally:
        env.close()
    rows = zip(seeds, returns, success, steps, diverged, invalid, strict=True)
    return [
        SuiteEpisode(int(seed), float(total), won, int(count), bool(burst), why) for seed, total, won, count, burst, why in rows
    ], cadence
