"""Reads what a demo left behind.

Everything is read from files, so a report can be made again, and made of a demo that did not come to its end: what is missing is said in its place.

    demo.json                       what was asked for, how long each stage took, the machine
    train/metrics.jsonl             evaluations during training
    train/policy.isthmus            the one policy file
    mujoco.json pybullet.json ros.json   evaluations, as `isthmus eval --json` writes them
    identified.json                 what an excitation over ROS 2 told of the robot
    gap/WHEN/gap.json report.html   why MuJoCo and the robot differ, before and after calibration
    traces/WORLD-*.mcap             recorded episodes, traces/robot/ros-*.mcap those over ROS 2; the first one of each world is shown
    frames/PLANT-STEP.png           pictures of that episode
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.guard import RUNGS
from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import load_robot
from isthmus.trace import Trace, read_trace
from isthmus_evidence.paired import paired_difference
from isthmus_evidence.pictures.plots import Episode

__all__ = ["WORLDS", "DemoFiles", "load_demo", "percentiles"]

WORLDS: Mapping[str, str] = {"mujoco": "MuJoCo", "pybullet": "PyBullet", "ros": "ROS 2"}


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What is there of a demo.

    Attributes:
        folder: where it lies.
        run: content of `demo.json`; empty if there is none.
        contract: of the policy; None if there is no policy file.
        policy: facts about the policy file; empty likewise.
        metrics: evaluations during training.
        evaluations: content of `WORLD.json` per world that was evaluated.
        episodes: the shown episode per world that was recorded.
        frames: picture files of that episode per plant, with their time in s.
        guard: control periods per rung and world.
        intervals: seconds between the samples that the policy acted on over ROS 2, `[n]`.
        identified: content of `identified.json`; empty if there is none.
        gaps: content of `gap/WHEN/gap.json`, "before" and "after" calibration, as far as there is one.
    """

    folder: Path
    run: Mapping[str, Any]
    contract: Contract | None
    policy: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    evaluations: Mapping[str, Mapping[str, Any]]
    episodes: Mapping[str, Episode]
    frames: Mapping[str, Sequence[tuple[float, Path]]]
    guard: Mapping[str, Mapping[str, int]]
    intervals: Array
    identified: Mapping[str, Any]
    gaps: Mapping[str, Mapping[str, Any]]

    def pairs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Each other world, the first one that was evaluated, and their difference on the seeds that both have; see `paired_difference`."""
        base, *others = [world for world in WORLDS if world in self.evaluations] or [""]
        return [(world, base, paired_difference(self.evaluations[world], self.evaluations[base])) for world in others]

    def figures(self) -> dict[str, Any]:
        """All figures of the report as plain data."""
        worlds = {
            world: {key: found.get(key) for key in ("episodes", "seed", "success", "return", "ends", "motion", "cadence")}
            | {"guard": dict(self.guard.get(world, {}))}
            for world, found in self.evaluations.items()
        }
        return {
            **self.run,
            "policy": dict(self.policy),
            "learning_curve": [dict(row) for row in self.metrics],
            "worlds": worlds,
            "paired": {f"{world} less {base}": difference for world, base, difference in self.pairs()},
            "sample_period_ms": percentiles(self.intervals * 1e3),
            "identified": dict(self.identified),
            "causes": {when: [cause for cause in found["causes"] if cause["named"]] for when, found in self.gaps.items()},
        }


def load_demo(folder: Path) -> DemoFiles:
    """Read what a demo left in its folder.

    Raises:
        ValueError: a file is damaged.
    """
    file = folder / "train" / "policy.isthmus"
    artifact = Artifact.load(file) if file.exists() else None
    traces = {world: sorted((folder / "traces").rglob(f"{world}-*.mcap")) for world in WORLDS}
    gaps = {when: folder / "gap" / when / "gap.json" for when in ("before", "after")}
    shown = {world: read_trace(files[0]) for world, files in traces.items() if files}
    over_ros = [read_trace(file) for file in traces["ros"]]
    evaluations = {world: _json(folder / f"{world}.json") for world in WORLDS if (folder / f"{world}.json").exists()}
    joints = _busiest(next(iter(shown.values()))) if shown else ()
    longest = max((len(trace) for trace in shown.values()), default=0)
    period = artifact.contract.control_period if artifact else 0.0
    return DemoFiles(
        folder=folder,
        run=_json(folder / "demo.json") if (folder / "demo.json").exists() else {},
        contract=artifact.contract if artifact else None,
        policy=_policy_facts(artifact, file) if artifact else {},
        metrics=_metrics(folder / "train" / "metrics.jsonl"),
        evaluations=evaluations,
        episodes={world: _episode(trace, joints, longest) for world, trace in shown.items() if len(trace)},
        frames={plant: _frames(folder / "frames", plant, period) for plant in ("mujoco", "pybullet")},
        guard={world: _rungs(found, over_ros if world == "ros" else []) for world, found in evaluations.items()},
        intervals=np.concatenate([np.diff(trace.stamps) for trace in over_ros]) if over_ros else np.zeros(0),
        identified=_json(folder / "identified.json") if (folder / "identified.json").exists() else {},
        gaps={when: _json(file) for when, file in gaps.items() if file.exists()},
    )


def percentiles(values: Array) -> dict[str, float] | None:
    """Median, 99 % and 99.9 % percentiles and maximum; None if there is no value."""
    if not values.size:
        return None
    found = np.percentile(values, [50, 99, 99.9, 100])
    return {name: round(float(value), 4) for name, value in zip(("p50", "p99", "p99.9", "max"), found, strict=True)}


def _episode(trace: Trace, joints: tuple[str, ...], periods: int) -> Episode:
    outcome, label, tolerance = _outcome(trace)
    mode = trace.contract.mode
    commanded = [trace.contract.action.elements.index(joint) for joint in joints]
    measured = [trace.joints.index(joint) for joint in joints]
    quantity = {"position": trace.position, "velocity": trace.velocity, "effort": trace.effort}[mode]
    return Episode(
        time=trace.stamps - trace.stamps[0],
        duration=periods * trace.contract.control_period,
        stopped=trace.causes[-1] if trace.rungs[-1] == "stop" else "",
        outcome=outcome,
        outcome_label=label,
        tolerance=tolerance,
        joints=joints,
        executed=trace.executed[:, commanded],
        measured=np.full((len(trace), len(joints)), np.nan) if quantity is None else quantity[:, measured],
        unit=" or ".join(dict.fromkeys(trace.contract.action.units[place] for place in commanded)),
    )


def _outcome(trace: Trace) -> tuple[Array, str, float | None]:
    """Distance of tool and goal where there is a goal, else the first joint's position; with its label and tolerance."""
    from isthmus_sim.tasks.reach import TOLERANCE

    contract = trace.contract
    robot = load_robot(contract.robot)
    if "goal" not in trace.inputs or contract.signal("goal").elements != ("x", "y", "z"):
        first = trace.joints[0]
        return trace.position[:, 0], f"{first}, {dict(zip(robot.joint_names, robot.joints, strict=True))[first].unit('position')}", None
    tool = Kinematics(robot.urdf_path).poses(trace.joints, trace.position, [robot.tool_frame])[robot.tool_frame].position
    distance = np.sqrt(((tool - trace.inputs["goal"]) ** 2).sum(axis=1))
    return distance, "tool to goal, m", TOLERANCE if contract.task in ("reach", "reach-wide") else None


