"""What an exploration told: `isthmus identify` on its recording, and what is believed of the unknown parameters then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.files import write_json
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.calibration import calibration_randomization, save_calibration
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import Identification, identify
from isthmus_sim.identification.information_preflight import UNSURE
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem
from isthmus_sim.randomization import save_randomization

__all__ = ["Belief", "learn", "nominal_belief", "prior_belief"]


@dataclass(frozen=True, slots=True)
class Belief:
    """A distribution of the p unknown parameters.

    Attributes:
        names: of them.
        low: bounds, `[p]`.
        high: likewise.
        mean: `[p]`; None for the prior, which is uniform.
        covariance: `[p, p]`.
    """

    names: tuple[str, ...]
    low: Array
    high: Array
    mean: Array | None = None
    covariance: Array | None = None

    def draw(self, count: int, generator: np.random.Generator) -> dict[str, Array]:
        """`[count]` by name, within the bounds."""
        if self.mean is None or self.covariance is None:
            drawn = self.low + (self.high - self.low) * generator.random((count, len(self.names)))
        else:
            drawn = generator.multivariate_normal(self.mean, self.covariance, count, check_valid="ignore", method="svd")
        drawn = np.clip(drawn, self.low, self.high)
        return {name: drawn[:, column] for column, name in enumerate(self.names)}


def prior_belief(unknown: Sequence[Unknown]) -> Belief:
    """Before anything was learned: uniform within the bounds."""
    low, high = (np.array([getattr(one, side) for one in unknown]) for side in ("low", "high"))
    return Belief(tuple(one.name for one in unknown), low, high)


def nominal_belief(unknown: Sequence[Unknown], nominal: Sequence[float]) -> Belief:
    """The model as it is."""
    known = np.array(nominal, dtype=float)
    return replace(prior_belief(unknown), mean=known, covariance=np.zeros((len(known), len(known))))


def learn(
    task: str, unknown: tuple[Unknown, ...], recording: Path, out: Path, options: FitOptions, progress: Callable[[int, int, str], None]
) -> dict[str, Any]:
    """Identify, and write what `isthmus identify` writes: result.json, and calibration.yaml and randomization.yaml if anything was found.

    Returns:
        plain data: `identified`, whether a parameter was; `why`, sentences against it; `parameters`, value, sd, interval and verdict by name;
        `covariance`; `chi2_dof`.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        problem = make_problem(find_target(task), ParameterFile(unknown), [read_bag(recording)])
        found = identify(problem, options, progress=progress)
    except ValueError as error:  # nothing moved, or too little was recorded
        why = str(error) if "NOT IDENTIFIABLE" in str(error) else f"NOT IDENTIFIABLE: {error}"
        return _written({"identified": False, "why": [why], "parameters": {}, "covariance": [], "chi2_dof": None}, out)
    known = found.known
    told = [verdict != "NOT IDENTIFIABLE" for verdict in known.verdicts]
    if any(told):
        calibration = found.calibration()
        save_calibration(calibration, out / "calibration.yaml")
        save_randomization(
            calibration_randomization(calibration), out / "randomization.yaml", f"isthmus asid {task}: N(value, 2 covariance)"
        )
    write_json(found.plain(), out / "result.json")
    return _written(_plain(found, any(told)), out)


def _plain(found: Identification, told: bool) -> dict[str, Any]:
    known = found.known
    rows = zip(found.problem.names, known.values, known.sd, known.low, known.high, known.verdicts, strict=True)
    parameters = {
        name: {"value": float(value), "sd": float(sd), "interval": [float(low), float(high)], "verdict": verdict}
        for name, value, sd, low, high, verdict in rows
    }
    why = list(found.objections)
    if not told:
        why.insert(0, f"NOT IDENTIFIABLE: each standard deviation is above {100 * UNSURE:.0f} % of its range")
    return {
        "identified": told,
        "why": why,
        "parameters": parameters,
        "covariance": np.asarray(known.covariance).tolist(),
        "chi2_dof": found.linear.chi2,
    }


def _written(told: dict[str, Any], out: Path) -> dict[str, Any]:
    write_json(told, out / "learned.json")
    return told
