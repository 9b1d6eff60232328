"""What a sweep tries: the YAML file of `isthmus sweep`, checked before anything is trained."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_cli.train.dsac_t import TrainDsacT
from isthmus_cli.train.pixels import COMMANDS, TrainPixels
from isthmus_cli.train.ppo import TrainPpo
from isthmus_cli.train.randomization import NONE
from isthmus_cli.train.sac import TrainSac
from isthmus_cli.train.srl import TrainSrl
from isthmus_cli.train.tasks import check_sees, check_simulation, find_task
from isthmus_policies.identity import holds_training
from isthmus_policies.learner import LearnerConfig
from isthmus_policies.reactive import check_reactive
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import load_randomization
from isthmus_sim.suites import SuiteTask, reports_success
from isthmus_sim.task import Task

__all__ = ["Range", "SweepPlan", "load_plan"]

_COMMANDS: Mapping[str, type[TrainSac] | type[TrainDsacT] | type[TrainSrl] | type[TrainPpo] | type[TrainPixels]] = {
    "sac": TrainSac,
    "dsac-t": TrainDsacT,
    "srl": TrainSrl,
    "ppo": TrainPpo,
    **{command.algorithm: command for command in COMMANDS},
}
_SEARCHES = ("tpe", "random", "grid")
_OBJECTIVES = ("return", "success")


@dataclass(frozen=True, slots=True)
class Range:
    """What one setting may be: exactly one of these.

    Attributes:
        uniform: from the first number to the second.
        log_uniform: likewise, uniform in the logarithm; both > 0.
        integer: an integer from the first to the second, both included.
        choice: one of these.
    """

    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None
    integer: tuple[int, int] | None = None
    choice: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        given = {name: value for name in ("uniform", "log_uniform", "integer", "choice") if (value := getattr(self, name)) is not None}
        if len(given) != 1:
            raise ValueError(f"exactly one of uniform, log_uniform, integer, choice must be given, got {', '.join(given) or 'none'}")
        ((name, values),) = given.items()
        if not values:
            raise ValueError("choice must have at least one entry, got []")
        if name != "choice" and not values[0] < values[1]:
            raise ValueError(f"{name} must go from a number to a larger one, got {list(values)}")
        if repeated := [value for value in values if values.count(value) > 1]:
            raise ValueError(f"{name} must have different entries, got {json.dumps(repeated[0])} twice")
        if self.log_uniform and not self.log_uniform[0] > 0:
            raise ValueError(f"log_uniform must be > 0, got {list(self.log_uniform)}")

    @property
    def ends(self) -> tuple[Any, ...]:
        """The first and the last value; all of a choice."""
        return self.uniform or self.log_uniform or self.integer or self.choice or ()

    @property
    def grid(self) -> tuple[Any, ...] | None:
        """All values; None if they cannot be counted."""
        return tuple(range(self.integer[0], self.integer[1] + 1)) if self.integer else self.choice


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep.

    Attributes:
        algorithm: of `isthmus train`.
        task: as for `isthmus train`.
        space: settings of the learner that are searched, with their ranges.
        settings: settings that are fixed, and differ from those tuned for the task.
        seeds: every trial is trained with each of them.
        search: tpe (tree-structured Parzen estimator, Bergstra et al. 2011), random or grid.
        trials: how many settings are tried; a grid has its own number.
        objective: return or success of the evaluation whose policy is kept, mean over the seeds; it is maximised.
        seed: of the search.
        plant: engine to train in.
        randomize: file of parameters to draw for each episode, relative to the sweep's file, or none; by default as for `isthmus train`.
        cpus: processor cores that are reserved for each training.
    """

    algorithm: str
    task: str
    space: Mapping[str, Range]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    search: str = "tpe"
    trials: int | None = None
    objective: str = "return"
    seed: int = 0
    plant: str = "mujoco"
    randomize: str | None = None
    cpus: int = 1

    def __post_init__(self) -> None:
        for name, known in (("algorithm", _COMMANDS), ("search", _SEARCHES), ("objective", _OBJECTIVES), ("plant", plant_names())):
            if getattr(self, name) not in known:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; {strict.suggest(getattr(self, name), known)}")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different integers >= 0, got {list(self.seeds)}")
        if self.cpus < 1:
            raise ValueError(f"cpus must be >= 1, got {self.cpus}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if not self.space:
            raise ValueError("space must name at least one setting")
        if self.search == "grid":
            if self.trials is not None:
                raise ValueError(f"a grid has its own number of trials; leave trials out, got {self.trials}")
            for name, values in self.space.items():
                if values.grid is None:
                    raise ValueError(f"space.{name}: a grid needs choice or integer")
        elif self.trials is None or self.trials < 1:
            raise ValueError(f"trials must be >= 1 with search {self.search}, got {self.trials}")
        if both := sorted(self.space.keys() & self.settings.keys()):
            raise ValueError(f"{', '.join(both)} is both fixed in settings and searched in space")

    @property
    def count(self) -> int:
        """Number of trials."""
        return self.trials if self.trials is not None else sum(1 for _ in self.grid())

    def plain(self) -> dict[str, Any]:
        """Plain data; of `randomize` what the file says, wherever it lies.

        Raises:
            ValueError: the file is no randomisation; the message names the place.
            OSError: it cannot be read.
        """
        drawn: Any = self.randomize
        if self.randomize not in (None, str(NONE)):
            drawn = load_randomization(Path(str(self.randomize))).plain()
        return {**strict.encode(self), "randomize": drawn}

    def grid(self) -> Iterator[dict[str, Any]]:
        """All combinations; the last setting changes fastest."""
        for values in itertools.product(*(found.grid or () for found in self.space.values())):
            yield dict(zip(self.space, values, strict=True))

    def config(self, chosen: Mapping[str, Any]) -> LearnerConfig:
        """The learner's settings in a trial: those of the task, with what is fixed and what was chosen.

        Raises:
            ValueError: an unknown setting, of a wrong type or out of range.
        """
        tuned = _COMMANDS[self.algorithm].defaults([self.task]).config
        data = {**strict.encode(tuned), **self.settings, **chosen}
        config: LearnerConfig = strict.decode(type(tuned), data, f"settings of {self.algorithm}")
        return config

    def command(self, chosen: Mapping[str, Any], seed: int, out: Path) -> TrainSac | TrainDsacT | TrainSrl | TrainPpo:
        """The `isthmus train` of a trial; it begins, or continues what is in its folder."""
        kind: Any = _COMMANDS[self.algorithm]
        randomize = Path(self.randomize) if self.randomize else None
        command: TrainSac = kind(
            self.task, seed=seed, out=out, plant=self.plant, randomize=randomize, resume=holds_training(out), config=self.config(chosen)
        )
        return command


def load_plan(path: Path) -> SweepPlan:
    """Read and check a file.

    Raises:
        ValueError: not a sweep, a range whose ends the learner or the task refuses, or success is asked of a task that never reports it; the
            message names the key and what is valid.
        OSError: the file cannot be read.
    """
    plan = strict.decode(SweepPlan, strict.load_yaml(path), str(path))
    task = find_task(plan.task)
    check_simulation(task, plan.plant, plan.randomize not in (None, str(NONE)), "plant and randomize")
    if plan.algorithm != "srl":
        check_reactive(task.contract)
    if issubclass(_COMMANDS[plan.algorithm], TrainPixels):
        check_sees(task, plan.algorithm)
    if plan.randomize not in (None, str(NONE)):
        plan = dataclasses.replace(plan, randomize=str((path.parent / plan.randomize).resolve()))
        if not Path(str(plan.randomize)).is_file():
            raise ValueError(f"{path}.randomize: there is no file {plan.randomize}")
    first = {name: values.ends[0] for name, values in plan.space.items()}
    for name, values in plan.space.items():
        for end in values.ends:
            try:
                plan.config({**first, name: end})
            except ValueError as error:
                raise ValueError(f"{path}.space.{name}: {json.dumps(end)} cannot be: {error}") from None
    _check_success(plan, task, path)
    return plan


def _check_success(plan: SweepPlan, task: Task | SuiteTask, path: Path) -> None:
    """See that the task reports success if it is asked for."""
    is_target = plan.settings.get("stop_at_success") is not None or "stop_at_success" in plan.space
    asked = "objective success" if plan.objective == "success" else "stop_at_success" if is_target else None
    if asked and isinstance(task, SuiteTask) and not reports_success(task):
        raise ValueError(f"{path}: {asked} cannot be used with {plan.task!r}, which never reports success; use the return")
