"""What several trainings that differ in their seed have in common: interquartile mean and 95 % intervals of their evaluations.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv 2108.13264): the interquartile mean leaves out the best
and the worst quarter, and the percentile bootstrap over seeds says how far a few seeds can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus_evidence.statistics import interquartile_mean

__all__ = ["aggregate", "read_evaluations"]

SCORES = ("return", "success")


def read_evaluations(file: Path) -> list[dict[str, float]]:
    """The rows of a training's metrics.jsonl; an unfinished last line is left out."""
    text = file.read_text() if file.is_file() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def aggregate(evaluations: Mapping[int, Sequence[Mapping[str, float]]], ended: Sequence[int] = ()) -> dict[str, Any]:
    """Sum up the evaluations of several seeds at the control periods at which all of them were evaluated.

    Args:
        evaluations: per seed the rows of its metrics.jsonl, with `step`, `return` and maybe `success`.
        ended: seeds whose training ended early because it reached its target; its last score holds from there on.

    Returns:
        plain data: `seeds`, `steps`, and per score `iqm`, `low`, `high` and `per_seed`, each as long as `steps`; a score that some seed does not
        have is None.

    Raises:
        ValueError: there is no control period at which all seeds have an evaluation.
    """
    steps = _common_steps(evaluations, ended)
    if not steps:
        raise ValueError(f"seeds {', '.join(map(str, evaluations))} have no evaluation at the same control period")
    result: dict[str, Any] = {"seeds": list(evaluations), "steps": steps}
    for score in SCORES:
        if any(score not in row for rows in evaluations.values() for row in rows):
            result[score] = None
            continue
        values = np.array([[_held(rows, step, score) for step in steps] for rows in evaluations.values()])
        middle, low, high = interquartile_mean(values)
        per_seed = {str(seed): row.tolist() for seed, row in zip(evaluations, values, strict=True)}
        result[score] = {"iqm": middle.tolist(), "low": low.tolist(), "high": high.tolist(), "per_seed": per_seed}
    return result


def _common_steps(evaluations: Mapping[int, Sequence[Mapping[str, float]]], ended: Sequence[int]) -> list[int]:
    """Control periods at which every seed has a score, those after its early end included."""
    steps = {seed: {int(row["step"]) for row in rows} for seed, rows in evaluations.items()}
    every = set().union(*steps.values())
    return sorted(
        step for step in every if all(step in own or (seed in ended and bool(own) and step > max(own)) for seed, own in steps.items())
    )


def _held(rows: Sequence[Mapping[str, float]], step: int, score: str) -> float:
    """The score at the last evaluation up to that step."""
    return next(row[score] for row in reversed(rows) if row["step"] <= step)
