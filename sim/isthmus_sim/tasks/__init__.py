"""The tasks that come with isthmus, and those of other packages: entry points of the group `isthmus.tasks`.

`reach-ROBOT` is made for any arm whose profile isthmus or an installed package has; these names are not listed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from isthmus import strict
from isthmus.installed import find_installed, installed_names, make_installed
from isthmus.robot import load_robot, robot_names
from isthmus_sim.task import Task
from isthmus_sim.tasks.dodge import dodge
from isthmus_sim.tasks.door import door
from isthmus_sim.tasks.navigate import navigate
from isthmus_sim.tasks.peg import peg
from isthmus_sim.tasks.pendulum import pendulum
from isthmus_sim.tasks.push import push
from isthmus_sim.tasks.reach import reach, reach_effort, reach_of, reach_position, reach_wide
from isthmus_sim.tasks.reach_pixels import reach_pixels
from isthmus_sim.tasks.rod import rod
from isthmus_sim.tasks.slide import slide
from isthmus_sim.tasks.walk import walk, walk_rough

__all__ = ["get_task", "task_names"]

_GROUP = "isthmus.tasks"
_TASKS: dict[str, Callable[[], Task]] = {
    "pendulum": pendulum,
    "reach": reach,
    "reach-wide": reach_wide,
    "reach-position": reach_position,
    "reach-effort": reach_effort,
    "reach-pixels": functools.partial(reach_pixels, "reach-pixels", ("side",)),
    "reach-pixels-two": functools.partial(reach_pixels, "reach-pixels-two", ("wrist", "side")),
    "reach-pixels-state": functools.partial(reach_pixels, "reach-pixels-state", ()),
    "dodge": dodge,
    "push": push,
    "slide": slide,
    "rod": rod,
    "door": door,
    "navigate": navigate,
    "peg": functools.partial(peg, "round", state=False),
    "peg-state": functools.partial(peg, "round", state=True),
    "peg-square": functools.partial(peg, "square", state=False),
    "peg-square-state": functools.partial(peg, "square", state=True),
    "peg-cross": functools.partial(peg, "cross", state=False),
    "peg-cross-state": functools.partial(peg, "cross", state=True),
    "walk": walk,
    "walk-rough": walk_rough,
}


def task_names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted({*_TASKS, *installed_names(_GROUP)})


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: there is none (the message lists the known ones), the robot of reach-ROBOT is no arm, two packages have one of that name, or what
            is installed is no task.
    """
    if not isinstance(name, str):
        raise ValueError(f"unknown task {name!r}; {strict.suggest(name, task_names())}")
    entry = find_installed(_GROUP, name, own=name in _TASKS)
    if entry is None:
        if name in _TASKS:
            return _TASKS[name]()
        if name in (f"reach-{robot}" for robot in robot_names()):
            return reach_of(load_robot(name.removeprefix("reach-")), name)
        raise ValueError(f"unknown task {name!r}; {strict.suggest(name, task_names())}")
    task = make_installed(entry)
    if not isinstance(task, Task) or task.name != name:
        found = f"the task {task.name!r}" if isinstance(task, Task) else f"a {type(task).__name__}"
        raise ValueError(f"{_GROUP}: {name!r} is {entry.value}, which must be a function that returns a Task of that name, got {found}")
    return task
