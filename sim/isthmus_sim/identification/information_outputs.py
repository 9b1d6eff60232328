"""What a recording of a task shows, and how far another simulation is from it in multiples of its noise.

It is what the task's contract observes, so that a simulator's knowledge of, say, where a hinge is does not count as a measurement of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array, Measurement
from isthmus_sim.identification.design import NOISE

__all__ = ["MeasurementNoise", "Outputs", "find_outputs"]

_AXES = "xyz"


@dataclass(frozen=True, slots=True)
class MeasurementNoise:
    """Standard deviations, of which each sample has its own.

    Attributes:
        pose: of a body's position along each axis, m.
        turn: of its orientation about each axis, rad.
        position: of a joint's position, rad or m.
        velocity: of a joint's velocity, rad/s or m/s.
    """

    pose: float = 0.002
    turn: float = 0.01
    position: float = NOISE["position"]
    velocity: float = NOISE["velocity"]

    def __post_init__(self) -> None:
        for name in ("pose", "turn", "position", "velocity"):
            if not getattr(self, name) > 0:
                raise ValueError(f"noise of {name} must be > 0, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Outputs:
    """K numbers of a measurement.

    Attributes:
        places: body → axes of its position that are measured.
        turns: body → axes of its orientation that are.
        joints: "position", "velocity", both or none.
        noise: of each.
    """

    places: dict[str, tuple[int, ...]]
    turns: dict[str, tuple[int, ...]]
    joints: tuple[str, ...]
    noise: MeasurementNoise

    def differences(self, here: Measurement, there: Measurement) -> Array:
        """How far copies are from what they are copies of.

        Args:
            here: B rows.
            there: B·c rows, the c copies of each row one after another.

        Returns:
            `[B, c, K]`, in multiples of the noise; orientations as rotation vectors from here to there.
        """
        rows, copies = here.batch, there.batch // here.batch
        parts = []
        for body, axes in self.places.items():
            apart = there.poses[body][:, :3].reshape(rows, copies, 3) - here.poses[body][:, None, :3]
            parts.append(apart[..., axes] / self.noise.pose)
        for body, axes in self.turns.items():
            turned = _rotation(here.poses[body][:, None, 3:], there.poses[body][:, 3:].reshape(rows, copies, 4))
            parts.append(turned[..., axes] / self.noise.turn)
        for kind in self.joints:
            mine, theirs = getattr(here, kind), getattr(there, kind)
            parts.append((theirs.reshape(rows, copies, -1) - mine[:, None]) / getattr(self.noise, kind))
        return np.concatenate(parts, axis=-1)


def find_outputs(contract: Contract, bodies: tuple[str, ...], joints: bool, noise: MeasurementNoise) -> Outputs:
    """What a contract observes.

    Args:
        contract: of the task.
        bodies: of the scene, that move.
        joints: whether joints are compared, too. Where what is unknown is of a body, its motion tells; joints that hit something would tell more, but
            two engines disagree about them first.
        noise: standard deviations.

    Raises:
        ValueError: nothing of it is observed.
    """
    places: dict[str, tuple[int, ...]] = {}
    turns: dict[str, tuple[int, ...]] = {}
    for signal in contract.observation:
        if signal.source != "pose" or signal.name not in bodies:
            continue
        if axes := tuple(_AXES.index(name) for name in signal.elements if name in _AXES):
            places[signal.name] = axes
        if turning := tuple(_AXES.index(name[1]) for name in signal.elements if name in ("qx", "qy", "qz")):
            turns[signal.name] = turning
    sources = {signal.source for signal in contract.observation}
    kinds = tuple(kind for kind in ("position", "velocity") if joints and f"joint_{kind}" in sources)
    if not (places or turns or kinds):
        raise ValueError(
            f"task {contract.task!r} observes no {'joint' if joints else 'body that moves'}, so nothing could be identified of it"
        )
    return Outputs(places, turns, kinds, noise)


def _rotation(first: Array, second: Array) -> Array:
    """Rotation vector in the world's frame that turns the first quaternion (x, y, z, w) into the second, `[…, 3]`, rad."""
    a, aw, b, bw = -first[..., :3], first[..., 3:], second[..., :3], second[..., 3:]
    vector = bw * a + aw * b + np.cross(b, a)
    scalar = bw * aw - (b * a).sum(-1, keepdims=True)
    vector = vector * np.where(scalar < 0, -1.0, 1.0)
    length = np.sqrt((vector**2).sum(-1, keepdims=True))
    angle = 2 * np.arctan2(length, np.abs(scalar))
    return np.asarray(np.where(length > 1e-12, angle / np.where(length > 1e-12, length, 1.0), 2.0) * vector)
