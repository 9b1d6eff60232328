"""Physics engines as plants. An engine is imported when one of its plants is made."""

from __future__ import annotations

import importlib.util
from typing import Any, Protocol

from isthmus import strict
from isthmus.plant import Simulator
from isthmus.records import Array
from isthmus.robot import Robot

__all__ = ["RenderedSimulator", "make_plant", "plant_names"]

_ENGINES = {"mujoco": "sim", "pybullet": "pybullet"}  # engine → extra that installs it


class RenderedSimulator(Simulator, Protocol):
    """A simulator that can be looked at."""

    def render(
        self,
        row: int = 0,
        *,
        height: int = 480,
        width: int = 640,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.4),
        distance: float = 2.0,
        markers: tuple[tuple[float, float, float], ...] = (),
    ) -> Array:
        """A picture `[height, width, 3]` uint8 of one row; `markers` are points (m) shown as small green spheres."""
        ...


def plant_names() -> list[str]:
    """Names of the engines, sorted; installed or not."""
    return sorted(_ENGINES)


def make_plant(name: str, robot: Robot, *, mode: str, period: float, batch: int = 1) -> RenderedSimulator:
    """Make a simulated robot.

    Args:
        name: engine.
        robot: profile.
        mode: command mode.
        period: control period, s.
        batch: number of rows.

    Raises:
        ValueError: unknown engine, or a mode that the robot does not have; the message lists the valid ones.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if name not in _ENGINES:
        raise ValueError(f"unknown plant {name!r}; {strict.suggest(name, _ENGINES)}")
    if mode not in robot.command_modes:
        raise ValueError(f"robot {robot.name!r} has no command mode {mode!r}; it has: {', '.join(robot.command_modes)}")
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(f"plant {name!r} needs {name}; install it with: pip install 'isthmus[{_ENGINES[name]}]'")
    arguments: dict[str, Any] = {"mode": mode, "period": period, "batch": batch}
    if name == "mujoco":
        from isthmus_sim.plants.mujoco import MujocoPlant

        return MujocoPlant(robot, **arguments)
    from isthmus_sim.plants.pybullet import PybulletPlant

    return PybulletPlant(robot, **arguments)
