"""Physics engines as plants. An engine is imported when one of its plants is made."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from isthmus import strict
from isthmus.plant import Simulator
from isthmus.records import Array
from isthmus.robot import Robot, load_robot
from isthmus_sim.appearance import AppearanceRanges
from isthmus_sim.calls import MOST_ROWS
from isthmus_sim.graphics import check_mujoco
from isthmus_sim.parameters import Parameter
from isthmus_sim.scene import Scene, flat_ground
from isthmus_sim.task import Task

__all__ = ["RenderedSimulator", "make_plant", "plant_names", "task_plant"]

if "DISPLAY" not in os.environ:  # read when MuJoCo is imported: without a screen, draw through EGL
    os.environ.setdefault("MUJOCO_GL", "egl")

_ENGINES = {  # engine → how it is installed
    "mujoco": "install it with: pip install 'isthmus[sim]'",
    "pybullet": "install it with: pip install 'isthmus[pybullet]'",
    "isaacgym": "it is not on PyPI: download Isaac Gym Preview 4 from https://developer.nvidia.com/isaac-gym, unpack it and pip install its "
    "folder python; its binaries are for Python 3.6 to 3.8, isthmus needs 3.10 (isaacgym-stubs are types only)",
}


class RenderedSimulator(Simulator, Protocol):
    """A simulator that can be looked at, and told physical parameters.

    Attributes:
        scene: what stands around the robot.
        parameters: what `reset` can be told, by name.
    """

    scene: Scene
    parameters: Mapping[str, Parameter]

    def render(
        self,
        row: int = 0,
        *,
        height: int = 480,
        width: int = 640,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.4),
        distance: float = 2.0,
        markers: tuple[tuple[float, float, float], ...] = (),
        studio: bool = False,
    ) -> Array:
        """A picture `[height, width, 3]` uint8 of one row; `markers` are points (m) shown as small green spheres.

        `studio` adds ground, shadows and sky where the engine can draw them.
        """
        ...


def plant_names() -> list[str]:
    """Names of the engines, sorted; installed or not."""
    return sorted(_ENGINES)


def make_plant(
    name: str,
    robot: Robot,
    *,
    mode: str,
    period: float,
    batch: int = 1,
    scene: Scene | None = None,
    cameras: Sequence[str] = (),
    appearance: AppearanceRanges | None = None,
) -> RenderedSimulator:
    """Make a simulated robot.

    Args:
        name: engine.
        robot: profile.
        mode: command mode.
        period: control period, s.
        batch: number of rows.
        scene: what stands around the robot; None means flat ground under a mobile robot, and nothing else.
        cameras: of the robot, whose images `read` shows.
        appearance: ranges that the look of each episode is drawn from; None for a plain look.

    Raises:
        ValueError: unknown engine, or a mode that the robot does not have, with the valid ones; no robot, or a wrong period or number of rows.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if not isinstance(robot, Robot):
        raise ValueError(f"robot must be what load_robot(NAME) returns, got {robot!r}")
    if name not in plant_names():
        raise ValueError(f"unknown plant {name!r}; {strict.suggest(name, _ENGINES)}")
    if mode not in robot.command_modes:
        raise ValueError(f"robot {robot.name!r} has no command mode {mode!r}; it has: {', '.join(robot.command_modes)}")
    _check_usable(name)
    scene = flat_ground(robot) if scene is None else scene
    strict.instance("scene", scene, Scene)
    if isinstance(cameras, str) or not isinstance(cameras, Sequence):
        raise ValueError(f"cameras must be a list of names, got {cameras!r}")
    rows = strict.whole("batch", batch, least=1, most=MOST_ROWS)
    arguments: dict[str, Any] = {"mode": mode, "period": period, "batch": rows, "scene": scene, "cameras": cameras}
    if appearance is not None:
        strict.instance("appearance", appearance, AppearanceRanges)
        arguments["appearance"] = appearance
    if name == "mujoco":
        from isthmus_sim.plants.mujoco import MujocoPlant

        return MujocoPlant(robot, **arguments)
    if name == "isaacgym":
        from isthmus_sim.plants.isaacgym import IsaacGymPlant

        return IsaacGymPlant(robot, **arguments)
    from isthmus_sim.plants.pybullet import PybulletPlant

    return PybulletPlant(robot, **arguments)


def _check_usable(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(f"plant {name!r} needs {name}; {_ENGINES[name]}")
    if name == "mujoco":
        check_mujoco()


def task_plant(name: str, task: Task, batch: int = 1, appearance: AppearanceRanges | None = None) -> RenderedSimulator:
    """The plant that a task runs on: its robot in its scene, with the cameras that its policies look through.

    Args:
        name: engine.
        task: what is asked.
        batch: number of rows.
        appearance: ranges that the look of each episode is drawn from; None for a plain look.

    Raises:
        ValueError: unknown engine, or one that the task does not run on; the message lists the valid ones.
        ModuleNotFoundError: the engine is not installed; the message tells the command that installs it.
    """
    if name in (known := plant_names()):
        _check_usable(name)
    if name in known and name not in task.plants:
        raise ValueError(f"task {task.name!r} runs on {', '.join(task.plants)}, not on {name!r}")
    contract = task.contract
    cameras = tuple(signal.name for signal in contract.observation if signal.source == "image")
    robot = load_robot(contract.robot)
    return make_plant(
        name,
        robot,
        mode=contract.mode,
        period=contract.control_period,
        batch=batch,
        scene=task.scene,
        cameras=cameras,
        appearance=appearance,
    )
