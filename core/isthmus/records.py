"""What crosses the waist every control period: measurements, commands and decisions of a policy.

These records do not check themselves: they are made thousands of times a second, and the guard is the one place that judges them.
All arrays are batch first. Joint order is that of the record's own `joints`; bind by name, never by index.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

__all__ = ["ActionChunk", "Array", "Command", "Measurement", "Told"]


@dataclass(slots=True)
class Measurement:
    """What the sensors of a plant say at one instant.

    Attributes:
        stamp: seconds in the plant's clock, `[B]`.
        joints: names of the joints, in the order of the columns below.
        position: joint positions, `[B, J]`, rad or m.
        velocity: joint velocities, `[B, J]`, rad/s or m/s.
        effort: joint efforts, `[B, J]`, N·m or N; None where the plant does not measure them.
        poses: position and quaternion (x, y, z, qx, qy, qz, qw) in the robot's base frame, `[B, 7]` per name.
        twists: linear and angular velocity, `[B, 6]` per name, m/s and rad/s.
        wrenches: force and torque, `[B, 6]` per name, N and N·m.
        images: `[B, H, W, C]` uint8 per camera.
    """

    stamp: Array
    joints: tuple[str, ...]
    position: Array
    velocity: Array
    effort: Array | None = None
    poses: Mapping[str, Array] = field(default_factory=dict)
    twists: Mapping[str, Array] = field(default_factory=dict)
    wrenches: Mapping[str, Array] = field(default_factory=dict)
    images: Mapping[str, Array] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Number of rows."""
        return int(self.position.shape[0])


@dataclass(slots=True)
class Command:
    """What a robot is told for one control period.

    Attributes:
        mode: "position" (rad), "velocity" (rad/s) or "effort" (N·m); metres for prismatic joints; "twist" (m/s and rad/s).
        joints: names of the commanded joints, or of the components of a twist.
        values: `[B, J]` in the unit of the mode.
    """

    mode: str
    joints: tuple[str, ...]
    values: Array


@dataclass(frozen=True, slots=True)
class Told:
    """Where a robot was told to be, by whoever turns its commands into motion: rad or m, `[B, J]` in the order of the commanded joints.

    Attributes:
        now: at this moment.
        then: when the newest sample was taken.
    """

    now: Array
    then: Array


@dataclass(slots=True)
class ActionChunk:
    """One decision of a policy.

    Attributes:
        actions: `[B, H, A]` in SI units: H primitive actions, the first one for the control period that begins now.
        info: diagnostics of the decision, `[B]` per name (`robustness`, `backup`, `solve_time` in s, …).
    """

    actions: Array
    info: Mapping[str, Array] = field(default_factory=dict)


def reorder(values: Array, joints: tuple[str, ...], wanted: tuple[str, ...]) -> Array:
    """Columns of `values` `[B, J]` (named by `joints`) in the order of `wanted`, `[B, len(wanted)]`.

    Raises:
        KeyError: a wanted joint is not there; the message lists those that are.
    """
    if joints == wanted:
        return values
    columns = _columns(joints, wanted)
    return values[:, columns] if isinstance(columns, slice) else np.ascontiguousarray(values[:, columns])


@functools.lru_cache(maxsize=1024)
def _columns(joints: tuple[str, ...], wanted: tuple[str, ...]) -> slice | list[int]:
    """A slice where the wanted joints follow each other, else their indices."""
    for name in wanted:
        if name not in joints:
            raise KeyError(f"joint {name!r} is missing; there are: {', '.join(joints)}")
    columns = [joints.index(name) for name in wanted]
    first = columns[0] if columns else 0
    end = first + len(columns)
    return slice(first, end) if columns == list(range(first, end)) else columns
