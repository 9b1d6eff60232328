"""Tasks of a lab."""

from isthmus import load_robot
from isthmus_sim.task import Task
from isthmus_sim.tasks.reach import reach_with

__all__ = ["desk_reach"]


def desk_reach() -> Task:
    """Goals in a box of 16 cm around the tool's home position."""
    return reach_with(load_robot("desk_arm"), "desk-reach", half_box=(0.08, 0.08, 0.08), reachable=0.6)
