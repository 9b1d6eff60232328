"""What a comparison will do, fixed and hashed before it runs.

A protocol that is written down first keeps whoever compares from choosing task, worlds, seeds, number or metric after having seen the outcome.

```yaml
task: reach
worlds:
  - plant: mujoco
  - {plant: pybullet, parameters: {payload: 1.0}, randomize: ranges.yaml, calibration: robot.yaml, name: heavy}
seed: 1000
episodes: 100
metric: success      # or return, robustness
threshold: 0.05      # differences up to it do not count
```
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_sim.identification.calibration import calibrated
from isthmus_sim.randomization import Randomization, load_randomization

__all__ = ["METRICS", "Protocol", "World", "load_protocol"]

METRICS = ("success", "return", "robustness")


@dataclass(frozen=True, slots=True)
class World:
    """Where episodes run.

    Attributes:
        plant: name of the engine, or "ros"; an outside suite has its own.
        parameters: physical parameters that differ from the task's own, SI.
        randomization: parameters that are drawn from each episode's seed; a calibration is among them.
        name: what it is called.
    """

    plant: str = "mujoco"
    parameters: Mapping[str, float] = field(default_factory=dict)
    randomization: Randomization | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """Its name, or what tells it from others."""
        if self.name:
            return self.name
        words = [self.plant, *(f"{name}={value:g}" for name, value in self.parameters.items())]
        return " ".join([*words, "randomised"] if self.randomization else words)

    def plain(self) -> dict[str, Any]:
        """Plain data, the content of files among it."""
        drawn = self.randomization.plain() if self.randomization else None
        return {"plant": self.plant, "parameters": dict(self.parameters), "randomization": drawn, "name": self.title}


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is compared, and what counts as a difference.

    Attributes:
        task: name.
        worlds: each is run on the same seeds.
        seed: of the first episode; the following ones count up.
        episodes: in each world, of each policy.
        metric: "success", "return" or "robustness" of the task's specification.
        threshold: a difference of the metric up to it does not count, in its unit.

    Raises:
        ValueError: a value is out of range, or two worlds have one name.
    """

    task: str
    worlds: tuple[World, ...] = (World(),)
    seed: int = 0
    episodes: int = 50
    metric: str = "success"
    threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; {strict.suggest(self.metric, METRICS)}")
        strict.require("threshold", self.threshold, least=0)
        strict.whole("seed", self.seed)
        if strict.whole("episodes", self.episodes) < 2:
            raise ValueError(f"episodes of a comparison must be >= 2, got {self.episodes}")
        names = [world.title for world in self.worlds]
        if not names:
            raise ValueError("a comparison needs at least one world, such as plant: mujoco")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two worlds are called {twice.pop()!r}; name them")

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        told = {"task": self.task, "seed": self.seed, "episodes": self.episodes, "metric": self.metric, "threshold": self.threshold}
        return {**told, "worlds": [world.plain() for world in self.worlds]}

    def digest(self) -> str:
        """SHA-256 of the canonical JSON; equal digests run equal episodes."""
        return hashlib.sha256(strict.canonical_json(self.plain())).hexdigest()


@dataclass(frozen=True, slots=True)
class _World:
    plant: str = "mujoco"
    parameters: Mapping[str, float] = field(default_factory=dict)
    randomize: str = ""
    calibration: str = ""
    name: str = ""


_USUAL = Protocol("")


@dataclass(frozen=True, slots=True)
class _Protocol:
    task: str
    worlds: tuple[_World, ...] = (_World(),)
    seed: int = _USUAL.seed
    episodes: int = _USUAL.episodes
    metric: str = _USUAL.metric
    threshold: float = _USUAL.threshold


def load_protocol(path: Path) -> Protocol:
    """Read a file, and those that it names, relative to its folder.

    Raises:
        ValueError: not strict YAML, an unknown key, or a value that is out of range; the message names the place.
        OSError: a file cannot be read.
    """
    told = strict.decode(_Protocol, strict.load_yaml(path), str(path))
    worlds = []
    for world in told.worlds:
        drawn = load_randomization(path.parent / world.randomize) if world.randomize else None
        drawn = calibrated(drawn, path.parent / world.calibration if world.calibration else None)
        worlds.append(World(world.plant, world.parameters, drawn, world.name))
    try:
        return Protocol(told.task, tuple(worlds), told.seed, told.episodes, told.metric, told.threshold)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
