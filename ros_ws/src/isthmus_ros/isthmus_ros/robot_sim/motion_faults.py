"""What a faulty robot does: motors that do not obey. Changes commands on their way to the drives; no ROS in here."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isthmus.records import Array
from isthmus_ros.robot_sim.faults import MOTION, Faults

__all__ = ["FaultyMotion"]


class FaultyMotion:
    """Dead motors, runaways and limit cycles, each from the moment on when it is switched on."""

    def __init__(self, joints: Sequence[str], mode: str) -> None:
        """Set up.

        Args:
            joints: names, in the order of the commands.
            mode: of the commands: "position", "velocity", "effort" or "twist".
        """
        self._joints, self._mode = tuple(joints), mode
        self._began: dict[tuple[str, str], tuple[float, float]] = {}

    def apply(self, values: Array, position: Array, now: float, faults: Faults) -> Array:
        """What the drives are told.

        Args:
            values: command `[J]` in the unit of the mode; it is not changed.
            position: measured `[J]`, rad or m.
            now: s.
            faults: that are switched on.
        """
        wanted = {(name, joint): level for name in MOTION for joint, level in faults.joints(name).items()}
        self._began = {key: self._began.get(key, (now, float(position[self._joints.index(key[1])]))) for key in wanted}
        if not wanted:
            return values
        turn = 2 * math.pi * faults.number("limit_cycle_frequency")
        changed = np.array(values, dtype=np.float64)
        for (name, joint), level in wanted.items():
            index = self._joints.index(joint)
            began, place = self._began[name, joint]
            if name == "limit_cycle":
                amplitude = level / turn if self._mode == "position" else level
                changed[index] += amplitude * math.sin(turn * (now - began))
            else:
                speed = level if name == "runaway" else 0.0
                changed[index] = place + speed * (now - began) if self._mode == "position" else speed
        return changed
