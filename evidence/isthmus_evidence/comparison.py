"""Compares policies, or one policy in several worlds, on the same seeds: `isthmus compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus_evidence.evaluation import evaluate
from isthmus_evidence.motions import MOTION_FIGURES
from isthmus_evidence.paired import paired_difference
from isthmus_evidence.profiles import performance_profile, probability_of_improvement
from isthmus_evidence.protocol import METRICS, Protocol
from isthmus_evidence.statistics import CONFIDENCE, episodes_needed, interquartile_mean, mean_interval, sign_flip_test, sign_test

__all__ = ["BETTER", "UNDECIDED", "WORSE", "check_comparison", "compare", "verdict_of"]

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
_GRID = 101  # values of a performance profile
_FEWEST = 6  # pairs that must differ: of five, all on one side, an exact test says p = 0.0625


def compare(
    policies: Sequence[str | Path | Artifact | Policy],
    protocol: Protocol | None = None,
    *,
    names: Sequence[str] = (),
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Run every policy in every world on the same seeds; policies are compared with the first one, a single policy's worlds with the first world.

    Args:
        policies: as `isthmus_evidence.evaluate` takes them.
        protocol: task, worlds, seeds, number, metric and threshold; by default those of `Protocol` for the first policy's task.
        names: of the policies; by default their files' or their places.
        progress: called with evaluations done, in total and news in words.

    Returns:
        plain data: `protocol` with its `digest`; `policies` with name and digest; `entries`, an evaluation per policy and world, with the
        interquartile mean of the return (`iqm`) and its `profile`; `differences`, each with what is `here` and `there`, the paired
        differences of success, return and motion, the probability of improvement and the `verdict`; `seeds`, the metric of every entry by seed.

    Raises:
        ValueError: there is nothing to compare, the metric is not known of these episodes, or as `isthmus_evidence.evaluate`.
    """
    if not policies:
        raise ValueError("a comparison needs a policy")
    loaded = [Artifact.load(policy) if isinstance(policy, str | Path) else policy for policy in policies]
    protocol = protocol or Protocol(loaded[0].contract.task)
    check_comparison(len(loaded), protocol)
    names = list(names) or _names(policies)
    entries: list[dict[str, Any]] = []
    total = len(loaded) * len(protocol.worlds)
    for name, policy, known in zip(names, policies, loaded, strict=True):
        for world in protocol.worlds:
            if progress:
                progress(len(entries), total, f"{name} in {world.title}")
            summary = evaluate(
                policy if world.plant == "ros" else known,
                protocol.task,
                world.plant,
                episodes=protocol.episodes,
                seed=protocol.seed,
                parameters=world.parameters or None,
                randomization=world.randomization,
            )
            entries.append({"policy": name, "world": world.title, **summary})
    _check_metric(entries, protocol.metric)
    returns = np.array([_values(entry, "return") for entry in entries])  # [entries, episodes]
    grid = np.linspace(returns.min(), returns.max(), _GRID)
    for entry, own in zip(entries, returns, strict=True):
        middle, low, high = interquartile_mean(own[:, None])
        entry["iqm"] = {"mean": float(middle[0]), "low": float(low[0]), "high": float(high[0])}
        entry["profile"] = performance_profile(own, grid)
    pairs = _pairs(entries, len(protocol.worlds))
    return {
        "protocol": {**protocol.plain(), "digest": protocol.digest()},
        "policies": [{"name": name, "digest": _digest(policy)} for name, policy in zip(names, loaded, strict=True)],
        "entries": entries,
        "differences": [_difference(here, there, protocol) for here, there in pairs],
        "seeds": {str(seed): row for seed, row in zip(*_table(entries, protocol.metric), strict=True)},
    }


def check_comparison(policies: int, protocol: Protocol) -> None:
    """See that there is something to compare.

    Args:
        policies: how many.
        protocol: says the worlds.

    Raises:
        ValueError: it is one policy in one world.
    """
    if policies * len(protocol.worlds) < 2:
        raise ValueError("one policy in one world is nothing to compare; give another policy, or another world")


def _names(policies: Sequence[Any]) -> list[str]:
    """Of files their stems, where these tell them apart, else their paths; of other policies their places."""
    files = [Path(policy) if isinstance(policy, str | Path) else None for policy in policies]
    for name in (lambda file: file.stem, lambda file: f"{file.parent.name}/{file.name}", str):
        found = [f"policy {place + 1}" if file is None else name(file) for place, file in enumerate(files)]
        if len(set(found)) == len(found):
            return found
    return [f"{place + 1}: {name}" for place, name in enumerate(found)]


def _digest(policy: Artifact | Policy) -> str | None:
    return policy.policy_digest if isinstance(policy, Artifact) else None


