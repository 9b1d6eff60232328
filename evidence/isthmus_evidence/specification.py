"""Whether episodes satisfy the specification of their task, in Signal Temporal Logic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.specification import Specification
from isthmus_controllers import stl
from isthmus_evidence.statistics import mean_interval, success_interval
from isthmus_sim.task import Transition

__all__ = ["Judge", "plain_judgement", "satisfaction"]


class _Ended(Protocol):
    @property
    def steps(self) -> int: ...


class Judge:
    """Collects the signals of a specification, and judges episodes exactly.

    Attributes:
        specification: what is judged by.
        judgements: of all episodes so far.
    """

    def __init__(self, specification: Specification, contract: Contract, robot: Robot) -> None:
        self.specification = specification
        self.judgements: list[stl.Judgement] = []
        self._contract, self._robot = contract, robot
        self._bound = stl.BoundSpecification(specification, contract)
        self._signals: stl.MeasuredSignals | None = None
        self._samples: list[dict[str, Array]] = []

    def record(self, transition: Transition) -> None:
        """Take one control period, all rows."""
        if self._signals is None:
            self._signals = stl.MeasuredSignals(self._bound, self._contract, self._robot, len(transition.action))
        self._samples.append(self._signals.read(transition.after, transition.inputs))

    def conclude(self, results: Sequence[_Ended]) -> None:
        """Judge the rows of a batch of episodes, which have just ended; one with fewer periods than were recorded ended early."""
        formula, recorded = self._bound.formula, len(self._samples)
        traces = {name: np.stack([sample[name] for sample in self._samples], axis=1) for name in formula.signals}  # [B, T]
        for row, result in enumerate(results):
            own = {name: values[row : row + 1] for name, values in traces.items()}
            self.judgements.append(stl.judge(formula, own, result.steps, result.steps < recorded))
        self._samples, self._signals = [], None


def satisfaction(formula: str, judgements: Sequence[stl.Judgement]) -> dict[str, Any]:
    """What episodes say about a specification together.

    Args:
        formula: its text.
        judgements: one per episode.

    Returns:
        plain data: `text`; `satisfied`, share of all episodes with its interval; `violated` and `unbroken`, numbers of episodes; `ended_early`, the
        three numbers of those that ended before they were meant to; `robustness`, mean and interval over the `episodes` that did not and whose
        robustness is finite, None if there is none.
    """
    whole = np.array([judged.robustness for judged in judgements if not judged.early and np.isfinite(judged.robustness)])
    robustness = None
    if whole.size:
        worst, best = mean_interval(whole)
        robustness = {"mean": float(whole.mean()), "low": worst, "high": best, "episodes": whole.size}
    counts = _count(judgements)
    low, high = success_interval(counts["satisfied"], len(judgements))
    return {
        "text": formula,
        "satisfied": {"rate": counts["satisfied"] / len(judgements), "low": low, "high": high},
        "violated": counts["violated"],
        "unbroken": counts["unbroken"],
        "ended_early": _count([judged for judged in judgements if judged.early]),
        "robustness": robustness,
    }


def plain_judgement(judged: stl.Judgement) -> dict[str, Any]:
    """One episode's `verdict`, `robustness` and the bounds `low` and `high` of it, as plain data."""
    return {"verdict": judged.verdict, "robustness": judged.robustness, "low": judged.low, "high": judged.high}


def _count(judgements: Sequence[stl.Judgement]) -> dict[str, int]:
    verdicts = [judged.verdict for judged in judgements]
    return {verdict: verdicts.count(verdict) for verdict in ("satisfied", "violated", "unbroken")}
