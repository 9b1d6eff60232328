"""The cross-engine certificate of a policy: `isthmus certify`.

The same file, task, seeds and guard in two engines: as the task is, with parameters drawn, and as a calibration says; and how far each disturbance
may go before success falls. An engine that training has never seen is the nearest thing to a robot that costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.sequence import default_replan
from isthmus_evidence.contracts import check_contract, task_for
from isthmus_evidence.disturbances import disturbances
from isthmus_evidence.evaluation import find_task
from isthmus_evidence.margins import DROP, find_margin, loss_of
from isthmus_evidence.paired import paired_difference
from isthmus_evidence.statistics import mean_interval
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_evidence.trajectories import TrajectoryRecorder, divergence, mean_of
from isthmus_sim.identification.calibration import calibrated
from isthmus_sim.randomization import Randomization
from isthmus_sim.task import Task

__all__ = ["ENGINES", "EPISODES", "SEED", "certified_task", "certify"]

ENGINES = ("mujoco", "pybullet")
EPISODES = 100  # of each cell
SEED = 100_000  # of the first episode; evaluations during training begin elsewhere
_KEPT = ("episodes", "return", "success", "ends", "motion", "specification")


def certify(
    policy: str | Path | Artifact,
    task: str | None = None,
    *,
    engines: Sequence[str] = ENGINES,
    episodes: int = EPISODES,
    seed: int = SEED,
    randomization: Randomization | None = None,
    calibration: Path | None = None,
    margins: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Run the episodes and sum them up.

    Args:
        policy: its file, or what was loaded from it.
        task: name; by default the one that the policy was made for.
        engines: the first is where margins are searched, the others are compared with it, and try each margin.
        episodes: of each cell, and of each amount of a disturbance.
        seed: of the first episode; the following ones count up.
        randomization: what the randomised cells draw; None leaves them out.
        calibration: file that holds in the calibrated cells; None leaves them out.
        margins: names of disturbances; None means all that the task has a word for.
        progress: called with steps done, in total, and what is done now.

    Returns:
        plain data: `task`, `engines`, `episodes`, `seed`, `conditions`; `cells`, per condition and engine success, return, specification, motion and
        `jerk`; `pairs`, per condition what another engine differs by on the same seeds, with the `divergence` of the joints; `margins`, see
        `isthmus_evidence.margins.find_margin`, with `checked`, the loss in the other engines at the end of the margin.

    Raises:
        ValueError: a name or number is wrong, or the policy was made for something else.
        ModuleNotFoundError: an engine is not installed.
    """
    artifact = Artifact.load(policy) if isinstance(policy, str | Path) else policy
    chosen = certified_task(artifact, task)
    _check_engines(engines, chosen)
    known = disturbances(chosen)
    for name in margins or ():
        if name not in known:
            raise ValueError(f"unknown margin {name!r}; {strict.suggest(name, known)}")
    asked = list(known) if margins is None else list(margins)
    cell = _Cells(chosen, artifact.policy(), strict.whole("episodes", episodes), strict.whole("seed", seed), default_replan(artifact))
    conditions: dict[str, Randomization | None] = {"nominal": None}
    if randomization is not None:
        conditions["randomised"] = randomization
    if calibration is not None:
        conditions["calibrated"] = calibrated(None, calibration)
    total, done = len(conditions) * len(engines) + len(asked), 0

    def tell(now: str) -> None:
        nonlocal done
        if progress:
            progress(done, total, now)
        done += 1

    found, cells, pairs = {}, [], []
    for condition, drawn in conditions.items():
        for engine in engines:
            tell(f"{condition} in {engine}")
            summary, moved = found[condition, engine] = cell.run(engine, randomization=drawn)
            cells.append({"condition": condition, "engine": engine, **_short(summary), "jerk": mean_of(moved.jerks)})
            if engine != engines[0]:
                pairs.append({"condition": condition, **_pair(found[condition, engine], found[condition, engines[0]])})
    rows = []
    for name in asked:
        tell(f"margin of {name} in {engines[0]}")
        row = find_margin(known[name], found["nominal", engines[0]][0], lambda values: cell.run(engines[0], values)[0])
        rows.append({**row, "engine": engines[0], "checked": _checked(row, known[name].parameters, engines[1:], found, cell)})
    return {
        "task": chosen.name,
        "engines": list(engines),
        "episodes": episodes,
        "seed": seed,
        "conditions": {name: drawn.summary() if drawn else None for name, drawn in conditions.items()},
        "cells": cells,
        "pairs": pairs,
        "margins": rows,
    }