def _pairs(entries: Sequence[dict[str, Any]], worlds: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What is compared with what."""
    if len(entries) == worlds:
        return [(entry, entries[0]) for entry in entries[1:]]
    return [(entry, entries[place % worlds]) for place, entry in enumerate(entries) if place >= worlds]


def _check_metric(entries: Sequence[Mapping[str, Any]], metric: str) -> None:
    known = [name for name in METRICS if all(_value(episode, name) is not None for entry in entries for episode in entry["per_episode"])]
    if metric not in known:
        raise ValueError(f"metric {metric!r} is not known of all episodes of {entries[0]['task']!r}; valid here: {', '.join(known)}")


def _value(episode: Mapping[str, Any], metric: str) -> Any:
    if metric != "robustness":
        return episode[metric]
    found = episode.get("specification", {}).get("robustness")
    return found if found is not None and np.isfinite(found) else None


def _values(entry: Mapping[str, Any], metric: str) -> Array:
    return np.array([_value(episode, metric) for episode in entry["per_episode"]], dtype=np.float64)


def _table(entries: Sequence[Mapping[str, Any]], metric: str) -> tuple[list[int], list[list[float]]]:
    """Seeds, and the metric of every entry for each of them."""
    return [episode["seed"] for episode in entries[0]["per_episode"]], np.stack([_values(entry, metric) for entry in entries], 1).tolist()


def _difference(here: Mapping[str, Any], there: Mapping[str, Any], protocol: Protocol) -> dict[str, Any]:
    """Everything by which two entries differ."""
    found = paired_difference(here, there)
    apart = _values(here, protocol.metric) - _values(there, protocol.metric)
    ends = found["success"] if protocol.metric == "success" else dict(zip(("low", "high"), mean_interval(apart), strict=True))
    middle, low, high = interquartile_mean((_values(here, "return") - _values(there, "return"))[:, None])
    return {
        "here": {name: here[name] for name in ("policy", "world")},
        "there": {name: there[name] for name in ("policy", "world")},
        "episodes": found["episodes"],
        "success": found["success"],
        "return": found["return"],
        "iqm": {"difference": float(middle[0]), "low": float(low[0]), "high": float(high[0])},
        "motion": _motions(here, there),
        "improvement": probability_of_improvement(_values(here, protocol.metric), _values(there, protocol.metric)),
        "verdict": verdict_of(apart, ends["low"], ends["high"], protocol),
    }


def _motions(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Mean differences of smoothness and of the guard's share, with intervals; None where an episode does not say."""
    differences: dict[str, Any] = {}
    for name in MOTION_FIGURES:
        pairs = [
            tuple(episode.get("motion", {}).get(name) for episode in both)
            for both in zip(here["per_episode"], there["per_episode"], strict=True)
        ]
        differences[name] = None
        if all(value is not None for pair in pairs for value in pair):
            apart = np.array([one - other for one, other in pairs])
            low, high = mean_interval(apart)
            differences[name] = {"difference": float(apart.mean()), "low": low, "high": high}
    return differences


def verdict_of(apart: Array, low: float, high: float, protocol: Protocol) -> dict[str, Any]:
    """What the interval of the metric's difference says; if nothing, about how many more pairs would, None if no number would.

    Intervals of few pairs, or of differences that take few values, are too narrow, so an exact test must agree: of success the sign test, of other
    metrics the sign-flip test of what lies beyond the threshold.

    Args:
        apart: differences of the pairs, `[n]`.
        low: end of the interval of their mean.
        high: likewise.
        protocol: says metric and threshold.

    Returns:
        plain data: `metric`, `threshold`, `difference`, `low`, `high`, `pairs`, `verdict`, `p`; `few`, whether only the test speaks against a
        verdict; `more`.
    """
    difference, limit = float(apart.mean()), protocol.threshold
    first, second = int((apart > 0).sum()), int((apart < 0).sum())
    p = sign_test(first, second) if protocol.metric == "success" else sign_flip_test(apart - math.copysign(limit, difference))
    verdict = BETTER if low > limit else WORSE if high < -limit else UNDECIDED
    few = verdict != UNDECIDED and p >= 1 - CONFIDENCE
    more = None
    if few or verdict == UNDECIDED:
        verdict = UNDECIDED
        needed = episodes_needed(max(abs(difference) - limit, 0.0), float(apart.std(ddof=1)))
        if needed is not None:
            more = max(1, needed - len(apart), math.ceil(_FEWEST * len(apart) / (first + second)) - len(apart))
    told = {"metric": protocol.metric, "threshold": limit, "difference": difference, "low": low, "high": high, "pairs": len(apart)}
    return {**told, "verdict": verdict, "p": p, "few": few, "more": more}
