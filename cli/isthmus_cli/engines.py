"""Which plants one can train in."""

from __future__ import annotations

from isthmus import strict
from isthmus_sim.plants import plant_names

__all__ = ["check_engine"]


def check_engine(plant: str) -> None:
    """See that a plant is an engine that one can train in.

    Raises:
        ValueError: it is not; the message says what is.
    """
    if plant == "ros":
        raise ValueError(
            "--plant ros is no engine to train models in; train in mujoco or pybullet, then run the file with: isthmus eval POLICY --plant ros"
        )
    if plant not in plant_names():
        raise ValueError(f"unknown plant {plant!r}; {strict.suggest(plant, plant_names())}")
