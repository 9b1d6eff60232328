"""Whether a policy swings at the control rate: the gain of the loop that policy and drives close, for commands that alternate from period to period.

The response R of everything that is observed to alternating commands is measured on the plant, one action element at a time. With the policy's
derivatives at the states that it comes to, G = ∂a/∂o · R says what an alternating command brings about in the next one; for a velocity command
that is ∂a/∂a_prev + ∂a/∂q̇ · H and what the moved position adds. Where an eigenvalue of G is 1 or more in magnitude, a command that alternates does
not die out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Task
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["LoopGain", "loop_gain", "visited_states"]

STATES = 280
ROWS, EVERY = 8, 5  # episodes, and control periods between two states of one
AMPLITUDE = 0.05  # of half of an action's range
SETTLED = 20  # control periods after which the swing is looked at
STEP = 0.01  # of half of an action's range, for derivatives


@dataclass(frozen=True, slots=True)
class LoopGain:
    """What was found.

    Attributes:
        median: over states, of the largest magnitude of an eigenvalue.
        above_one: share of the states where it is 1 or more.
        states: how many.
    """

    median: float
    above_one: float
    states: int


def loop_gain(policy: Policy, task: Task, plant: str) -> LoopGain:
    """Measure.

    Args:
        policy: its contract is the task's.
        task: gives robot, starts and inputs.
        plant: name of the engine.

    Raises:
        ValueError: the task does not run on the plant.
        ModuleNotFoundError: the engine is not installed.
    """
    half = (np.array(task.contract.action.high) - np.array(task.contract.action.low)) / 2
    response, states = _response(task, plant, half), visited_states(policy, task, plant)
    count = len(next(iter(states.values())))
    gain = np.empty((count, len(half), len(half)))
    for element in range(len(half)):
        moved = [
            policy.act(
                {name: (value + sign * STEP * response[name][element]).astype(value.dtype) for name, value in states.items()}
            ).actions[:, 0]
            for sign in (1.0, -1.0)
        ]
        gain[:, :, element] = (moved[0] - moved[1]) / (2 * STEP) / half
    largest = np.abs(np.linalg.eigvals(gain)).max(axis=1)
    return LoopGain(float(np.median(largest)), float((largest >= 1).mean()), count)


def _response(task: Task, plant: str, half: Array) -> dict[str, Array]:
    """What alternates of each observation when a command element does so by half its range, `[A, history, *shape]` per signal."""
    count = len(half)
    env = TaskVectorEnv(task, task_plant(plant, task, count), guard=False)
    env.reset(seed=[0] * count)
    rest = env.plant.truth().position if task.contract.mode == "position" else np.zeros((count, count))
    low, high = np.array(task.contract.action.low), np.array(task.contract.action.high)
    swing = AMPLITUDE * np.diag(half)
    middle = np.clip(rest, low + AMPLITUDE * half, high - AMPLITUDE * half)
    seen = [env.step(middle + (-1.0) ** period * swing)[0] for period in range(SETTLED + 2)][-3:]
    env.close()
    # Of what moves steadily beside the swing, the difference to the mean of before and after leaves nothing; of the swing, twice it.
    sign = (-1.0) ** SETTLED
    return {
        name: sign * (value - (seen[0][name].astype(np.float64) + seen[2][name]) / 2) / 2 / AMPLITUDE
        for name, value in seen[1].items()
        if value.dtype != np.uint8
    } | {name: np.zeros_like(value) for name, value in seen[1].items() if value.dtype == np.uint8}


def visited_states(policy: Policy, task: Task, plant: str) -> dict[str, Array]:
    """Observations that the policy comes to, guarded as ever, `[N, history, *shape]` per signal."""
    env = TaskVectorEnv(task, task_plant(plant, task, ROWS))
    observation, _ = env.reset(seed=0)
    policy.reset(seed=0)
    found: list[dict[str, Array]] = []
    for period in range(EVERY * -(-STATES // ROWS)):
        if period % EVERY == 0:
            found.append({name: value.copy() for name, value in observation.items()})
        observation = env.step(np.asarray(policy.act(observation).actions[:, 0], dtype=np.float64))[0]
    env.close()
    return {name: np.concatenate([one[name] for one in found])[:STATES] for name in found[0]}
