"""Demonstrations by a task's script: what the learner would have seen, what the script did, and what it earned, all told by the simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_cli.train.tasks import training_environment
from isthmus_controllers.scripted import scripted_policy, scripted_tasks
from isthmus_sim.recordings import RecordedEpisode
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["SCRIPTED_SEED", "scripted_episodes"]

SCRIPTED_SEED = 10**7  # far from those that policies are chosen and checked by
_STATE, _TWO = "-state", "-two"  # how variants of a task are called whose policies see numbers in place of pictures, or through two cameras


def scripted_episodes(task: Task, contract: Contract, plant: str, episodes: int) -> list[RecordedEpisode]:
    """Run the script of a task, or of its variant that is told in numbers what the task shows in pictures.

    Args:
        task: what is demonstrated.
        contract: what the learner observes: the task's, with or without the previous action.
        plant: engine, without randomisation.
        episodes: how many; one after the other.

    Raises:
        ValueError: there is no script.
    """
    variant = task.name.removesuffix(_TWO) + _STATE
    name = variant if variant in scripted_tasks() and task.name not in scripted_tasks() else task.name
    told = get_task(name)
    policy = scripted_policy(name, told.contract)
    known = {signal.name for signal in told.contract.observation}
    both = (*told.contract.observation, *(signal for signal in contract.observation if signal.name not in known))
    env = training_environment(replace(told, contract=replace(told.contract, observation=both)), plant, 1, None, Path())
    assert isinstance(env, TaskVectorEnv)  # noqa: S101 - of a task of ours
    wanted = [signal.name for signal in contract.observation]
    try:
        return [_demonstrated(env, policy, wanted, SCRIPTED_SEED + episode) for episode in range(episodes)]
    finally:
        env.close()


def _demonstrated(env: TaskVectorEnv, policy: Policy, wanted: list[str], seed: int) -> RecordedEpisode:
    """One episode; `wanted` names what is kept of the observations."""

    def kept(observation: Mapping[str, Array]) -> dict[str, Array]:
        return {name: observation[name].copy() for name in wanted}

    names = [signal.name for signal in policy.contract.observation]
    policy.reset(seed=seed)
    observation, _ = env.reset(seed=seed)
    seen, actions, rewards = [kept(observation)], [], []
    terminated = ended = False
    while not ended:
        chunk = policy.act({name: observation[name] for name in names}).actions
        for action in chunk[0]:
            observation, reward, fallen, truncated, info = env.step(action[None])
            terminated, ended = bool(fallen[0]), bool(fallen[0] | truncated[0])
            seen.append(kept(info["final_obs"] if ended else observation))
            actions.append(action)
            rewards.append(float(reward[0]))
            if ended:
                break
    stacked = {name: np.concatenate([step[name] for step in seen]) for name in wanted}
    return RecordedEpisode(stacked, np.array(actions), np.array(rewards), terminated)
