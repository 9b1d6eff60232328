"""Measurements of an arm, for tests of what is computed from them."""

import numpy as np

from isthmus.records import Measurement
from isthmus.robot import load_robot
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
ROBOT = load_robot("ur5e")


def measured(first_joint):
    """One row per position of the first joint."""
    position = np.zeros((len(first_joint), 6))
    position[:, 0] = first_joint
    return Measurement(np.zeros(len(first_joint)), ROBOT.joint_names, position, np.zeros_like(position))
