"""What an outside suite hands over: an environment of its own, and what is known of its episodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gymnasium

from isthmus.contract import Contract

__all__ = ["DEFAULT_STEPS", "DivergedSuiteError", "SuiteEnv", "SuiteTask", "fast_pictures"]

DEFAULT_STEPS = 1000  # where a suite sets no limit to its episodes


class DivergedSuiteError(ValueError):
    """A suite says that its simulation diverged."""


@dataclass(frozen=True, slots=True)
class SuiteEnv:
    """One environment as its suite made it.

    Attributes:
        env: observations are a Box or a Dict; `reset(seed=…)` determines the episode; `render()` gives a picture if one was asked for.
        period: seconds per step.
        steps: steps until an episode is truncated.
    """

    env: gymnasium.Env
    period: float
    steps: int


@dataclass(frozen=True, slots=True)
class SuiteTask:
    """A task of an outside suite. There is no robot, no guard and no plant: the suite's own simulation, rewards and starts.

    Attributes:
        name: as typed on the command line, with the prefix.
        suite: the prefix.
        description: one line.
        contract: derived from the spaces; raw actions.
        episode_steps: steps until an episode is truncated.
        success_once: whether success at any step makes the episode one; otherwise success at its last step does.
        make: makes one environment; its argument is the side of the square pictures of `render`, pixels, or None for no pictures.
        pixels: side of the pictures that are observed; None where the state is.
    """

    name: str
    suite: str
    description: str
    contract: Contract
    episode_steps: int
    success_once: bool
    make: Callable[[int | None], SuiteEnv]
    pixels: int | None = None


def fast_pictures(model: object) -> None:
    """Switch off what makes software rendering slow: shadows, reflections, multisampling.

    Args:
        model: a `mujoco.MjModel`, before its first picture.
    """
    model.vis.quality.offsamples = 0  # type: ignore[attr-defined]
    model.light_castshadow[:] = 0  # type: ignore[attr-defined]
    model.mat_reflectance[:] = 0  # type: ignore[attr-defined]
