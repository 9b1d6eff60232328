"""What may be asked of a guard, and when it refuses: arm, disarm, hold, stop, reset. Refusals are sentences, "" is done."""

from __future__ import annotations

from collections.abc import Callable

from isthmus.guard import STOP
from isthmus.phases import Phase
from isthmus.stream import GuardedStream
from isthmus_ros.common import checks
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.surroundings import Surroundings

__all__ = ["Arming"]


class Arming:
    """The services of one configured guard."""

    def __init__(self, stream: GuardedStream, plant: RosPlant, around: Surroundings, buttons: Callable[[], list[str]]) -> None:
        """Bind them; `buttons` says why the emergency stop forbids motion."""
        self._stream, self._plant, self._around, self._buttons = stream, plant, around, buttons

    def arm(self) -> str:
        """Let the commands of whoever sends next through; an armed guard that is idle is armed anew."""
        stream = self._stream
        if problems := self._buttons():
            return "; ".join(problems)
        if stream.state.rung[0] == STOP:
            return f"the guard is stopped ({stream.state.cause[0]}); call guard/reset first"
        if refusal := self.motion():
            return refusal
        if stream.streaming:
            return "commands are coming in on guard/command already; stop whoever sends them first"
        if problems := checks.arming_problems(self._plant, stream.guard.limits) + self._around.arming_problems():
            return "; ".join(problems)
        stream.arm()
        return ""

    def disarm(self) -> str:
        """Send nothing any more."""
        if refusal := self.motion():
            return refusal
        self._stream.disarm()
        return ""

    def hold(self) -> str:
        """Brake now; it clears by itself after five good commands."""
        if not self._stream.moving:
            return "nothing moves"
        self._stream.hold("guard/hold was called")
        return ""

    def stop(self) -> str:
        """Brake and latch."""
        self._stream.stop("guard/stop was called")
        return ""

    def reset(self) -> str:
        """Clear the latch; nothing is armed. An effort that holds the robot after a stop ends with it."""
        if self._stream.phase is not Phase.HELD and (refusal := self.motion()):
            return refusal
        if problems := checks.state_problems(self._plant) + self._around.driver_problems() + self._buttons():
            return f"the cause is still there: {'; '.join(problems)}"
        self._stream.reset()
        return ""

    def motion(self) -> str:
        """Why the robot may not be left alone now."""
        if self._stream.phase is Phase.HELD:
            return "the robot is held by effort after a stop; support it, then call guard/reset"
        return "the robot moves; stop the policy and wait for standstill" if self._stream.moving else ""
