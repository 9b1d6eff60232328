"""What neural predictive control needs to know of a plant: a model that can be differentiated, where it begins, and what is asked for."""

# ruff: noqa: D102 - the attributes are documented on the class

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
        prefix: how many choices it makes, one after the other.
        hold: steps for which one control of a plan, or one choice, is held.
        candidates: beginnings that it tries at most.
        first: sample of the trajectory at which the specification begins.
        end: "strict" or "truncate", see `isthmus_controllers.stl`.
        cost: what training adds to the loss, see `isthmus_controllers.npc.training`; None for nothing.
        sample: draws so many initial states `[N, n]`.
        signals: trajectory `[B, T, n]` → `[B, T]` per signal.
        encode: state `[..., n]` → what a network sees of it, such as places relative to the vehicle.
    """

    @property
    def name(self) -> str: ...
    @property
    def states(self) -> tuple[str, ...]: ...
    @property
    def controls(self) -> tuple[str, ...]: ...
    @property
    def low(self) -> tuple[float, ...]: ...
    @property
    def high(self) -> tuple[float, ...]: ...
    @property
    def dt(self) -> float: ...
    @property
    def horizon(self) -> int: ...
    @property
    def specification(self) -> str: ...
    @property
    def safety(self) -> str: ...
    @property
    def fail_safe(self) -> tuple[float, ...]: ...
    @property
    def choices(self) -> tuple[tuple[float, ...], ...]: ...
    @property
    def prefix(self) -> int: ...
    @property
    def hold(self) -> int: ...
    @property
    def candidates(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def end(self) -> str: ...
    @property
    def cost(self) -> Callable[[Any, Any, Any], Any] | None: ...
    @property
    def sample(self) -> Callable[[int, np.random.Generator], Array]: ...
    @property
    def signals(self) -> Callable[[Any], Mapping[str, Any]]: ...
    @property
    def encode(self) -> Callable[[Any], Any]: ...

    def rollout(self, state: Any, controls: Any) -> Any:
        """States `[B, n]`, controls `[B, T, m]` → trajectory `[B, T + 1, n]`, which begins with the given states."""
