"""Models of engine tasks to plan on: fitted to the engine, judged by the words of the task's own specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_controllers import stl
from isthmus_sim.systems import System
from isthmus_sim.systems.navigate import PLAN, SAFE_PLAN, navigate_system
from isthmus_sim.systems.response import measured_response
from isthmus_sim.tasks import get_task

__all__ = ["ENGINE_MODELS", "engine_model"]

ENGINE_MODELS = ("navigate",)
"""Tasks that have one."""


def engine_model(name: str, plant: str, seed: int) -> System:
    """The model of an engine task.

    Args:
        name: one of `ENGINE_MODELS`.
        plant: engine that it is fitted to.
        seed: of the random motion that it is fitted from.
    """
    task = get_task(name)
    assert task.specification is not None  # noqa: S101 - these tasks have one
    bound = stl.BoundSpecification(task.specification, task.contract)
    names = [f"{signal.name}.{element}" for signal in task.contract.observation for element in signal.elements]

    def signals(trajectory: Any) -> Mapping[str, Any]:
        return bound.values({element: trajectory[..., index] for index, element in enumerate(names)})

    plan, safe = (str(stl.parse(text, task.contract.control_period)) for text in (PLAN, SAFE_PLAN))
    return navigate_system(task, measured_response(task, plant, seed), plan, safe, signals)
