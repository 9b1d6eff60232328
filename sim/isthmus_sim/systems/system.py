"""Analytic models: a state, controls and a difference equation, batched, in numpy and in torch alike.

What a method needs that differentiates through its model, where no physics engine would do. A specification in Signal Temporal Logic says what is
asked for; it is text, over named signals of the trajectory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.arrays import is_torch, library
from isthmus.records import Array

__all__ = ["System", "drawn", "hard_step", "named", "soft_step"]

_GAIN = 500.0  # of the step function that can be differentiated

Cost = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True, slots=True)
class System:
    """One model and what is asked of it.

    Attributes:
        name: as in `stl:NAME`.
        description: one line.
        states: names of the state's components.
        controls: names of the control's components.
        low: bounds of the controls, `[m]`.
        high: likewise.
        dt: s per step.
        horizon: steps T of a plan.
        specification: formula over the signals; intervals in samples, counted from sample `first` of the trajectory.
        safety: the part of it that must hold even if the rest cannot.
        step: state `[..., n]`, control `[..., m]` → next state.
        sample: so many initial states `[N, n]`, from a generator; all of them feasible to begin in.
        signals: trajectory `[B, T, n]` → `[B, T]` per name.
        encode: state `[..., n]` → what a network should see, such as places relative to the vehicle.
        fail_safe: control `[m]` that is best if nothing else is known.
        choices: values that each control is tried with by a search, one tuple per control.
        prefix: how many choices such a search makes, one after the other.
        hold: steps for which one control of a plan, or one choice of a search, is held.
        candidates: how many beginnings such a search tries at most.
        first: sample of the trajectory at which the specification begins.
        end: what becomes of windows beyond the end, see `isthmus_controllers.stl`.
        cost: trajectory `[B, T + 1, n]`, controls `[B, T, m]`, satisfied `[B]` → what training adds to the loss, a number; None for nothing.
    """

    name: str
    description: str
    states: tuple[str, ...]
    controls: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    dt: float
    horizon: int
    specification: str
    safety: str
    step: Callable[[Any, Any], Any]
    sample: Callable[[int, np.random.Generator], Array]
    signals: Callable[[Any], Mapping[str, Any]]
    encode: Callable[[Any], Any]
    fail_safe: tuple[float, ...]
    choices: tuple[tuple[float, ...], ...]
    prefix: int
    hold: int = 1
    candidates: int = 4096
    first: int = 0
    end: str = "strict"
    cost: Cost | None = None

    def rollout(self, state: Any, controls: Any) -> Any:
        """The trajectory `[B, T + 1, n]` from states `[B, n]` under controls `[B, T, m]`, the initial states included."""
        states = [state]
        for index in range(controls.shape[1]):
            states.append(self.step(states[-1], controls[:, index]))
        return library(state).stack(states, 1)


def drawn(count: int, draw: np.random.Generator, candidates: Callable[[int, np.random.Generator], Array]) -> Array:
    """So many states `[N, n]`, from a function that draws about as many as it is asked for and keeps those that are allowed."""
    found: list[Array] = []
    while sum(map(len, found)) < count:
        found.append(candidates(2 * count, draw))
    return np.concatenate(found)[:count]


def soft_step(values: Any, reach: float = 1.0) -> Any:
    """1 where values are positive, 0 where they are negative: (tanh(500 z) + 1) / 2.

    That is so steep that its gradient is 0 almost everywhere. In torch the gradient is that of (tanh(z / reach) + 1) / 2, which is felt from about
    `reach` away.
    """
    steep = (library(values).tanh(_GAIN * values) + 1) / 2
    return _with_gradient(steep, values, reach) if is_torch(values) else steep


def hard_step(values: Any, reach: float = 1.0) -> Any:
    """1 where values are not negative, else 0; with the gradient of `soft_step`."""
    return _with_gradient((values >= 0).to(values.dtype), values, reach) if is_torch(values) else (values >= 0).astype(values.dtype)


def _with_gradient(steep: Any, values: Any, reach: float) -> Any:
    if not values.requires_grad:
        return steep
    gentle = ((values / reach).tanh() + 1) / 2
    return gentle + (steep - gentle).detach()


def named(names: tuple[str, ...]) -> Callable[[Any], Mapping[str, Any]]:
    """Signals that are the components of the state."""

    def signals(trajectory: Any) -> Mapping[str, Any]:
        return {name: trajectory[..., index] for index, name in enumerate(names)}

    return signals
