"""What `guard_node` tells about itself on `guard/status`."""

from __future__ import annotations

from typing import Any

from isthmus.guard import HOLD, RUNGS
from isthmus.stream import GuardedStream
from isthmus_ros.common import wire
from isthmus_ros.guard.plant import RosPlant

__all__ = ["guard_status"]


def guard_status(stream: GuardedStream, plant: RosPlant, rate_scale: float, time: Any) -> Any:
    """As a DiagnosticArray: rung, cause, phase; whether it is armed, for whom and by which arming; turns; the limits' scale; what was dropped."""
    rung, cause = stream.rung, stream.cause
    if rung >= HOLD and plant.missing:
        cause = f"joint {plant.missing[0]!r} is missing in {plant.state_topic}; {cause}"
    values = {"rung": RUNGS[rung], "cause": cause, "armed": str(stream.armed).lower(), "phase": stream.phase.name.lower()}
    values |= {
        "executed": str(stream.sequence),
        "epoch": stream.gate.epoch,
        "arming": stream.gate.arming,
        "turns": str(stream.turns),
        "late_looks": str(stream.late_looks),
    }
    values |= {"rate_scale": f"{rate_scale:g}"}
    values |= {f"dropped.{reason}": str(count) for reason, count in stream.gate.counts.items()}
    level = 0 if rung == 0 else (1 if rung < HOLD else 2)
    return wire.diagnostics(time, level, "guard", cause or RUNGS[rung], plant.robot.name, values)
