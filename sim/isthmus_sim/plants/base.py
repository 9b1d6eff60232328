"""What the simulated plants share: rows, substeps, start states and command checks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np

from isthmus import strict
from isthmus.kinematics import Kinematics
from isthmus.monitors import finite
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Base, Robot
from isthmus_sim.scene import Hinge, Scene

__all__ = [
    "LONGEST_SUBSTEP",
    "Rest",
    "command_values",
    "odometry",
    "rows_of",
    "sliding",
    "start_state",
    "substeps",
    "turned",
    "turned_back",
    "wheel_speeds",
]

LONGEST_SUBSTEP = 0.005  # s


def substeps(period: float, longest: float = LONGEST_SUBSTEP) -> int:
    """Number of equal physics steps per control period, none longer than `longest`."""
    if not (isinstance(period, Real) and math.isfinite(period) and period > 0):
        raise ValueError(f"control period must be > 0 s, got {period!r} s")
    return math.ceil(period / longest - 1e-9)


def rows_of(rows: Array | None, batch: int) -> Array:
    """Row indices `[n]`; None means all.

    Raises:
        ValueError: not sorted, not unique, or out of range.
    """
    if rows is None:
        return np.arange(batch)
    indices = np.asarray(rows, dtype=np.int64)
    if indices.size and (indices[0] < 0 or indices[-1] >= batch or np.count_nonzero(indices[1:] <= indices[:-1])):
        raise ValueError(f"rows must be sorted, unique and in 0 … {batch - 1}, got {indices.tolist()}")
    return indices


def start_state(robot: Robot, scene: Scene, state: Mapping[str, Array] | None, count: int) -> dict[str, Array]:
    """Where rows begin; what is not given is the home pose at rest, and each body where the scene puts it.

    Returns:
        `position` and `velocity` `[count, J]`; of a mobile robot `base` `[count, 7]` and `base_twist` `[count, 6]` (in the base's own frame);
        per moving body its pose `[count, 7]` (free) or joint position `[count, 1]` (hinged).

    Raises:
        ValueError: an unknown name, a wrong shape, or a value that is not finite.
    """
    usual = {"position": [joint.home for joint in robot.joints], "velocity": [0.0] * len(robot.joints)}
    if robot.base.kind != "fixed":
        usual["base"], usual["base_twist"] = [0.0, 0.0, robot.base.height, 0.0, 0.0, 0.0, 1.0], [0.0] * 6
    for body in scene.moving:
        usual[body.name] = [0.0] if isinstance(body.joint, Hinge) else [*body.position, *body.rotation]
    values = {}
    for name, given in (state or {}).items():
        if name not in usual:
            raise ValueError(f"unknown state {name!r}; {strict.suggest(name, usual)}")
        array = np.asarray(given, dtype=np.float64)
        if array.shape != (count, len(usual[name])) or not finite(array):
            raise ValueError(f"state {name!r} must be finite and {[count, len(usual[name])]}, got {list(array.shape)}")
        values[name] = array
    return {name: values[name] if name in values else np.tile(row, (count, 1)) for name, row in usual.items()}


def sliding(robot: Robot) -> list[int]:
    """Indices of the joints that slide: the fingers of a gripper, whose contacts both engines must be told to take seriously."""
    driven = robot.joints if robot.base.kind != "differential" else ()
    return [index for index, joint in enumerate(driven) if joint.type == "prismatic"]


def wheel_speeds(base: Base, twist: Array) -> Array:
    """Angular velocity of the left and the right wheel, `[B, 2]`, rad/s, that gives the body velocity vx (m/s), wz (rad/s), `[B, 2]`."""
    half = base.wheel_separation / 2
    return np.stack([twist[:, 0] - half * twist[:, 1], twist[:, 0] + half * twist[:, 1]], axis=1) / base.wheel_radius


def odometry(base: Base, wheels: Array) -> Array:
    """The inverse of `wheel_speeds`, for speeds or for angles, `[B, 2]`."""
    left, right = wheels[:, 0] * base.wheel_radius, wheels[:, 1] * base.wheel_radius
    return np.stack([(left + right) / 2, (right - left) / base.wheel_separation], axis=1)


def turned_back(quaternion: Array, vector: Array) -> Array:
    """A vector of the world in the frame of a body with orientation x, y, z, w; `[B, 4]` and `[B, 3]` → `[B, 3]`."""
    axis, w = -quaternion[:, :3], quaternion[:, 3:]
    across = 2 * np.cross(axis, vector)
    return np.asarray(vector + w * across + np.cross(axis, across))


def turned(quaternion: Array, vector: Array) -> Array:
    """The inverse of `turned_back`."""
    return turned_back(quaternion * np.array([-1.0, -1.0, -1.0, 1.0]), vector)


class Rest:
    """What a stopped robot is commanded: its position, no velocity, or the effort that holds or damps it (`Robot.hold`)."""

    def __init__(self, robot: Robot, mode: str, batch: int) -> None:
        self._hold = robot.hold if mode == "effort" else None
        self._mode = mode
        self._anchor = np.zeros((batch, len(robot.joints)))
        self._efforts = np.array([joint.effort for joint in robot.joints])
        self._kinematics = Kinematics(robot.urdf_path) if self._hold and self._hold.gravity else None

    def begin(self, measurement: Measurement) -> None:
        """Remember where the robot is stopped."""
        self._anchor = measurement.position.copy()

    def values(self, measurement: Measurement) -> Array:
        """The command, `[B, J]`, in the unit of the mode."""
        if self._mode == "position":
            return self._anchor
        if self._hold is None:
            return np.zeros_like(self._anchor)
        effort = np.array(self._hold.kp) * (self._anchor - measurement.position) - np.array(self._hold.kd) * measurement.velocity
        if self._kinematics is not None:
            effort = effort + self._kinematics.gravity(measurement.joints, measurement.position)
        return np.asarray(np.clip(effort, -self._efforts, self._efforts))


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
