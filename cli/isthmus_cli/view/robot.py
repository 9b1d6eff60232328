"""A robot before there is any task for it: each joint is swept through its range, one after the other, without physics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_cli.console import show_table
from isthmus_cli.view.motion import PERIOD, show_motion
from isthmus_evidence.pictures.film import Film
from isthmus_sim.graphics import check_mujoco

__all__ = ["show_robot", "stood", "swept"]

WHOLE, SHORTEST, LONGEST = 12.0, 0.6, 2.0  # s: of all joints together, and of one


def swept(robot: Robot) -> list[tuple[str, Array]]:
    """Joint → its positions from home to its lower limit, its upper limit and back, one per picture, rad or m; wheels of a base turn once."""
    turn = float(np.pi)
    ranges = [(wheel, 0.0, (-turn, turn)) for wheel in robot.base.wheels]
    if not ranges:
        endless = [(joint.home - turn, joint.home + turn) for joint in robot.joints]
        ends = [joint.position if np.isfinite(joint.position[0]) else wide for joint, wide in zip(robot.joints, endless, strict=True)]
        ranges = [(joint.name, joint.home, end) for joint, end in zip(robot.joints, ends, strict=True)]
    pictures = round(float(np.clip(WHOLE / len(ranges), SHORTEST, LONGEST)) / PERIOD)
    paths = []
    for name, home, (low, high) in ranges:
        knots = np.array([home, low, high, home])
        way = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(knots)))])
        paths.append((name, np.interp(np.linspace(0.0, way[-1], pictures), way, knots)))
    return paths


def show_robot(robot: Robot, film: Film | None, browser: bool) -> None:
    """Film one sweep, or show sweeps in a window or a page."""
    model, data = stood(robot)
    paths = swept(robot)
    rows = [(name, f"{path.min():.4g}", f"{path.max():.4g}") for name, path in paths]
    show_table(f"{robot.name}: joints are swept in this order", ("joint", "from, rad or m", "to, rad or m"), rows)
    for name, path in paths:
        data.joint(name).qpos[0] = path[0]
    show_motion(model, data, lambda: _moments(data, paths), film, browser)


def stood(robot: Robot) -> tuple[Any, Any]:
    """The robot alone, as MjModel and MjData; one that is not fixed stands on the ground."""
    check_mujoco()
    import mujoco

    from isthmus_sim.plants.mujoco_model import compile_model

    model = compile_model(robot, robot.command_modes[0], PERIOD)
    data = mujoco.MjData(model)
    if robot.base.kind != "fixed":
        data.qpos[2] = robot.base.height
    return model, data


def _moments(data: Any, paths: list[tuple[str, Array]]) -> Iterator[None]:
    """Put the joints where they are at each moment of one sweep."""
    for name, path in paths:
        for position in path:
            data.joint(name).qpos[0] = position
            yield