def certified_task(artifact: Artifact, name: str | None = None) -> Task:
    """The task of a policy, as it sees it.

    Raises:
        ValueError: it runs in no engine of ours, or the policy was made for something else.
    """
    found = find_task(artifact.contract.task if name is None else name)
    if not isinstance(found, Task):
        raise ValueError(
            f"{artifact.contract.task if name is None else name!r} runs in a simulation of its own; a certificate needs two engines"
        )
    task = task_for(found, artifact.contract)
    check_contract(artifact.contract, task)
    return task


def _check_engines(engines: Sequence[str], task: Task) -> None:
    for engine in engines:
        if engine not in task.plants:
            raise ValueError(f"task {task.name!r} does not run in engine {engine!r}; {strict.suggest(engine, task.plants)}")
    if len(set(engines)) < len(engines) or not engines:
        raise ValueError(f"engines must be one or more, each once, got {', '.join(engines) or 'none'}")


class _Cells:
    """Runs the same seeds again and again."""

    def __init__(self, task: Task, policy: Policy, episodes: int, seed: int, replan: int | None) -> None:
        self._task, self._policy = task, policy
        self._settings: dict[str, Any] = {"episodes": episodes, "seed": seed, "replan": replan}

    def run(
        self, engine: str, parameters: Mapping[str, float] | None = None, *, randomization: Randomization | None = None
    ) -> tuple[dict[str, Any], TrajectoryRecorder]:
        """An evaluation, and how its episodes moved."""
        moved = TrajectoryRecorder(self._task.contract)
        drawn: dict[str, Any] = {"parameters": parameters, "randomization": randomization}
        return evaluate_task(self._task, self._policy, engine, trajectories=moved, **drawn, **self._settings), moved


def _short(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: summary[name] for name in _KEPT if name in summary}


def _pair(here: tuple[Mapping[str, Any], TrajectoryRecorder], there: tuple[Mapping[str, Any], TrajectoryRecorder]) -> dict[str, Any]:
    """What one engine differs by from the other on the same seeds."""
    told = {
        "engine": here[0]["plant"],
        **paired_difference(here[0], there[0]),
        "divergence": divergence(here[1].positions, there[1].positions),
    }
    rough = np.array(here[1].jerks) - np.array(there[1].jerks)
    told["jerk"] = _mean_difference(rough)
    told["robustness"] = _mean_difference(np.array([_robustness(one) - _robustness(other) for one, other in _episodes(here[0], there[0])]))
    return told


def _episodes(here: Mapping[str, Any], there: Mapping[str, Any]) -> Any:
    return zip(here["per_episode"], there["per_episode"], strict=True)


def _robustness(episode: Mapping[str, Any]) -> float:
    found = episode.get("specification", {}).get("robustness")
    return np.nan if found is None else float(found)


def _mean_difference(values: Any) -> dict[str, float] | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = mean_interval(known)
    return {"difference": float(known.mean()), "low": low, "high": high}


def _checked(
    row: Mapping[str, Any],
    parameters: Callable[[float], Mapping[str, float]],
    engines: Sequence[str],
    found: Mapping[tuple[str, str], tuple[Mapping[str, Any], TrajectoryRecorder]],
    cell: _Cells,
) -> list[dict[str, Any]]:
    """The loss in other engines at the amount from which on the drop is certain, else at that at which it was found."""
    beyond = row.get("high") if row.get("high") is not None else row.get("margin")
    if beyond is None:
        return []
    rows = []
    for engine in engines:
        try:
            lost = loss_of(found["nominal", engine][0], cell.run(engine, parameters(beyond))[0])
        except ValueError as error:
            if "cannot express" not in str(error):
                raise
            rows.append({"engine": engine, "amount": beyond, "refused": str(error)})
            continue
        rows.append({"engine": engine, "amount": beyond, "loss": lost, "falls": lost["difference"] >= DROP})
    return rows