def _busiest(trace: Trace) -> tuple[str, ...]:
    """The two joints whose commands vary most, in the contract's order."""
    if not len(trace):
        return ()
    spread = np.nanstd(trace.executed, axis=0)
    return tuple(trace.contract.action.elements[index] for index in sorted(np.argsort(spread)[-2:]))


def _rungs(evaluation: Mapping[str, Any], traces: Sequence[Trace]) -> dict[str, int]:
    """Control periods per rung: from the scores, and where they do not say from the traces."""
    counted: Counter[str] = Counter()
    for episode in evaluation["per_episode"]:
        counted.update(episode.get("rungs") or {})
    if not counted:
        for trace in traces:
            counted.update(trace.rungs)
    return {rung: counted[rung] for rung in RUNGS} if counted else {}


def _policy_facts(artifact: Artifact, file: Path) -> dict[str, Any]:
    return {
        "file": "train/policy.isthmus",
        "bytes": file.stat().st_size,
        "kind": artifact.kind,
        "contract_digest": artifact.contract.digest(),
        "policy_digest": artifact.policy_digest,
        "training": artifact.training,
    }


def _frames(folder: Path, plant: str, period: float) -> list[tuple[float, Path]]:
    return [((int(file.stem.rpartition("-")[2]) + 1) * period, file) for file in sorted(folder.glob(f"{plant}-*.png"))]


def _metrics(path: Path) -> list[Mapping[str, float]]:
    if not path.exists():
        return []
    return [strict.load_json(line, str(path)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _json(path: Path) -> Any:
    return strict.load_json(path.read_bytes(), str(path))
