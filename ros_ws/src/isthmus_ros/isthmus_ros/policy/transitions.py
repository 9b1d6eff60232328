"""The states of a policy's motion, and what leads from one to the other: the whole state machine, as a table that `Motion` keeps to."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["IDLE", "PARK", "RAMP", "RUN", "STOPPING", "TRANSITIONS", "WITH_PARKING"]

IDLE, RAMP, RUN, STOPPING, PARK = "idle", "ramp", "run", "stopping", "park"

TRANSITIONS: Mapping[tuple[str, str], str] = {
    (IDLE, RAMP): "start, away from the start pose",
    (IDLE, RUN): "start",
    (RAMP, RUN): "the start pose is reached",
    (RAMP, STOPPING): "stop; the guard stops; the pose is not reached",
    (RAMP, IDLE): "the guard does not answer",
    (RUN, STOPPING): "stop; the guard stops; the run is over; the policy fails in stepped time",
    (RUN, IDLE): "the guard does not answer; the policy hangs, and the guard has stopped the robot; time stands still",
    (STOPPING, IDLE): "standstill; the guard does not answer, or has stopped the robot",
}
"""Every change of state of a motion, and what leads to it."""

WITH_PARKING: Mapping[tuple[str, str], str] = {
    **TRANSITIONS,
    (RUN, PARK): "the run is over",
    (PARK, STOPPING): "parked; stop; the guard stops; the pose is not reached",
    (PARK, IDLE): "the guard does not answer",
}
"""Those of an exploration, which ramps back."""
