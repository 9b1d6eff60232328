"""The phases of a guarded motion, and what leads from one to the other: the whole state machine, as a table.

`GuardedStream` lives by it, the documentation draws it (`diagram`), and the tests go through it line by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

__all__ = ["ARMED", "EFFORT", "TRANSITIONS", "Event", "Phase", "diagram", "following"]


class Phase(Enum):
    """Where a motion is."""

    DISARMED = "disarmed: nothing is sent"
    IDLE = "idle: the robot's rest is sent, and every sample is watched"
    FOLLOWING = "following: one sender's commands are sent"
    HOLDING = "holding: braked, and held for at most half a second"
    BRAKING = "braking: a latched stop, until standstill is confirmed"
    HELD = "held: stopped, but an effort must go on holding"
    STOPPED = "stopped: latched, nothing is sent"


class Event(Enum):
    """What may happen to a motion."""

    ARM = "guard/arm"
    DISARM = "guard/arm false"
    RESET = "guard/reset"
    COMMAND = "first command of a sender"
    QUIET = "no command any more, at rest"
    HOLD = "reason to hold"
    RECOVER = "five good commands"
    STOP = "reason to stop"
    STANDSTILL = "standstill confirmed"
    SILENCE = "at rest for 1 s without a fresh state"
    STRAY = "the robot is not where it was left"


ARMED = frozenset({Phase.IDLE, Phase.FOLLOWING, Phase.HOLDING, Phase.BRAKING, Phase.HELD})
"""Phases in which commands leave."""

TRANSITIONS: Mapping[tuple[Phase, Event], Phase] = {
    (Phase.DISARMED, Event.ARM): Phase.IDLE,
    (Phase.DISARMED, Event.RESET): Phase.DISARMED,
    (Phase.DISARMED, Event.DISARM): Phase.DISARMED,
    (Phase.DISARMED, Event.STOP): Phase.STOPPED,
    (Phase.IDLE, Event.ARM): Phase.IDLE,
    (Phase.IDLE, Event.COMMAND): Phase.FOLLOWING,
    (Phase.IDLE, Event.DISARM): Phase.DISARMED,
    (Phase.IDLE, Event.RESET): Phase.DISARMED,
    (Phase.IDLE, Event.STOP): Phase.STOPPED,
    (Phase.IDLE, Event.STRAY): Phase.DISARMED,
    (Phase.FOLLOWING, Event.QUIET): Phase.IDLE,
    (Phase.FOLLOWING, Event.HOLD): Phase.HOLDING,
    (Phase.FOLLOWING, Event.STOP): Phase.BRAKING,
    (Phase.HOLDING, Event.RECOVER): Phase.FOLLOWING,
    (Phase.HOLDING, Event.STOP): Phase.BRAKING,
    (Phase.BRAKING, Event.STANDSTILL): Phase.STOPPED,
    (Phase.BRAKING, Event.SILENCE): Phase.STOPPED,
    (Phase.BRAKING, Event.STRAY): Phase.STOPPED,
    (Phase.HELD, Event.SILENCE): Phase.STOPPED,
    (Phase.HELD, Event.STRAY): Phase.STOPPED,
    (Phase.HELD, Event.RESET): Phase.DISARMED,
    (Phase.STOPPED, Event.RESET): Phase.DISARMED,
}
"""Everything that leads somewhere; what is not here changes nothing, or is refused."""

EFFORT: Mapping[tuple[Phase, Event], Phase] = {
    (Phase.IDLE, Event.STOP): Phase.BRAKING,
    (Phase.BRAKING, Event.STANDSTILL): Phase.HELD,
}
"""What leads elsewhere on a robot that is commanded by effort."""


def following(phase: Phase, event: Event, *, effort: bool = False) -> Phase | None:
    """The phase that an event leads to; None if it leads nowhere.

    Args:
        phase: of now.
        event: what happens.
        effort: the robot is commanded by effort, so that rest is no end: without an effort it would fall.
    """
    if effort and (phase, event) in EFFORT:
        return EFFORT[phase, event]
    return TRANSITIONS.get((phase, event))


def diagram() -> str:
    """The table as a Mermaid state diagram; changes nothing where an event leads back to its phase."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (phase, event), goal in TRANSITIONS.items():
        if phase is not goal:
            arrows.setdefault((phase.name, goal.name), []).append(event.value)
    for (phase, event), goal in EFFORT.items():
        arrows.setdefault((phase.name, goal.name), []).append(f"{event.value}, effort")
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.DISARMED.name}"]
    lines += [f"    {start} --> {goal}: {' / '.join(events)}" for (start, goal), events in arrows.items()]
    return "\n".join(lines)
