"""The demo's last stage but one: why the simulator of training and the robot differ, and how much of it is left with what was identified."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.policy import Policy
from isthmus_cli.demo.facts import EPISODE_SEED
from isthmus_evidence import gap
from isthmus_evidence.reports.gap_page import write_gap
from isthmus_evidence.reports.gap_report import plain_gap
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.task import Task

__all__ = ["explain_gap", "gap_text"]


def explain_gap(task: Task, policy: Policy, out: Path, episodes: int, identified: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Compare the episodes over ROS 2 with the same ones in MuJoCo, nominal and as identified; leaves `gap/WHEN/report.html` and `gap.json`.

    Args:
        task: of the policy.
        policy: that acted.
        out: folder of the demo, which holds the recordings of the robot.
        episodes: over ROS 2.
        identified: parameters and what was found of them, SI.

    Returns:
        what `gap.json` holds, "before" and "after" calibration.

    Raises:
        ValueError: the recordings cannot be compared.
    """
    robot = sorted((out / "traces" / "robot").glob("*.mcap"))
    told = {}
    for when, parameters in (("before", {}), ("after", identified)):
        folder = out / "gap" / when
        simulated = folder / "simulation"
        evaluate_task(task, policy, "mujoco", episodes=episodes, seed=EPISODE_SEED, parameters=parameters, record=simulated)
        found = gap.compare(simulated, robot)
        write_gap(found, folder)
        told[when] = plain_gap(found)
    return told


def gap_text(told: Mapping[str, Mapping[str, Any]]) -> str:
    """One line of it."""
    causes = {when: [cause["claim"] for cause in one["causes"] if cause["named"]] for when, one in told.items()}
    return "; ".join(f"{when} calibration: {', '.join(found) or 'no cause'}" for when, found in causes.items())
