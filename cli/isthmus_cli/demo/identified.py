"""The demo's stage of identification: one excitation over ROS 2, and what it tells of the robot that training never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.robot import load_robot
from isthmus_cli.console import write_json
from isthmus_cli.demo.facts import EPISODE_SEED, EXCITATION, ROBOT, UNKNOWN
from isthmus_evidence.ros_exploration import gentle_excitation, play_over_ros
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.calibration import save_calibration
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import Identification, identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import make_problem, read_parameter_file
from isthmus_sim.task import Task

__all__ = ["can_be_identified", "identified_text", "identify_robot"]


def can_be_identified(task: Task) -> bool:
    """Whether the arm of a task may be excited where it stands: it follows positions or velocities, and nothing lies about that it would push."""
    fixed = load_robot(task.contract.robot).base.kind == "fixed"
    return fixed and task.contract.mode in ("position", "velocity") and not (task.scene and task.scene.moving)


def identify_robot(task: Task, out: Path) -> dict[str, Any]:
    """Excite, record, identify; leaves `identified.json`, and `calibration.yaml` if the fitted model predicts better.

    Returns:
        what `identified.json` holds.

    Raises:
        RosError: a node failed, or the guard stopped the motion.
        ValueError: nothing could be identified.
    """
    file, unknown = out / "excitation.isthmus", out / "unknown.yaml"
    gentle_excitation(task, EXCITATION, 0).save(file)
    bounds = "".join(f"  {name}: [{low:g}, {high:g}]\n" for name, (low, high) in UNKNOWN.items())
    unknown.write_text(f"unknown:\n{bounds}", encoding="utf-8")
    (recording,) = play_over_ros(
        task, file, out / "traces" / "excitation", [EPISODE_SEED], seconds=EXCITATION, clock="wall", parameters=ROBOT
    )
    problem = make_problem(find_target(task.name), read_parameter_file(unknown), [read_bag(recording)])
    found = identify(problem, FitOptions(starts=1))
    if not found.objections:
        save_calibration(found.calibration(), out / "calibration.yaml")
    facts = _facts(found)
    write_json(facts, out / "identified.json")
    return facts


def _facts(found: Identification) -> dict[str, Any]:
    known, made = found.known, found.prediction
    rows = zip(found.problem.names, found.problem.units, known.values, known.low, known.high, known.verdicts, strict=True)
    return {
        "parameters": {
            name: {"value": float(value), "interval": [float(low), float(high)], "verdict": verdict, "true": ROBOT[name], "unit": unit}
            for name, unit, value, low, high, verdict in rows
        },
        "prediction": {
            f"{horizon:g} s": {
                "joints_rad": [float(np.sqrt((table[row] ** 2).mean())) for table in (made.nominal, made.fitted)],
                "tool_mm": [float(table[row]) for table in (made.tool_nominal, made.tool_fitted)],
            }
            for row, horizon in enumerate(made.horizons)
        },
        "objections": list(found.objections),
    }


def identified_text(facts: dict[str, Any]) -> str:
    """One line of it."""
    told = [
        f"{name.replace('_', ' ')} {one['value']:.3g} {one['unit'].replace('*', '·')} "
        f"({one['interval'][0]:.3g} … {one['interval'][1]:.3g}, true {one['true']:g})"
        for name, one in facts["parameters"].items()
    ]
    horizon, last = list(facts["prediction"].items())[-1]
    before, after = last["tool_mm"]
    return f"{', '.join(told)}; unseen motion, {horizon}: {before:.3g} → {after:.3g} mm at the tool"
