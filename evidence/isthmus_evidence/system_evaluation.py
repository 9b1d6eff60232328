"""Evaluates a policy on an analytic system with a specification: does what was executed satisfy it, and did the plans?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.cadence import Cadence
from isthmus.chunks import Chunks
from isthmus.motion import motion_of
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_controllers import stl
from isthmus_evidence.statistics import success_interval
from isthmus_evidence.summary import summarize
from isthmus_sim.systems import System, system_contract

__all__ = ["SystemEpisode", "evaluate_system"]


@dataclass(frozen=True, slots=True)
class SystemEpisode:
    """One execution of a plan's length.

    Attributes:
        seed: of its initial state.
        total_reward: exact robustness of what was executed.
        success: whether that satisfies the specification.
        safe: whether it satisfies the safety part.
        first_plan: robustness of the first plan; None if the policy does not plan so far ahead.
        plans: share of all plans that satisfied the specification; None likewise.
        backup: decisions in which the policy's search took over.
        steps: control periods.
        invalid: what the policy asked for that was not finite, which makes it a failure: from then on the fail-safe control was executed, and the
            policy not asked any more; "" if all was finite.
    """

    seed: int
    total_reward: float
    success: bool
    safe: bool
    first_plan: float | None
    plans: float | None
    backup: int
    steps: int
    invalid: str = ""


def evaluate_system(
    system: System,
    policy: Policy,
    *,
    episodes: int,
    seed: int,
    replan: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run one execution per seed, all of them at once. Controls beyond the system's bounds are cut off at them, planned and executed.

    Args:
        system: what is controlled.
        policy: its contract must be the system's, with any horizon.
        episodes: how many.
        seed: of the first initial state; the following ones count up.
        replan: actions of a plan to execute before the policy decides again.
        progress: called with control periods done and in total.

    Returns:
        as `isthmus_evidence.summary.summarize`, where the return is robustness and success satisfaction of what was executed; `specification` has the
        rest: shares of first plans and of all plans that satisfy it, of safe executions, and of decisions by backup.

    Raises:
        ValueError: the policy was made for something else, or a number is out of range.
    """
    horizon = policy.contract.horizon
    expected = system_contract(system, horizon)
    if policy.contract.digest() != expected.digest():
        raise ValueError(f"the policy has another contract than task {expected.task!r}: {'; '.join(policy.contract.diff(expected))}")
    if episodes < 1 or seed < 0 or not 1 <= replan <= horizon:
        raise ValueError(f"episodes must be >= 1, seed >= 0 and replan in 1 … {horizon}, got {episodes}, {seed} and {replan}")
    formula, safety = stl.parse(system.specification), stl.parse(system.safety)

    def judged(part: stl.Formula, trajectory: Array) -> Array:
        return np.asarray(stl.robustness(part, system.signals(trajectory[:, system.first :]), end=system.end))

    state = np.concatenate([system.sample(1, np.random.default_rng(number)) for number in range(seed, seed + episodes)])
    policy.reset(seed=seed)
    states: list[Array] = [state]
    commands: list[Array] = []  # NaN where the policy decides nothing any more
    planned: list[Array] = []
    backup, decisions = np.zeros(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.int64)
    cadence = Cadence(system.dt, realtime=False)
    chunks = Chunks(episodes, replan, len(system.controls))
    invalid = [""] * episodes
    for step in range(system.horizon):
        began = time.perf_counter()
        asked = chunks.needs
        if asked.any():
            decision = chunks.ask(policy, {"state": state[:, None].astype(np.float32)})
            cadence.inference.append((time.perf_counter() - began) / episodes)
            decisions += asked
            if horizon == system.horizon:
                planned.append(np.full(episodes, np.nan))
                valid = np.isfinite(decision.actions).all(axis=(1, 2))
                rows = np.flatnonzero(asked)[valid]
                planned[-1][rows] = judged(formula, system.rollout(state[rows], np.clip(decision.actions[valid], system.low, system.high)))
            backup[asked] += np.asarray(decision.info.get("backup", np.zeros(asked.sum())) != 0)
        action = chunks.next()
        action = np.full((episodes, len(system.controls)), np.nan) if action is None else action
        bad = np.asarray(~np.isfinite(action).all(axis=1))
        for row in np.flatnonzero(bad & ~chunks.ended).tolist():
            invalid[row] = f"command of {system.controls[int(np.argmin(np.isfinite(action[row])))]} is not finite"
        chunks.end(bad)
        action = np.clip(action, system.low, system.high)
        state = system.step(state, np.where(bad[:, None], system.fail_safe, action))
        states.append(state)
        commands.append(np.where(bad[:, None], np.nan, action))
        cadence.work.append((time.perf_counter() - began) / episodes)
        cadence.steps += 1
        if progress:
            progress(step + 1, system.horizon)
    trajectory = np.stack(states, 1)
    robustness, safe = judged(formula, trajectory), judged(safety, trajectory) >= 0
    plans = np.array(planned) >= 0  # [decisions, B]
    results = [
        SystemEpisode(
            seed + row,
            float(robustness[row]),
            bool(robustness[row] >= 0) and not invalid[row],
            bool(safe[row]),
            float(planned[0][row]) if planned and np.isfinite(planned[0][row]) else None,
            float(plans[:, row].mean()) if planned else None,
            int(backup[row]),
            system.horizon,
            invalid[row],
        )
        for row in range(episodes)
    ]
    summary = summarize(
        expected.task,
        "model",
        seed,
        results,
        {**cadence.summary(), "rows": 1},
        episode_steps=system.horizon,
        motions=[motion_of(expected, own[np.isfinite(own).all(axis=1)]) for own in np.stack(commands, 1)],
        unit=expected.action.unit,
    )
    summary["specification"] = {
        "text": system.specification,
        "first_plan": _share(plans[0]) if planned else None,
        "plans": float(plans.mean()) if planned else None,
        "safe": _share(safe),
        "backup": float(backup.sum() / decisions.sum()),
    }
    return summary


def _share(satisfied: Array) -> dict[str, float]:
    low, high = success_interval(int(satisfied.sum()), len(satisfied))
    return {"rate": float(satisfied.mean()), "low": low, "high": high}
