"""What tasks on a table share: the table, a puck, and what the arm may do above it."""

from __future__ import annotations

import math

import numpy as np

from isthmus.limits import Box, Limits
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.scene import Body, Shape

__all__ = ["PUCK_HEIGHT", "PUCK_RADIUS", "arm_limits", "puck", "table", "tool_point", "upright_pose"]

PUCK_RADIUS = 0.045  # m
PUCK_HEIGHT = 0.020  # m, of its frame above the table it lies on
THICKNESS = 0.04  # m, of a table's top

_LEGS = 0.12  # m, from the edge of the table
_WOOD, _STEEL = (0.80, 0.69, 0.54, 1.0), (0.30, 0.33, 0.37, 1.0)
_RED, _CREAM, _DARK = (0.80, 0.20, 0.17, 1.0), (0.97, 0.93, 0.84, 1.0), (0.20, 0.20, 0.22, 1.0)


def table(center: tuple[float, float], half: tuple[float, float], *, color: tuple[float, float, float, float] = _WOOD) -> Body:
    """A table whose top is at height 0, the robot's mounting plane; its sliding coefficient is 1.

    Args:
        center: of the top, x and y, m.
        half: half extents of the top, m.
        color: of the top.
    """
    x, y = half[0] - _LEGS, half[1] - _LEGS
    legs = [
        Shape("box", (0.03, 0.03, 0.35), position=(right * x, back * y, -THICKNESS - 0.35), color=_STEEL, collides=False)
        for right in (-1, 1)
        for back in (-1, 1)
    ]
    top = Shape("box", (*half, THICKNESS / 2), position=(0.0, 0.0, -THICKNESS / 2), color=color)
    return Body("table", (top, *legs), position=(*center, 0.0))


def puck(position: tuple[float, float], *, mass: float, friction: float) -> Body:
    """A disc on four feet.

    The feet fix where the load rests, so that engines agree about the friction of a puck that turns; a disc flat on a box touches it wherever the
    engine's collision detection finds points.
    """
    feet = [
        Shape("sphere", (0.006,), position=(0.030 * math.cos(angle), 0.030 * math.sin(angle), 0.006 - PUCK_HEIGHT), color=_DARK)
        for angle in (math.pi / 4 + quarter * math.pi / 2 for quarter in range(4))
    ]
    disc = Shape("cylinder", (PUCK_RADIUS, 0.018), color=_RED)
    mark = Shape("box", (PUCK_RADIUS * 0.9, 0.006, 0.0005), position=(0.0, 0.0, 0.018), color=_CREAM, collides=False)
    return Body("puck", (disc, mark, *feet), mass=mass, joint="free", position=(*position, PUCK_HEIGHT), friction=friction)


def upright_pose(x: Array, y: Array, yaw: Array) -> Array:
    """Pose of a puck that lies on the table, `[n, 7]`, from `[n]` each."""
    pose = np.zeros((len(x), 7))
    pose[:, 0], pose[:, 1], pose[:, 2], pose[:, 5], pose[:, 6] = x, y, PUCK_HEIGHT, np.sin(yaw / 2), np.cos(yaw / 2)
    return pose


def tool_point(pose: Array, along: float) -> Array:
    """The point at `along` m on the z axis of a frame, `[B, 3]`, m, from its pose `[B, 7]`."""
    x, y, z, w = pose[:, 3], pose[:, 4], pose[:, 5], pose[:, 6]
    axis = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)
    return np.asarray(pose[:, :3] + along * axis)


def arm_limits(robot: Robot, speed: float, workspace: Box) -> Limits:
    """The robot's own limits with another speed of all joints, rad/s, and a box for its wrist and elbow."""
    own = robot.limits()
    return Limits(
        joints=own.joints,
        position_low=own.position_low,
        position_high=own.position_high,
        velocity=(speed,) * len(own.joints),
        acceleration=own.acceleration,
        stop_acceleration=own.stop_acceleration,
        effort=own.effort,
        workspace=workspace,
    )
