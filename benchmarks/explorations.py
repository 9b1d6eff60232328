"""The loop `isthmus asid` on truths that nothing was searched with: errors of what was identified, and success of the task afterwards.

    python benchmarks/asid.py --rod 20 --record docs/results/asid.json
    python benchmarks/asid.py --loop slide --truths 10 --record docs/results/asid.json

An exploration is searched once for all truths, and so are domain randomisation and the nominal model; the random exploration is another for each
truth. Each truth is a row of the record, and none that is there is measured again, so an interrupted run goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus_evidence.asid.asked import ARMS, EXPLORING, Asked
from isthmus_evidence.asid.loop import run_loop
from isthmus_evidence.asid.real import NOISE, Real
from isthmus_evidence.asid.stages import Stages
from isthmus_evidence.results import Results
from isthmus_evidence.statistics import mean_interval
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.tasks import get_task

UNKNOWN: Mapping[str, tuple[tuple[str, ...], dict[str, tuple[float, float]]]] = {
    "slide": (("puck.friction",), {}),
    "rod": (("rod.com_y",), {"rod.friction": (0.2, 0.5)}),
    "push": (("puck.friction", "puck.com_x", "puck.com_y"), {}),
    "door": (("door.x", "door.y"), {}),
}
CONCERNS = ["asid", "identification"]
_DRAWN = 1000  # keeps the truths apart from the draws of the search


def asked_of(task: str, engine: str, arms: tuple[str, ...], **how: Any) -> Asked:
    """A loop on a task, without a truth."""
    names, bounds = UNKNOWN[task]
    chosen = get_task(task)
    return Asked(chosen, find_unknown(chosen, names, {**bounds}), Real(engine, dict(NOISE), engine), arms, film=False, **how)


def with_truth(asked: Asked, number: int) -> Asked:
    """On truth `number`, uniform within the bounds; episodes, starts and the random exploration have its seed."""
    draw = np.random.default_rng([_DRAWN, number])
    values = {one.name: float(draw.uniform(one.low, one.high)) for one in asked.unknown}
    return replace(
        asked, real=Real(asked.real.engine, {**NOISE, **values}, f"{asked.real.engine}, truth {number}"), seed=asked.seed + number
    )


def loop(task: str, truths: int, folder: Path, results: Results, *, engine: str = "pybullet", solving: bool = True, **how: Any) -> None:
    """Measure each truth that is not recorded yet, then sum up."""
    arms = ARMS if solving else EXPLORING
    what = f"loop on {task}" if solving else f"explorations of {task}"
    asked = asked_of(task, engine, arms, **how)
    try:
        shared = Stages(asked, folder / "shared")
        shared.explored("asid", quiet)
    except ValueError as error:
        results.add(f"{what} in {engine}", {"what": what, "refused": str(error)}, CONCERNS)
        print(f"{what}: {error}", flush=True)
        return
    for arm in arms[len(EXPLORING) :]:
        shared.solved(arm, quiet)
    rows = []
    for number in range(truths):
        key = f"{what} in {engine}, truth {number}"
        if key not in results.rows:
            results.add(key, _truth(what, with_truth(asked, number), folder, number, solving), CONCERNS)
        rows.append(results.rows[key])
        print(key, {name: value for name, value in rows[-1].items() if name in ("errors", "rates")}, flush=True)
    results.add(f"{what} in {engine}", {"what": what, **summary(rows, arms)}, CONCERNS)
    print(f"{what} in {engine}", results.rows[f"{what} in {engine}"], flush=True)


def quiet(_: str) -> Callable[..., None]:
    """Progress that says nothing."""
    return lambda *news: None


def _truth(what: str, asked: Asked, folder: Path, number: int, solving: bool) -> dict[str, Any]:
    out = folder / f"truth-{number:03d}"
    for part in ("explore/asid", *(f"task/{arm}" for arm in asked.arms[len(EXPLORING) :])):
        if not (out / part).exists():
            shutil.copytree(folder / "shared" / part, out / part)
    if solving:
        facts = run_loop(asked, out, quiet, print)
        learned, episodes = facts["learned"], facts["episodes"]
    else:
        stages, learned, episodes = Stages(asked, out), {}, {}
        for arm in EXPLORING:
            stages.explored(arm, quiet)
            stages.ran(arm)
            learned[arm] = stages.learned(arm, quiet)
    return {
        "what": what,
        "truth": {one.name: asked.real.values[one.name] for one in asked.unknown},
        "errors": {arm: errors(asked, told) for arm, told in learned.items()},
        "identified": {arm: told["identified"] for arm, told in learned.items()},
        "rates": {arm: found["success"]["rate"] for arm, found in episodes.items()},
        "episodes": asked.episodes if episodes else 0,
    }


def errors(asked: Asked, told: Mapping[str, Any]) -> dict[str, float]:
    """Of each parameter, % of its range; where nothing was identified, of the middle of the range, which is then as good as any."""
    found = {}
    for one in asked.unknown:
        value = told["parameters"][one.name]["value"] if told["parameters"] else (one.low + one.high) / 2
        found[one.name] = round(100 * abs(value - asked.real.values[one.name]) / (one.high - one.low), 2)
    return found


def summary(rows: list[Mapping[str, Any]], arms: tuple[str, ...]) -> dict[str, Any]:
    """Over truths: mean errors and rates; differences from asid are paired by truth, with Student's interval over truths."""
    names = list(rows[0]["truth"])
    mean = {arm: {name: round(float(np.mean([row["errors"][arm][name] for row in rows])), 2) for name in names} for arm in EXPLORING}
    told: dict[str, Any] = {"truths": len(rows), "mean_error_percent_of_range": mean}
    told["times_less_error"] = round(sum(mean["random"].values()) / max(sum(mean["asid"].values()), 1e-9), 2)
    if not rows[0]["rates"]:
        return told
    told["rates"] = {arm: round(float(np.mean([row["rates"][arm] for row in rows])), 3) for arm in arms}
    for arm in arms[1:]:
        apart = np.array([row["rates"]["asid"] - row["rates"][arm] for row in rows])
        low, high = mean_interval(apart)
        told[f"asid_less_{arm}"] = {"difference": round(float(apart.mean()), 3), "low": round(low, 3), "high": round(high, 3)}
    return told
