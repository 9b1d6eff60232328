"""What a guarded stream needs to know of a robot; `isthmus_ros` has it behind topics."""

from __future__ import annotations

from typing import Protocol

from isthmus.records import Array, Command, Measurement

__all__ = ["Robotic"]


class Robotic(Protocol):
    """One robot, seen and commanded; all times on the steady clock.

    Attributes:
        realtime: whether time passes by itself.
        state_topic: where its samples come from, for the messages.
    """

    realtime: bool
    state_topic: str

    @property
    def age(self) -> float:
        """Seconds since the newest sample arrived."""
        ...

    @property
    def delay(self) -> float:
        """Seconds by which the newest sample was late when it arrived, >= 0; 0 where clocks cannot be compared."""
        ...

    @property
    def stamp(self) -> int:
        """Stamp of the newest sample, ns."""
        ...

    def read(self) -> Measurement:
        """The newest sample."""
        ...

    def fault(self) -> str:
        """What is wrong with the newest sample's time; "" if nothing."""
        ...

    def alarm(self) -> str:
        """Why the robot must be stopped at once, as far as more than the newest sample tells; "" if nothing."""
        ...

    def begin(self) -> None:
        """The next command begins where the robot is."""

    def place(self, joints: tuple[str, ...], ago: float = 0.0) -> Array | None:
        """Where the robot was told to be some seconds ago, `[1, J]`, rad or m; None where it is sent single commands and no motions."""

    def send(self, command: Command, sequence: int, epoch: str, *, braking: bool) -> None:
        """Send a command that has passed the guard; `braking`: it is the guard's own."""
