"""Simulation: plants, tasks and environments.

Importing this package tells Gymnasium of the tasks: `gymnasium.make("isthmus/reach-v0")`.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from isthmus_sim.randomization import Randomization
    from isthmus_sim.suites import SuiteVectorEnv
    from isthmus_sim.vector_env import TaskEnv, TaskVectorEnv

__all__ = ["make", "make_vec"]

_PICTURE = 480  # px, side of a suite's picture


def make(
    task: str,
    plant: str = "mujoco",
    randomization: Randomization | None = None,
    render_mode: str | None = "rgb_array",
    calibration: Path | str | None = None,
) -> TaskEnv:
    """A single environment of a task, or of an outside suite.

    Args:
        task: name of the task, such as `reach` or `gym:HalfCheetah-v5`.
        plant: name of the engine; outside suites have their own.
        randomization: physical parameters to draw for each episode.
        render_mode: "rgb_array", or None to draw nothing. A task of a suite that draws no pictures of a given size has None.
        calibration: file that `isthmus identify` wrote; its values hold for all that the randomisation does not draw.

    Raises:
        ValueError: unknown task, plant or render mode, or a parameter that cannot be drawn, with the valid ones; or the calibration cannot be read.
    """
    from isthmus_sim.calls import render_mode_of
    from isthmus_sim.suites import is_suite_task
    from isthmus_sim.vector_env import TaskEnv

    mode, randomization = render_mode_of(render_mode), _calibrated(randomization, calibration)
    if mode and is_suite_task(task):
        try:
            return TaskEnv(_vector(task, 1, plant, randomization, picture_size=_PICTURE, autoreset=False), mode)
        except ValueError:
            mode = None
    return TaskEnv(_vector(task, 1, plant, randomization, autoreset=False), mode)


def make_vec(
    task: str,
    num_envs: int,
    plant: str = "mujoco",
    randomization: Randomization | None = None,
    dumps: Path | None = None,
    render_mode: str | None = "rgb_array",
    calibration: Path | str | None = None,
) -> TaskVectorEnv | SuiteVectorEnv:
    """A batch of environments of a task, on one batched plant; or of an outside suite, in its own simulation.

    Args:
        task: name of the task, such as `reach` or `gym:HalfCheetah-v5`.
        num_envs: number of rows.
        plant: name of the engine; outside suites have their own.
        randomization: physical parameters to draw for each episode.
        dumps: folder for explosions of the physics; None saves nothing.
        render_mode: "rgb_array", or None to draw nothing.
        calibration: as in `make`.

    Raises:
        ValueError: as in `make`, or `num_envs` is no whole number from 1 to a million, or more than fits into memory.
    """
    from isthmus_sim.calls import render_mode_of

    mode, randomization = render_mode_of(render_mode), _calibrated(randomization, calibration)
    env = _vector(task, num_envs, plant, randomization, dumps=dumps)
    env.render_mode = mode
    return env


def _calibrated(randomization: Randomization | None, calibration: Path | str | None) -> Randomization | None:
    from isthmus import strict
    from isthmus_sim.randomization import asked_randomization

    drawn = asked_randomization(randomization)
    if calibration is None:
        return drawn
    from isthmus_sim.identification.calibration import calibrated

    path = strict.path("calibration", calibration)
    try:
        return calibrated(drawn, path)
    except OSError as error:
        raise ValueError(f"calibration {path} cannot be read: {error.strerror}") from None


def _vector(
    task: str,
    num_envs: int,
    plant: str,
    randomization: Randomization | None,
    *,
    picture_size: int | None = None,
    autoreset: bool = True,
    dumps: Path | None = None,
) -> TaskVectorEnv | SuiteVectorEnv:
    from isthmus import strict
    from isthmus_sim.calls import MOST_ROWS
    from isthmus_sim.randomization import randomized_plant
    from isthmus_sim.suites import SuiteVectorEnv, get_suite_task, is_suite_task
    from isthmus_sim.tasks import get_task
    from isthmus_sim.vector_env import TaskVectorEnv

    rows = strict.whole("num_envs", num_envs, least=1, most=MOST_ROWS)
    if is_suite_task(task):
        if randomization:
            raise ValueError(f"{task!r} runs in a suite's own simulation, which randomisation cannot reach")
        return SuiteVectorEnv(get_suite_task(task), rows, autoreset=autoreset, picture_size=picture_size)
    made = get_task(task)
    folder = None if dumps is None else strict.path("dumps", dumps)
    try:
        simulator, sampler = randomized_plant(plant, made, rows, randomization)
    except (MemoryError, ValueError) as error:
        if isinstance(error, ValueError) and "bad_alloc" not in str(error):  # MuJoCo's word for memory
            raise
        raise ValueError(f"{rows} rows of {task!r} do not fit into memory; choose a smaller num_envs") from None
    return TaskVectorEnv(made, simulator, autoreset=autoreset, randomization=sampler, dumps=folder)


if importlib.util.find_spec("gymnasium"):  # a robot's computer may not have it
    from isthmus_sim.registration import register_tasks

    register_tasks()
