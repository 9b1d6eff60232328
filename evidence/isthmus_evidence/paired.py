"""Two evaluations on the same seeds: the difference that is left when every episode is compared with itself.

Intervals of two evaluations may overlap although the difference is certain: most of what they vary by is the starts, which both share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus_evidence.statistics import mean_interval, paired_rate_interval

__all__ = ["check_evaluation", "check_pairs", "load_evaluation", "paired_difference"]


def load_evaluation(file: Path) -> Mapping[str, Any]:
    """Read what `isthmus eval --json` wrote.

    Raises:
        ValueError: it is something else.
        FileNotFoundError: there is no such file.
    """
    found = strict.load_json(file.read_bytes(), str(file))
    check_evaluation(str(file), found)
    return found


def check_evaluation(what: str, found: object) -> None:
    """See that something is an evaluation with its episodes.

    Raises:
        ValueError: it is something else.
    """
    if (
        not isinstance(found, Mapping)
        or not {"task", "plant", "return", "success", "per_episode"} <= found.keys()
        or not found["per_episode"]
    ):
        raise ValueError(f"{what} is no evaluation of episodes, as isthmus eval --json writes it and isthmus_evidence.evaluate returns it")


def check_pairs(task: str, seeds: Sequence[int], there: Mapping[str, Any]) -> None:
    """See that episodes can be compared with those there.

    Raises:
        ValueError: they are of another task, or share no seed.
    """
    if task != there["task"]:
        raise ValueError(f"episodes of task {task!r} cannot be paired with those of task {there['task']!r}")
    others = [episode["seed"] for episode in there["per_episode"]]
    if seeds and not set(seeds) & set(others):
        raise ValueError(
            f"the evaluations share no seed: here from {min(seeds)} to {max(seeds)}, there from {min(others)} to {max(others)}"
        )


def paired_difference(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Here less there, over the seeds that both have.

    Args:
        here: from `isthmus_evidence.summary.summarize`.
        there: likewise.

    Returns:
        plain data: `against`, the plant there; `episodes`, how many seeds both have; `return`, the mean difference with its 95 % interval;
        `success`, the difference of the rates with its interval and how many episodes succeed in `both`, only `here`, only `there` or in `neither`,
        None where one does not say.

    Raises:
        ValueError: one is no evaluation; or as `check_pairs`.
    """
    check_evaluation("here", here)
    check_evaluation("there", there)
    check_pairs(here["task"], [episode["seed"] for episode in here["per_episode"]], there)
    others = {episode["seed"]: episode for episode in there["per_episode"]}
    pairs = [(episode, others[episode["seed"]]) for episode in here["per_episode"] if episode["seed"] in others]
    differences = np.array([one["return"] - other["return"] for one, other in pairs])
    low, high = mean_interval(differences)
    success = None
    if all(episode["success"] is not None for pair in pairs for episode in pair):
        ends = [(bool(one["success"]), bool(other["success"])) for one, other in pairs]
        counts = {
            name: ends.count(end)
            for name, end in (("both", (True, True)), ("here", (True, False)), ("there", (False, True)), ("neither", (False, False)))
        }
        lowest, highest = paired_rate_interval(*counts.values())
        success = {"difference": (counts["here"] - counts["there"]) / len(pairs), "low": lowest, "high": highest, **counts}
    return {
        "against": there["plant"],
        "episodes": len(pairs),
        "return": {"difference": float(differences.mean()), "low": low, "high": high},
        "success": success,
    }
