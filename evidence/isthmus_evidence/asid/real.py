"""The real robot of a loop: a plant whose parameters the loop is not told, or one behind ROS 2 that it never moves by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.control import ControlStep
from isthmus.guard import STOP
from isthmus.runner import Runner, Tick
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.traces import EpisodeTraces
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Task

__all__ = ["Real", "explore", "find_real"]

NOISE = {"position_noise": 1e-4, "velocity_noise": 0.01, "pose_noise": 5e-4}  # rad, rad/s, m: where the file does not say it
_PLANTS = ("mujoco", "pybullet", "ros")


@dataclass(frozen=True, slots=True)
class Real:
    """Where explorations and tasks are played.

    Attributes:
        engine: mujoco, pybullet or ros.
        values: its parameters, noise of its sensors among them; empty for ros.
        text: as it was typed.
    """

    engine: str
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""

    @property
    def simulated(self) -> bool:
        """Whether it is a simulator."""
        return self.engine != "ros"


def find_real(text: str, task: Task) -> Real:
    """Read `mujoco:params.yaml`, `pybullet`, `pybullet:params.yaml` or `ros`; the file holds names and values.

    Raises:
        ValueError: another plant, mujoco without a file (it would be the simulator itself), or a parameter that the plant cannot express.
        OSError: the file cannot be read.
    """
    engine, _, file = text.partition(":")
    if engine not in _PLANTS:
        raise ValueError(f"unknown plant {engine!r} in --real; {strict.suggest(engine, _PLANTS)}")
    if engine == "ros":
        if file:
            raise ValueError(f"--real ros takes no file of parameters, got {file!r}: a robot has its own")
        return Real(engine, text=text)
    if engine == "mujoco" and not file:
        raise ValueError("--real mujoco needs a file of parameters, or it is the simulator itself: mujoco:params.yaml")
    if engine not in task.plants:
        raise ValueError(f"task {task.name!r} does not run on {engine}; it runs on {', '.join(task.plants)}")
    values = strict.decode(dict[str, float], strict.load_yaml(Path(file)), file) if file else {}
    real = Real(engine, {**NOISE, **values}, text)
    plant = task_plant(engine, task)
    try:
        for name in values:
            if name not in plant.parameters:
                raise ValueError(f"plant {engine!r} cannot express parameter {name!r}; {strict.suggest(name, plant.parameters)}")
        plant.reset(seeds=[0], state=task.start([np.random.default_rng(0)]).state, parameters=_rows(real.values))
    finally:
        plant.close()
    return real


def explore(real: Real, task: Task, artifact: Artifact, file: Path, seed: int, steps: int, film: Path | None = None) -> dict[str, Any]:
    """Play an exploration once, and record it; after a stop of the guard, what was recorded until then is all.

    Args:
        real: a simulator.
        task: gives the start.
        artifact: the exploration.
        file: recording, `NAME.mcap`.
        seed: of the start and of the noise.
        steps: control periods.
        film: of the exploration; None films nothing.

    Returns:
        `steps` that were played, and `stopped_by_guard`, "" if it did not stop.
    """
    contract = artifact.contract
    with contextlib.ExitStack() as stack:
        plant = task_plant(real.engine, task)
        stack.callback(plant.close)
        step = ControlStep(plant, contract)
        start = task.start([np.random.default_rng(seed)])
        step.reset(seeds=[seed], state=start.state, parameters={**start.parameters, **_rows(real.values)})
        traces = EpisodeTraces(file.parent, contract, plant.robot.base_frame, file.stem, [seed], [{}])
        stack.enter_context(traces)
        shown = Film(film) if film else None
        watch = [traces.record, *([shown.camera(plant, task)] if shown else [])]

        def tell(tick: Tick) -> None:
            for one in watch:
                one(tick)

        runner = Runner(artifact.policy(), step, on_tick=tell)
        runner.begin([seed])
        cause, played = "", 0
        while played < steps and not cause:
            tick = runner.tick()
            step.sense()
            played += 1
            cause = tick.decision.cause[0] if tick.decision.rung[0] == STOP else ""
        if shown:
            shown.save()
    (file.parent / f"{file.stem}-{seed:06d}.mcap").replace(file)
    return {"steps": played, "stopped_by_guard": cause}


def _rows(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: np.array([value]) for name, value in values.items()}
