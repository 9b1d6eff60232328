"""What the policy node tells about itself: `guard/status` and `/diagnostics`."""

from __future__ import annotations

import json
from typing import Any

from isthmus.guard import CLAMP, HOLD, RUNGS
from isthmus_ros.common import wire
from isthmus_ros.common.inputs import InputTopics, input_report
from isthmus_ros.common.states import StateTopic
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.shadow import ShadowStep

__all__ = ["cadence_report", "guard_status", "policy_status", "shadow_status"]


def guard_status(motion: Motion, plant: StateTopic, inputs: InputTopics, time: Any) -> Any:
    """The guard's rung, its cause and whether it is armed, with what `policy_status` tells."""
    state, decision = motion.step.state, motion.step.decision
    rung, cause = int(state.rung[0]), state.cause[0]
    if motion.moving and decision is not None:
        rung, cause = int(decision.rung[0]), decision.cause[0]
    if rung >= HOLD and plant.missing:
        cause = f"joint {plant.missing[0]!r} is missing in {plant.state_topic}; {cause}"
    values = {"rung": RUNGS[rung], "cause": cause, "armed": str(bool(state.armed[0])).lower(), **_motion_values(motion, plant, inputs)}
    level = 0 if rung < CLAMP else (1 if rung < HOLD else 2)
    return wire.diagnostics(time, level, "guard", cause or RUNGS[rung], plant.robot.name, values)


def policy_status(motion: Motion, plant: StateTopic, inputs: InputTopics, time: Any) -> Any:
    """The state of the motion, sequence numbers and inputs, and why no command is asked for at present (`withheld`)."""
    decision = motion.step.decision
    withheld = decision.cause[0] if motion.moving and decision is not None and decision.rung[0] >= HOLD else ""
    values = {**_motion_values(motion, plant, inputs), "withheld": withheld}
    level = 2 if motion.failure or withheld else 0
    return wire.diagnostics(time, level, "policy", motion.failure or withheld or motion.state, plant.robot.name, values)


def shadow_status(motion: Motion, plant: StateTopic, inputs: InputTopics, time: Any) -> Any:
    """As `policy_status`, with the guard's opinion of the newest decision, and how often it had each in this run (`opinions.…`)."""
    message = policy_status(motion, plant, inputs, time)
    step, decision = motion.step, motion.step.decision
    values = {"shadow": "true", "opinion": "", "opinion_cause": ""}
    if decision is not None:
        values |= {"opinion": RUNGS[int(decision.rung[0])], "opinion_cause": decision.cause[0]}
    if isinstance(step, ShadowStep):
        values |= {f"opinions.{rung}": str(step.opinions[rung]) for rung in RUNGS}
    message.status[0].values.extend(wire.pairs(values))
    return message


def _motion_values(motion: Motion, plant: StateTopic, inputs: InputTopics) -> dict[str, str]:
    values = {
        "policy": motion.state,
        "motion": str(motion.starts),
        "sequence": str(plant.sequence),
        "run_sequence": str(motion.first),
        "stop_sequence": str(motion.stopped),
        "state_stamp": str(plant.stamp),
        "failure": motion.failure,
    }
    return values | input_report("input", inputs.values())


def cadence_report(motion: Motion, digest: str, node: str, robot: str, time: Any) -> Any:
    """How well the loop has kept its time in all runs so far, as `Cadence.summary` and value by value; `digest` is the contract's."""
    summary = motion.runner.cadence.summary()
    values = {"policy": motion.state, "contract": digest, "cadence": json.dumps(summary)}
    for name, value in summary.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        values |= {f"{name}.{key}".rstrip("."): str(item) for key, item in parts}
    missed = int(summary.get("missed", 0))
    message = f"{summary['steps']} control periods, {missed} deadlines missed"
    return wire.diagnostics(time, int(missed > 0), f"{node}: cadence", message, robot, values)
