"""Models of engine tasks to plan on: fitted to the engine, judged by the words of the task's own specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus import strict
from isthmus_cli.engines import check_engine
from isthmus_controllers import stl
from isthmus_sim.systems import System, dodge, navigate, system_names
from isthmus_sim.systems.response import Response, measured_response
from isthmus_sim.tasks import get_task

__all__ = ["ENGINE_MODELS", "check_planned", "engine_model", "installed_model", "planned_tasks"]

_BUILDERS = {"navigate": (navigate.navigate_system, navigate), "dodge": (dodge.dodge_system, dodge)}

ENGINE_MODELS = tuple(_BUILDERS)
"""Tasks that have one."""


def planned_tasks() -> list[str]:
    """Names of all tasks that have a model to plan on, engine tasks and analytic ones."""
    return [*ENGINE_MODELS, *system_names()]


def check_planned(task: str, plant: str = "mujoco") -> None:
    """Refuse a task without a model to plan on, and an engine that it could not be fitted to.

    Raises:
        ValueError: the message lists the known ones.
    """
    if task not in planned_tasks():
        raise ValueError(f"no model to plan on for task {task!r}; {strict.suggest(task, planned_tasks())}")
    check_engine(plant)


def engine_model(name: str, plant: str, seed: int) -> System:
    """The model of an engine task.

    Args:
        name: one of `ENGINE_MODELS`.
        plant: engine that it is fitted to.
        seed: of the random motion that it is fitted from.
    """
    return _model(name, measured_response(get_task(name), plant, seed))


def installed_model(task: str, parameters: Mapping[str, Any]) -> System:
    """The model of an engine task that was fitted before, for policy files that plan on it; entry points of the group `isthmus.models`.

    Args:
        task: one of `ENGINE_MODELS`.
        parameters: of its response.

    Raises:
        ValueError: the parameters are not those of a response.
    """
    return _model(task, Response.from_parameters(parameters))


def _model(name: str, response: Response) -> System:
    task = get_task(name)
    assert task.specification is not None  # noqa: S101 - these tasks have one
    bound = stl.BoundSpecification(task.specification, task.contract)
    names = [f"{signal.name}.{element}" for signal in task.contract.observation for element in signal.elements]

    def signals(trajectory: Any) -> Mapping[str, Any]:
        return bound.values({element: trajectory[..., index] for index, element in enumerate(names)})

    build, asked = _BUILDERS[name]
    plan, safe = (str(stl.parse(text, task.contract.control_period)) for text in (asked.PLAN, asked.SAFE_PLAN))
    return build(task, response, plan, safe, signals)
