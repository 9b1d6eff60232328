"""A task's plant with everything that a randomisation asks for."""

from __future__ import annotations

from isthmus_sim.plants import RenderedSimulator, task_plant
from isthmus_sim.randomization.randomization import Randomization, Sampler
from isthmus_sim.task import Task

__all__ = ["randomized_plant"]


def randomized_plant(
    name: str, task: Task, batch: int = 1, randomization: Randomization | None = None
) -> tuple[RenderedSimulator, Sampler | None]:
    """The plant that a task runs on, and what draws its parameters.

    Args:
        name: engine.
        task: what is asked.
        batch: number of rows.
        randomization: None draws nothing.

    Returns:
        the plant, made with the appearance, and the sampler of its parameters; None without a randomisation.

    Raises:
        ValueError: unknown engine; a parameter or an appearance that cannot be drawn, or an appearance that no policy would see.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if randomization is None:
        return task_plant(name, task, batch), None
    if randomization.appearance and not any(signal.source == "image" for signal in task.contract.observation):
        raise ValueError(f"task {task.name!r} shows its policies no image, so an appearance would change nothing")
    plant = task_plant(name, task, batch, randomization.appearance)
    try:
        return plant, randomization.for_plant(name, plant)
    except ValueError:
        plant.close()
        raise
