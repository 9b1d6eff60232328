"""What the simulated plants share: rows, substeps, start states and command checks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from isthmus.records import Array, Command, reorder
from isthmus.robot import Robot

__all__ = ["LONGEST_SUBSTEP", "command_values", "resting_values", "rows_of", "start_state", "substeps"]

LONGEST_SUBSTEP = 0.005  # s


def substeps(period: float) -> int:
    """Number of equal physics steps per control period, none longer than `LONGEST_SUBSTEP`."""
    if not (math.isfinite(period) and period > 0):
        raise ValueError(f"control period must be > 0 s, got {period} s")
    return math.ceil(period / LONGEST_SUBSTEP - 1e-9)


def rows_of(rows: Array | None, batch: int) -> Array:
    """Row indices `[n]`; None means all.

    Raises:
        ValueError: not sorted, not unique, or out of range.
    """
    if rows is None:
        return np.arange(batch)
    indices = np.asarray(rows, dtype=np.int64)
    if indices.size and (indices[0] < 0 or indices[-1] >= batch or (np.diff(indices) <= 0).any()):
        raise ValueError(f"rows must be sorted, unique and in 0 … {batch - 1}, got {indices.tolist()}")
    return indices


def start_state(robot: Robot, state: Mapping[str, Array] | None, count: int) -> tuple[Array, Array]:
    """Start positions and velocities `[count, J]`; what is not given is the home pose at rest.

    Raises:
        ValueError: an unknown name, a wrong shape, or a value that is not finite.
    """
    values = {"position": np.tile(robot.home, (count, 1)), "velocity": np.zeros((count, len(robot.joints)))}
    for name, given in (state or {}).items():
        if name not in values:
            raise ValueError(f"unknown state {name!r}; known: {', '.join(values)}")
        array = np.asarray(given, dtype=np.float64)
        if array.shape != values[name].shape or not np.isfinite(array).all():
            raise ValueError(f"state {name!r} must be finite and {list(values[name].shape)}, got {list(array.shape)}")
        values[name] = array
    return values["position"], values["velocity"]


def resting_values(robot: Robot, mode: str, position: Array, velocity: Array) -> Array:
    """What a stopped robot is commanded, `[B, J]`: its position, zero velocity, or the effort that damps its motion."""
    if mode == "position":
        return position.copy()
    if mode == "velocity" or robot.hold is None:
        return np.zeros_like(position)
    limits = np.array([joint.effort for joint in robot.joints])
    return np.asarray(np.clip(-robot.hold.kd * velocity, -limits, limits))


def command_values(command: Command, mode: str, robot: Robot, batch: int) -> Array:
    """Values `[B, J]` in the robot's joint order.

    Raises:
        ValueError: wrong mode or shape.
    """
    if command.mode != mode:
        raise ValueError(f"this plant was made for {mode} commands, got {command.mode}")
    values = reorder(command.values, command.joints, robot.joint_names)
    if values.shape != (batch, len(robot.joints)):
        raise ValueError(f"command must be [{batch}, {len(robot.joints)}], got {list(values.shape)}")
    return values
