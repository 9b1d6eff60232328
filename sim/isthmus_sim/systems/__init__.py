"""Analytic models with a specification: the six tasks of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from isthmus import strict
from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.signals import Signal
from isthmus_sim.systems.arm import ARM
from isthmus_sim.systems.maze import MAZE
from isthmus_sim.systems.rover import ROVER
from isthmus_sim.systems.ship import SHIP_SAFE, SHIP_TRACK
from isthmus_sim.systems.system import System
from isthmus_sim.systems.traffic import TRAFFIC

__all__ = ["PREFIX", "System", "get_system", "installed_model", "is_system", "system_contract", "system_names"]

PREFIX = "stl:"
"""Of the names of these tasks."""

_SYSTEMS = {system.name: system for system in (TRAFFIC, MAZE, SHIP_SAFE, SHIP_TRACK, ROVER, ARM)}


def system_names() -> list[str]:
    """Names of the tasks, with the prefix."""
    return [PREFIX + name for name in _SYSTEMS]


def is_system(name: str) -> bool:
    """Whether a task's name has the prefix."""
    return name.startswith(PREFIX)


def get_system(name: str) -> System:
    """The system of a task.

    Args:
        name: with the prefix.

    Raises:
        ValueError: there is none; the message lists those that exist.
    """
    if name not in system_names():
        raise ValueError(f"unknown task {name!r}; {strict.suggest(name, system_names())}")
    return _SYSTEMS[name.removeprefix(PREFIX)]


def installed_model(task: str, parameters: Mapping[str, Any]) -> System:
    """The system of a task, for policy files that plan on it; entry point `stl` of the group `isthmus.models`.

    Raises:
        ValueError: there is no such task, or a parameter is given.
    """
    if parameters:
        raise ValueError(f"the model of {task!r} has no parameters, got {', '.join(parameters)}")
    return get_system(task)


def system_contract(system: System, horizon: int | None = None) -> Contract:
    """What a policy of a system consumes and produces: its state as an input, its controls as raw actions that no robot understands.

    Args:
        system: the model.
        horizon: actions per decision; None means as many as the system plans for.
    """
    count = len(system.controls)
    anything, nothing = (math.inf,) * count, (-math.inf,) * count
    states = len(system.states)
    return Contract(
        robot=PREFIX.rstrip(":"),
        task=PREFIX + system.name,
        observation=(Signal("state", "input", system.states, "1", (-math.inf,) * states, (math.inf,) * states),),
        action=Signal("action", "raw", system.controls, "1", system.low, system.high),
        limits=Limits(system.controls, nothing, anything, anything, anything, (1.0,) * count, anything),
        control_period=system.dt,
        horizon=horizon or system.horizon,
    )
