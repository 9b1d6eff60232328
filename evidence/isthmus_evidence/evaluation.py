"""Evaluates a policy, wherever its task runs: the front door of this package, and what `isthmus eval` calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.sequence import default_replan
from isthmus_evidence.contracts import check_contract, task_for
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.ros_evaluation import ROS, Nodes, evaluate_ros
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_evidence.system_evaluation import evaluate_system
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import Randomization, asked_randomization
from isthmus_sim.suites import SuiteTask, get_suite_task, is_suite_task
from isthmus_sim.systems import PREFIX, System, get_system, is_system
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task

__all__ = ["evaluate", "find_task"]

MOST = 10**6  # episodes: each is kept in the result


def evaluate(
    policy: str | Path | Artifact | Policy,
    task: str | Task | SuiteTask | System | None = None,
    plant: str = "mujoco",
    *,
    episodes: int = 50,
    seed: int = 0,
    replan: int | None = None,
    parameters: Mapping[str, float] | None = None,
    randomization: Randomization | None = None,
    record: Path | None = None,
    film: Film | None = None,
    nodes: Nodes | None = None,
    until: float | None = None,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Run whole episodes of a policy and sum them up.

    Args:
        policy: a policy file, or what was loaded from one, or any policy.
        task: what is asked, or its name; by default the task that the policy was made for.
        plant: name of the engine, or "ros" for a policy node and a simulated robot over ROS 2 topics, which needs a file. Outside suites and
            analytic systems run in their own simulation, whatever is said here.
        episodes: how many.
        seed: of the first episode; the following ones count up. Equal seeds give equal starts everywhere.
        replan: actions of a chunk to execute before deciding again; by default what the file's training says, else all, and 1 on a system.
        parameters: physical parameters that differ from the task's own, SI.
        randomization: parameters that are drawn from each episode's seed.
        record: folder for one MCAP trace per episode.
        film: gets the pictures of the first episode; to be saved after.
        nodes: how the nodes of "ros" run; by default in stepped time.
        until: success rate: ends the evaluation as soon as it is decided whether the policy reaches it, after `episodes` at the latest; see
            `isthmus_evidence.sequential`. Analytic systems run all episodes at once.
        progress: called with what is done and in total, over ROS 2 also with news in words: episodes of suites and over ROS 2, else control periods.

    Returns:
        plain data, as `isthmus eval --json` writes it; see `isthmus_evidence.summary.summarize`.

    Raises:
        ValueError: a name or number is wrong, the policy was made for something else (with the differences), a setting that is not available where
            the task runs, or over ROS 2 a node failed.
        ModuleNotFoundError: an engine is not installed; the message tells the command that installs it.
    """
    file: Path | None = None
    known: Artifact | Policy
    if isinstance(policy, str | Path):
        file = Path(policy)
        known = Artifact.load(file)
    elif isinstance(policy, Artifact | Policy):
        known = policy
    else:
        raise ValueError(f"a policy is the path of a file, an Artifact, or has the methods of isthmus.policy.Policy, got {policy!r}")
    if plant not in (plants := [*plant_names(), ROS]):
        raise ValueError(f"unknown plant {plant!r}; {strict.suggest(plant, plants)}")
    _check_values(parameters)
    randomization, record = asked_randomization(randomization), record if record is None else strict.path("record", record)
    if not isinstance(film, Film | None):
        raise ValueError(f"film must be a Film, such as Film(Path('film.mp4')), or None, got {film!r}")
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function, called with what is done and in total, or None, got {progress!r}")
    chosen = task if isinstance(task, Task | SuiteTask | System) else find_task(known.contract.task if task is None else task)
    settings: dict[str, Any] = {
        "episodes": strict.whole("episodes", episodes, most=MOST),
        "seed": strict.whole("seed", seed),
        "progress": progress,
    }
    replan = replan if replan is None else strict.whole("replan", replan)
    if isinstance(chosen, System):
        why = f"{PREFIX + chosen.name!r} is an analytic model"
        _refuse(why, parameters=parameters, randomization=randomization, record=record, film=film, until=until)
        return evaluate_system(chosen, _runnable(known), replan=1 if replan is None else replan, **settings)
    settings["until"] = until if until is None else SequentialTest(until, settings["episodes"])
    chosen = task_for(chosen, known.contract)
    check_contract(known.contract, chosen)
    settings["replan"] = default_replan(known) if replan is None and isinstance(known, Artifact) else replan
    if isinstance(chosen, SuiteTask):
        _refuse(f"{chosen.name!r} runs in a suite's own simulation", parameters=parameters, randomization=randomization, record=record)
        return evaluate_suite(chosen, _runnable(known), film=film, **settings)
    if plant != ROS:
        drawn: dict[str, Any] = {"parameters": parameters, "randomization": randomization}
        return evaluate_task(chosen, _runnable(known), plant, record=record, film=film, **drawn, **settings)
    if file is None:
        raise ValueError(f"plant {ROS!r} needs the path of a policy file, which its policy node loads")
    _refuse(f"plant {ROS!r} runs nodes", randomization=randomization, film=film)
    return evaluate_ros(chosen, file, nodes=nodes or Nodes(), parameters=parameters, record=record, **settings)


def find_task(name: str) -> Task | SuiteTask | System:
    """A task of ours, with a prefix one of an outside suite, or an analytic system.

    Raises:
        ValueError: unknown; the message lists the known ones.
    """
    if isinstance(name, str) and is_system(name):
        return get_system(name)
    return get_suite_task(name) if is_suite_task(name) else get_task(name)


def _runnable(policy: Artifact | Policy) -> Policy:
    return policy.policy() if isinstance(policy, Artifact) else policy


def _check_values(parameters: object) -> None:
    if not isinstance(parameters, Mapping | None):
        raise ValueError(f"parameters map names to numbers, such as {{'payload': 1.0}}, got {parameters!r}")
    for name, value in (parameters or {}).items():
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"parameter {name!r} must be a finite number, got {value!r}")


def _refuse(why: str, **given: object) -> None:
    if names := [name for name, value in given.items() if value]:
        raise ValueError(f"{why}, so {' and '.join(names)} cannot be given")
