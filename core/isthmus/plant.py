"""The one interface that simulators, robots and recordings share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from isthmus.records import Array, Command, Measurement
from isthmus.robot import Robot

__all__ = ["Plant", "Simulator"]


@runtime_checkable
class Plant(Protocol):
    """What can be controlled: a batch of simulated robots, one real robot, or a recording.

    Attributes:
        robot: the profile that names joints, limits and the command mode.
        period: control period in seconds.
        batch: number of rows.
        realtime: True where time passes by itself; then `Runner` paces the loop on its own thread.
    """

    robot: Robot
    period: float
    batch: int
    realtime: bool

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """Start new episodes.

        Args:
            rows: sorted unique indices `[n]`; None means all rows.
            seeds: one seed per row; noise of the whole episode is drawn from them.
            state: `position` and `velocity` `[n, J]` of the robot's joints; what is not named starts at the home pose, at rest.
            parameters: physical parameters `[n]` by name; what is not named has its nominal value.

        Raises:
            ValueError: an unknown name or a wrong shape; a robot refuses a state that it cannot be put into.
        """

    def read(self) -> Measurement:
        """The newest sample of the sensors, with their noise and delay."""
        ...

    def write(self, command: Command) -> None:
        """Set the command of the coming control period; all rows at once, `[B, J]`."""

    def advance(self) -> None:
        """Let one control period pass: steps a simulator, does nothing on hardware."""

    def stop(self, reason: str) -> None:
        """Bring the robot to rest now and stay there until `reset`; `reason` is recorded."""

    def close(self) -> None:
        """Release everything; a closed plant is not used again."""


@runtime_checkable
class Simulator(Plant, Protocol):
    """A plant that knows the truth behind its sensors."""

    def truth(self) -> Measurement:
        """The exact state, without noise and delay; includes poses of the tool and of scene bodies."""
        ...
