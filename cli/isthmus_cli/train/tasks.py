"""What is trained on: tasks of ours and of outside suites by their names, and environments for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isthmus.contract import Contract
from isthmus_policies.mentor.encoder import check_pictures
from isthmus_sim.randomization import Randomization, randomized_plant
from isthmus_sim.suites import SUITES, SuiteTask, SuiteVectorEnv, get_suite_task, is_suite_task
from isthmus_sim.systems import is_system
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["check_sees", "check_simulation", "find_task", "named_suite_task", "named_task", "training_environment"]


def find_task(name: str) -> Task | SuiteTask:
    """A task of ours, or with a prefix one of an outside suite.

    Raises:
        ValueError: unknown, or an analytic model; the message lists the known ones.
    """
    if is_system(name):
        raise ValueError(f"{name!r} is an analytic model without a robot, which plans are made for: isthmus train npc {name}")
    return get_suite_task(name) if is_suite_task(name) else get_task(name)


def named_task(words: Sequence[str]) -> str | None:
    """The task of ours among what was typed, whose settings are then the defaults, of reach-ROBOT those of reach; None if there is none.

    Raises:
        ValueError: the first word is no task; the message lists the known ones.
    """
    if words and not words[0].startswith("-") and (is_system(words[0]) or not is_suite_task(words[0])):
        find_task(words[0])
    if words and words[0] not in task_names() and words[0].startswith("reach-"):
        return "reach"
    return next((word for word in words if word in task_names()), None)


def named_suite_task(words: Sequence[str]) -> str | None:
    """The task of an outside suite among what was typed; None if there is none."""
    return next((word for word in words if word.partition(":")[0] in SUITES and is_suite_task(word)), None)


def check_simulation(task: Task | SuiteTask, plant: str, randomized: bool, options: str) -> None:
    """See that a suite's task is left in its own simulation.

    Raises:
        ValueError: another engine or randomisation is asked for; the message names the `options`.
    """
    if isinstance(task, SuiteTask) and (plant != "mujoco" or randomized):
        raise ValueError(f"{task.name!r} runs in a suite's own simulation, so {options} cannot be used with it")


def check_sees(task: Task | SuiteTask, algorithm: str) -> None:
    """Refuse a task whose policies see nothing.

    Raises:
        ValueError: the message names the tasks whose policies do.
    """
    if not _sees(task.contract):
        seeing = [name for name in task_names() if _sees(get_task(name).contract)]
        check_pictures(task.contract, algorithm, f"{', '.join(seeing)} do, and tasks of an outside suite with @84 behind the name")


def _sees(contract: Contract) -> bool:
    return any(signal.source == "image" for signal in contract.observation)


def training_environment(
    task: Task | SuiteTask, plant: str, rows: int, randomization: Randomization | None, dumps: Path
) -> TaskVectorEnv | SuiteVectorEnv:
    """The environment of a training; `dumps` is the folder for explosions of the physics."""
    if isinstance(task, SuiteTask):
        return SuiteVectorEnv(task, rows)
    simulator, sampler = randomized_plant(plant, task, rows, randomization)
    return TaskVectorEnv(task, simulator, randomization=sampler, dumps=dumps)
