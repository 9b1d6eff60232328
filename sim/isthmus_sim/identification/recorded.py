"""The problem of a task and recordings of its own episodes: what a loop that explores, identifies and acts begins with.

problem = recorded_problem("slide", [trace], ["puck.friction"])
found = identify(problem, FitOptions(starts=1))
found.known.verdicts, found.objections, found.calibration()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isthmus import strict
from isthmus.recording import Trace
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Problem, Unknown, make_problem

__all__ = ["recorded_problem", "trace_log"]


def recorded_problem(task: str, recordings: Sequence[Path | Trace], unknown: Sequence[str] = ()) -> Problem:
    """Bind the unknown parameters of a task, within the ranges that it names, to recordings.

    Args:
        task: by name.
        recordings: files (MCAP, or the folder of a rosbag2), or traces in memory.
        unknown: names among the task's identifiable parameters; empty means all of bodies whose poses were recorded.

    Raises:
        ValueError: the task has no such parameter, or a recording is of something else.
        OSError: a file cannot be read.
    """
    target = find_target(task)
    known = {row.name: row for row in target.identifiable}
    for name in unknown:
        if name not in known:
            raise ValueError(f"task {task!r} has no identifiable parameter {name!r}; {strict.suggest(name, known)}")
    logs = [
        trace_log(recording, f"recording {number}") if isinstance(recording, Trace) else read_bag(recording)
        for number, recording in enumerate(recordings, 1)
    ]
    return make_problem(target, ParameterFile(tuple(Unknown(name, known[name].low, known[name].high) for name in unknown)), logs)


def trace_log(trace: Trace, name: str) -> Log:
    """A trace as a log: measured joints and poses, and what the guard let through."""
    begin, joints = trace.stamps[0], trace.joints
    acted = np.isfinite(trace.executed).all(axis=1)
    elements = trace.contract.action.elements
    order = [elements.index(joint) for joint in joints] if set(elements) == set(joints) else []
    return Log(
        name,
        trace.stamps - begin,
        joints,
        trace.position,
        trace.velocity,
        trace.effort,
        mode=trace.contract.mode if order else "",
        command_time=trace.stamps[acted] - begin if order else np.zeros(0),
        command=trace.executed[acted][:, order] if order else np.zeros((0, 0)),
        poses=dict(trace.poses),
    )
