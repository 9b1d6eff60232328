"""A recording: the joints of its robot go where they were measured, in real time, without physics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.recording import Trace, read_trace
from isthmus.robot import load_robot
from isthmus_cli.console import say
from isthmus_cli.view.motion import PERIOD, show_motion
from isthmus_cli.view.robot import stood
from isthmus_evidence.pictures.film import Film

__all__ = ["recorded", "show_recording"]


def recorded(path: Path) -> Trace:
    """What a recording holds.

    Raises:
        ValueError: the file is no recording of an episode.
        OSError: it cannot be read.
    """
    trace = read_trace(path)
    if not len(trace.stamps):
        raise ValueError(f"{path} holds no control period")
    return trace


def show_recording(path: Path, trace: Trace, folders: Sequence[Path], film: Film | None, browser: bool) -> None:
    """Film a recording, or show it again and again in a window or a page. Only joints move: a base that drives or walks stays where it is.

    Args:
        path: MCAP file of one episode.
        trace: what it holds.
        folders: searched for its robot first.
        film: gets the pictures.
        browser: a page instead of a window.

    Raises:
        ValueError: it is of a robot that is not known.
    """
    robot = load_robot(trace.contract.robot, folders)
    model, data = stood(robot)
    known = [name for name in trace.joints if name in robot.joint_names or name in robot.base.wheels]
    seconds = trace.stamps[-1] - trace.stamps[0]
    say(f"{path}: {trace.contract.task} with {robot.name}, {len(trace.stamps)} control periods, {seconds:.1f} s")
    show_motion(model, data, lambda: _moments(data, trace, known), film, browser)


def _moments(data: Any, trace: Trace, joints: Sequence[str]) -> Iterator[None]:
    columns = [trace.joints.index(name) for name in joints]
    for moment in np.arange(trace.stamps[0], trace.stamps[-1] + PERIOD, PERIOD):
        for name, column in zip(joints, columns, strict=True):
            data.joint(name).qpos[0] = np.interp(moment, trace.stamps, trace.position[:, column])
        yield
