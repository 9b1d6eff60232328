"""What neural predictive control needs to know of a plant: a model that can be differentiated, where it begins, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from isthmus.records import Array

__all__ = ["Model"]


class Model(Protocol):
    """A batched model in numpy and torch alike; the systems `stl:…` of `isthmus_sim` are such models.

    Attributes:
        name: of the task.
        states: names of the state's components, which the policy observes.
        controls: names of the control's components.
        low: bounds of the controls, `[m]`.
        high: likewise.
        dt: s per step.
        horizon: steps T of a plan.
        specification: formula over `signals`, intervals in samples from sample `first` of the trajectory on.
        safety: the part of it that must hold even if the rest cannot.
        fail_safe: control `[m]` for when nothing else can be done.
        choices: values of each control that the backup search tries.
        prefix: steps that it tries them for.
        first: sample of the trajectory at which the specification begins.
        end: "strict" or "truncate", see `isthmus_controllers.stl`.
        cost: what training adds to the loss, see `isthmus_controllers.npc.training`; None for nothing.
    """

    name: str
    states: tuple[str, ...]
    controls: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dt: float
    horizon: int
    specification: str
    safety: str
    fail_safe: tuple[float, ...]
    choices: tuple[tuple[float, ...], ...]
    prefix: int
    first: int
    end: str
    cost: Callable[[Any, Any, Any], Any] | None

    def rollout(self, state: Any, controls: Any) -> Any:
        """States `[B, n]`, controls `[B, T, m]` → trajectory `[B, T + 1, n]`, which begins with the given states."""

    def sample(self, count: int, draw: np.random.Generator) -> Array:
        """So many initial states `[N, n]`."""
        ...

    def signals(self, trajectory: Any) -> Mapping[str, Any]:
        """Trajectory `[B, T, n]` → `[B, T]` per signal."""
        ...

    def encode(self, state: Any) -> Any:
        """What the network sees of a state, such as places relative to the vehicle."""
