"""Analytic models with a specification: the six tasks of "Signal Temporal Logic Neural Predictive Control" (Meng & Fan, arXiv 2309.05131)."""

from __future__ import annotations

from isthmus import strict
from isthmus_sim.systems.arm import ARM
from isthmus_sim.systems.maze import MAZE
from isthmus_sim.systems.rover import ROVER
from isthmus_sim.systems.ship import SHIP_SAFE, SHIP_TRACK
from isthmus_sim.systems.system import System
from isthmus_sim.systems.traffic import TRAFFIC

__all__ = ["System", "get_system", "system_names"]

_SYSTEMS = {system.name: system for system in (TRAFFIC, MAZE, SHIP_SAFE, SHIP_TRACK, ROVER, ARM)}


def system_names() -> list[str]:
    """Names, without the prefix `stl:`."""
    return list(_SYSTEMS)


def get_system(name: str) -> System:
    """The system of that name.

    Raises:
        ValueError: there is none; the message lists those that exist.
    """
    if name not in _SYSTEMS:
        raise ValueError(f"unknown system {name!r}; {strict.suggest(name, _SYSTEMS)}")
    return _SYSTEMS[name]
