"""What a loop is asked for, and how it may end before its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isthmus import strict
from isthmus_evidence.asid.bounds import Bounds
from isthmus_evidence.asid.real import Real
from isthmus_evidence.asid.solve import SolveConfig
from isthmus_policies.asid.search import SearchConfig
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.task import Task

__all__ = ["ARMS", "EXPLORING", "SEARCH", "Asked", "NotIdentifiableError", "WaitingError"]

EXPLORING = ("asid", "random")
ARMS = (*EXPLORING, "randomised", "nominal")
SEARCH = SearchConfig(16, 4, 6, 1)


class NotIdentifiableError(ValueError):
    """The exploration told nothing; nothing was calibrated."""


class WaitingError(Exception):
    """A person has to do something with the robot first; the message says what."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a loop is asked for.

    Attributes:
        task: what is to be done.
        unknown: parameters.
        real: where it is to be done.
        arms: what is done and compared, of `ARMS`; asid is the first.
        motion: see `motions.search_space`.
        seconds: of the exploration, or of each strike.
        strikes: how many.
        harmonics: of sines.
        search: of the exploration.
        draws: of the pre-flight.
        starts: of the identification.
        solver: of the task.
        episodes: of the task on the real plant.
        seed: of everything.
        force: play an exploration that the pre-flight refuses.
        film: whether explorations are filmed.
        bounds: what an exploration must keep to.
    """

    task: Task
    unknown: tuple[Unknown, ...]
    real: Real
    arms: tuple[str, ...] = ARMS
    motion: str = "auto"
    seconds: float = 3.5
    strikes: int = 3
    harmonics: int = 3
    search: SearchConfig = SEARCH
    draws: int = 16
    starts: int = 2
    solver: SolveConfig = SolveConfig()  # noqa: RUF009 - frozen
    episodes: int = 20
    seed: int = 0
    force: bool = False
    film: bool = True
    bounds: Bounds = Bounds()  # noqa: RUF009 - frozen

    def plain(self) -> dict[str, Any]:
        """As in loop.json."""
        told = {name: getattr(self, name) for name in self.__slots__ if name not in ("task", "real", "unknown")}
        told |= {"task": self.task.name, "real": self.real.text, "values": dict(self.real.values)}
        found: dict[str, Any] = strict.encode({**told, "unknown": {one.name: [one.low, one.high] for one in self.unknown}})
        return found
