"""Whether a process has been asleep: what was asked of it meanwhile was asked of a robot that may stand elsewhere by now."""

from __future__ import annotations

from collections.abc import Callable

from isthmus.timing import steady

__all__ = ["LOOK", "Sleep"]

LOOK = 0.05
"""Seconds between two looks."""
_ASLEEP = 0.5  # s without a look; a busy computer is late, too
_LATE = 4.0  # s after it in which a request of that time may still come: a writer sends what was lost again every 3 s
_WAITS = 2.0  # s that carrying out a request may take beyond the computing


class Sleep:
    """Notices that nobody has looked for a while: the process was suspended or starved, or the computer slept."""

    def __init__(self, clock: Callable[[], float] = steady) -> None:
        """Begin awake, with the first look; `clock` is steady, s."""
        self._clock = clock
        self._looked, self._woke, self._slept = float("inf"), -float("inf"), 0.0

    def look(self) -> None:
        """To be called every `LOOK` seconds."""
        now = self._clock()
        if now - self._looked > _ASLEEP:
            self._woke, self._slept = now, now - self._looked
        self._looked = now

    def excuse(self, busy: float) -> None:
        """Since the last look it carried out what it was asked to do, and computed for `busy` s; what takes much longer is a sleep after all."""
        now = self._clock()
        if now - self._looked - busy <= _WAITS:
            self._looked = now

    @property
    def problem(self) -> str:
        """Why nothing may begin that may have been asked for before the sleep; "" if it may."""
        self.look()
        left = self._woke + _LATE - self._looked
        return (
            f"this process did not run for {self._slept:.1f} s, and what was asked meanwhile may come late; ask again in {left:.1f} s"
            if left > 0
            else ""
        )
