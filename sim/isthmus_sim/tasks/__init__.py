"""The tasks that come with isthmus."""

from __future__ import annotations

from collections.abc import Callable

from isthmus import strict
from isthmus_sim.task import Task
from isthmus_sim.tasks.navigate import navigate
from isthmus_sim.tasks.pendulum import pendulum
from isthmus_sim.tasks.push import push
from isthmus_sim.tasks.reach import reach, reach_wide
from isthmus_sim.tasks.slide import slide
from isthmus_sim.tasks.walk import walk, walk_rough

__all__ = ["get_task", "task_names"]

_TASKS: dict[str, Callable[[], Task]] = {
    "pendulum": pendulum,
    "reach": reach,
    "reach-wide": reach_wide,
    "push": push,
    "slide": slide,
    "navigate": navigate,
    "walk": walk,
    "walk-rough": walk_rough,
}


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(_TASKS)


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: there is none; the message lists the known ones.
    """
    if name not in _TASKS:
        raise ValueError(f"unknown task {name!r}; {strict.suggest(name, _TASKS)}")
    return _TASKS[name]()
