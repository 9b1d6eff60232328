"""isthmus: one policy interface for MuJoCo, PyBullet and ROS 2.

Importing this package loads numpy and nothing heavier. Readers of files, runtimes of policies and simulators are imported where they are used.
"""

from isthmus.contract import Box, CameraSpec, Contract, Limits, Signal
from isthmus.guard import Decision, GuardState, LimitGuard
from isthmus.observation import ObservationBuilder
from isthmus.plant import Plant, Simulator
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Command, Measurement
from isthmus.robot import Robot, load_robot, robot_names

__all__ = [
    "ActionChunk",
    "Box",
    "CameraSpec",
    "Command",
    "Contract",
    "Decision",
    "GuardState",
    "LimitGuard",
    "Limits",
    "Measurement",
    "ObservationBuilder",
    "Plant",
    "Policy",
    "Robot",
    "Signal",
    "Simulator",
    "load_robot",
    "robot_names",
]
