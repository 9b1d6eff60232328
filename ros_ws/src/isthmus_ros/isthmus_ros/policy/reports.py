"""What the policy node tells about itself: `policy/status` and `/diagnostics`."""

from __future__ import annotations

import json
from typing import Any

from isthmus.cadence import percentiles
from isthmus.guard import HOLD, RUNGS
from isthmus_ros.common import wire
from isthmus_ros.common.inputs import input_report
from isthmus_ros.policy.binding import Binding
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.shadow import ShadowDrive

__all__ = ["cadence_report", "policy_status"]


def policy_status(motion: Motion, bound: Binding, time: Any) -> Any:
    """Which policy it is, the state of its motion, sequence numbers and inputs, and whether a person corrects.

    `withheld` is why no command is asked for at present. A shadow's also tells the guard's opinion of the newest decision, and how often it had each
    in this run (`opinions.…`).
    """
    plant, decision = bound.plant, motion.step.decision
    corrected = motion.moving and bound.corrections is not None and bound.corrections.active
    withheld = decision.cause[0] if motion.moving and decision is not None and decision.rung[0] >= HOLD else ""
    values = {
        "policy": motion.state,
        "policy_digest": bound.policy_digest,
        "epoch": plant.epoch,
        "motion": str(motion.starts),
        "sequence": str(plant.sequence),
        "run_sequence": str(motion.first),
        "stop_sequence": str(motion.stopped),
        "state_stamp": str(plant.stamp),
        "failure": motion.failure,
        "withheld": withheld,
        "corrected": str(corrected).lower(),
        **input_report("input", bound.inputs.values()),
        **_opinions(motion),
    }
    level = 2 if motion.failure or withheld else 0
    return wire.diagnostics(time, level, "policy", motion.failure or withheld or motion.state, plant.robot.name, values)


def _opinions(motion: Motion) -> dict[str, str]:
    step, decision = motion.step, motion.step.decision
    if not isinstance(step, ShadowDrive):
        return {}
    known = ("", "") if decision is None else (RUNGS[int(decision.rung[0])], decision.cause[0])
    counts = {f"opinions.{rung}": str(step.opinions[rung]) for rung in RUNGS}
    return {"shadow": "true", "opinion": known[0], "opinion_cause": known[1], **counts}


def cadence_report(motion: Motion, bound: Binding, node: str, time: Any) -> Any:
    """How well the loop has kept its time in all runs so far, as `Cadence.summary` and value by value, and how old the pictures were."""
    summary, digest, robot = motion.runner.cadence.summary(), bound.setup.digest, bound.setup.robot.name
    if bound.cameras is not None:
        summary["picture_age_ms"] = percentiles(bound.cameras.ages)
    values = {"policy": motion.state, "contract": digest, "cadence": json.dumps(summary)}
    for name, value in summary.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        values |= {f"{name}.{key}".rstrip("."): str(item) for key, item in parts}
    missed = int(summary.get("missed", 0))
    message = f"{summary['steps']} control periods, {missed} deadlines missed"
    return wire.diagnostics(time, int(missed > 0), f"{node}: cadence", message, robot, values)
