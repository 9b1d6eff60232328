"""A robot as data: joints in hardware order, limits, servo, cameras, frames and its ROS topics.

A profile is a folder `<name>/` with `robot.yaml` and a URDF. The robot's computer needs it too, so the profiles of `isthmus/robots` are package data;
a user's own folder is searched first (`load_robot(name, folders)`, `--robots DIR` on the command line), and other packages may offer more
(entry-point group `isthmus.robots`).
"""

from isthmus.robot.agreement import profile_problems
from isthmus.robot.interface import RosCamera, RosProfile, SpeedScaling
from isthmus.robot.mechanics import Base, Camera, Hold, Joint, Servo, Thresholds
from isthmus.robot.profiles import load_robot, robot_names
from isthmus.robot.robot import Robot

__all__ = [
    "Base",
    "Camera",
    "Hold",
    "Joint",
    "Robot",
    "RosCamera",
    "RosProfile",
    "Servo",
    "SpeedScaling",
    "Thresholds",
    "load_robot",
    "profile_problems",
    "robot_names",
]
