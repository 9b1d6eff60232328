"""Simulation: plants, tasks and environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from isthmus_sim.plants import RenderedSimulator
    from isthmus_sim.randomization import Randomization, Sampler
    from isthmus_sim.suites import SuiteVectorEnv
    from isthmus_sim.task import Task
    from isthmus_sim.vector_env import TaskEnv, TaskVectorEnv

__all__ = ["make", "make_vec"]


def make(task: str, plant: str = "mujoco", randomization: Randomization | None = None) -> TaskEnv:
    """A single environment of a task.

    Args:
        task: name of the task.
        plant: name of the engine.
        randomization: physical parameters to draw for each episode.

    Raises:
        ValueError: unknown task or plant, or a parameter that cannot be drawn; the message lists the valid ones.
    """
    from isthmus_sim.vector_env import TaskEnv

    made, simulator, sampler = _parts(task, plant, 1, randomization)
    return TaskEnv(made, simulator, randomization=sampler)


def make_vec(
    task: str, num_envs: int, plant: str = "mujoco", randomization: Randomization | None = None, dumps: Path | None = None
) -> TaskVectorEnv | SuiteVectorEnv:
    """A batch of environments of a task, on one batched plant; or of an outside suite, in its own simulation.

    Args:
        task: name of the task, such as `reach` or `gym:HalfCheetah-v5`.
        num_envs: number of rows.
        plant: name of the engine; outside suites have their own.
        randomization: physical parameters to draw for each episode.
        dumps: folder for explosions of the physics; None saves nothing.

    Raises:
        ValueError: unknown task or plant, or a parameter that cannot be drawn; the message lists the valid ones.
    """
    from isthmus_sim.suites import SuiteVectorEnv, get_suite_task, is_suite_task
    from isthmus_sim.vector_env import TaskVectorEnv

    if is_suite_task(task):
        if randomization:
            raise ValueError(f"{task!r} runs in a suite's own simulation, which randomisation cannot reach")
        return SuiteVectorEnv(get_suite_task(task), num_envs)
    made, simulator, sampler = _parts(task, plant, num_envs, randomization)
    return TaskVectorEnv(made, simulator, randomization=sampler, dumps=dumps)


def _parts(task: str, plant: str, batch: int, randomization: Randomization | None) -> tuple[Task, RenderedSimulator, Sampler | None]:
    from isthmus_sim.randomization import randomized_plant
    from isthmus_sim.tasks import get_task

    made = get_task(task)
    return made, *randomized_plant(plant, made, batch, randomization)
