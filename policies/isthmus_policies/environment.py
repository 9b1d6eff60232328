"""What the trainer needs of an environment."""

from __future__ import annotations

from typing import Any, Protocol

from isthmus.records import Array

__all__ = ["LostError", "TrainingEnv"]


class LostError(RuntimeError):
    """The environment cannot go on, as when a robot's driver has ended; what was learned is not lost."""


class TrainingEnv(Protocol):
    """A vector environment with SI actions; rows reset themselves in the step in which they end.

    One whose time passes by itself has an attribute `busy`: while it is true, nothing may be done that takes long, such as an update. It has a method
    `begin(enough)` too, to be called right before each decision: it begins an episode, unless one goes on, and gives the newest observation, or
    None if `enough()` says that nothing may begin any more: it may wait for a person, and asks again and again.

    Attributes:
        num_envs: number of rows.
        progress: of the training, 0 … 1; set before every control period and reset.
        hidden: what was drawn of the simulation for the present episode of each row, `[num_envs, P]`; nothing that a policy may see.
    """

    num_envs: int
    progress: float
    hidden: Array

    def reset(self, *, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """Begin all episodes; equal seeds give equal episodes, whatever happened before."""
        ...

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """Observation, reward, terminated, truncated and info, which has `final_obs` where rows ended, and `rung` where a guard is.

        Where something else was asked of the guard, as by a person who corrects, info has `executed`, `[num_envs, A]`, in place of the actions.

        Rows `[num_envs]` that `diverged` or `invalid` of info mark have ended, and their period is no experience of the task.
        """
        ...
