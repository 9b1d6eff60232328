"""Simulation: plants, tasks and environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isthmus_sim.plants import RenderedSimulator
    from isthmus_sim.task import Task
    from isthmus_sim.vector_env import TaskEnv, TaskVectorEnv

__all__ = ["make", "make_vec"]


def make(task: str, plant: str = "mujoco") -> TaskEnv:
    """A single environment of a task.

    Args:
        task: name of the task.
        plant: name of the engine.

    Raises:
        ValueError: unknown task or plant; the message lists the valid ones.
    """
    from isthmus_sim.vector_env import TaskEnv

    return TaskEnv(*_parts(task, plant, 1))


def make_vec(task: str, num_envs: int, plant: str = "mujoco") -> TaskVectorEnv:
    """A batch of environments of a task, on one batched plant.

    Args:
        task: name of the task.
        num_envs: number of rows.
        plant: name of the engine.

    Raises:
        ValueError: unknown task or plant; the message lists the valid ones.
    """
    from isthmus_sim.vector_env import TaskVectorEnv

    return TaskVectorEnv(*_parts(task, plant, num_envs))


def _parts(task: str, plant: str, batch: int) -> tuple[Task, RenderedSimulator]:
    from isthmus.robot import load_robot
    from isthmus_sim.plants import make_plant
    from isthmus_sim.tasks import get_task

    made = get_task(task)
    contract = made.contract
    return made, make_plant(plant, load_robot(contract.robot), mode=contract.mode, period=contract.control_period, batch=batch)
