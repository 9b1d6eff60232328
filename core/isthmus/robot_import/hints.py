"""What a person or another file says about a robot beside its URDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from isthmus.robot import Servo

__all__ = ["Hints"]


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known about the robot besides its URDF; MJCF files say more than URDFs.

    Attributes:
        joints: the actuated joints, in hardware order; None for every joint that moves, in the order of the file.
        home: joint → home position, rad or m; 0, clipped into the limits, where not named.
        servos: joint → its servo.
        notes: what the reader of the original file has to say.
        source: name of the original file, if the URDF was made from it.
    """

    joints: tuple[str, ...] | None = None
    home: Mapping[str, float] = field(default_factory=dict)
    servos: Mapping[str, Servo] = field(default_factory=dict)
    notes: Sequence[str] = ()
    source: str = ""
