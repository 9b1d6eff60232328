"""Plays an excitation on a simulated robot over ROS 2, with policy node and guard, and leaves recordings that `isthmus identify` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from isthmus.artifact import Artifact
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus_policies.asid.motion import excitation_contract
from isthmus_sim.identification.course import find_course, sines
from isthmus_sim.identification.information_preflight import with_length
from isthmus_sim.identification.information_task import exploration_task
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.task import Task, Term

__all__ = ["gentle_excitation", "play_over_ros"]

_FREQUENCY = (0.15, 0.6)  # Hz, least and largest
_TRAVEL, _VELOCITY, _ACCELERATION = 0.25, 0.5, 2.0  # rad, rad/s and rad/s²
_SINES = 3


def gentle_excitation(task: Task, seconds: float, seed: int) -> Artifact:
    """Three slow sines in each joint, all joints at once, with other frequencies and phases for each seed.

    Raises:
        ValueError: the task commands neither positions nor velocities.
    """
    course = find_course(find_target(task.name), travel=_TRAVEL, velocity=_VELOCITY, acceleration=_ACCELERATION, period=None)
    draw = np.random.default_rng(seed)
    phase = draw.uniform(-np.pi, np.pi, (len(course.base), _SINES))
    wave: MultiSine = sines(course, draw.uniform(*_FREQUENCY, _SINES), np.ones_like(phase), phase, seconds)
    return excitation_artifact(excitation_contract(task.contract), wave)


def play_over_ros(
    task: Task,
    excitation: Path,
    recordings: Path,
    seeds: Sequence[int],
    *,
    seconds: float,
    clock: str = "stepped",
    engine: str = "pybullet",
    parameters: Mapping[str, float] | None = None,
) -> list[Path]:
    """Play a file once for each seed.

    Args:
        task: gives robot, scene and starts; its goals are left out.
        excitation: policy file.
        recordings: path prefix of the recordings.
        seeds: of the starts and of the sensors' noise.
        seconds: of each run.
        clock: "stepped" or "wall".
        engine: behind the robot's topics.
        parameters: that differ from the task's own.

    Returns:
        one MCAP file for each seed.

    Raises:
        RosError: a node refused or ended, or the guard stopped a run.
    """
    from isthmus_ros.evaluation.coordinator import RosError, evaluate_over_ros

    nothing = Term("none", 0.0, "1", lambda step: np.zeros(step.after.batch))
    explored = exploration_task(with_length(task, seconds), (), nothing)
    found = evaluate_over_ros(explored, excitation, seeds, clock=clock, plant=engine, parameters=parameters, record=recordings)
    if stopped := [episode for episode in found.episodes if episode.stopped_by_guard]:
        raise RosError(f"the guard stopped the excitation of seed {stopped[0].seed}: {stopped[0].stopped_by_guard}")
    return sorted(recordings.parent.glob(f"{recordings.name}-*.mcap"))[-len(seeds) :]
