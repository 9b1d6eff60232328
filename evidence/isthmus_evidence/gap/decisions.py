"""Whether recorded actions are those that a policy takes on the recorded observations; where they are not, on which other observations it does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.recording import Trace
from isthmus.records import Array
from isthmus_evidence.gap.causes import Cause
from isthmus_evidence.gap.units import FACTORS

__all__ = ["Decisions", "decision_causes", "recorded_decisions"]

_LEAST = 1e-4  # of an action's range, below which a difference is rounding
_NOTABLE, _GAIN = 4.0, 0.8
_MOST = 240  # decisions that are looked at
_TURNS = np.deg2rad([-90, 90, 180, -45, 45, -30, 30, -10, 10])

Observation = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Decisions:
    """n recorded decisions.

    Attributes:
        contract: of the policy.
        observation: as recorded, `[n, history, …]` per signal.
        earlier: index of the decision before in the same recording, or of itself, `[n]`.
        actions: as recorded, `[n, horizon, A]`.
        taken: what the policy does, likewise.
    """

    contract: Contract
    observation: Observation
    earlier: Array
    actions: Array
    taken: Array

    @property
    def unequal(self) -> Array:
        """Decisions whose action differs, `[n]`."""
        return np.asarray((self.actions != self.taken).any(axis=(1, 2)))


def recorded_decisions(traces: Sequence[Trace], policy: Policy) -> Decisions | None:
    """Ask a policy again; None where decisions or what it saw were not recorded.

    Raises:
        ValueError: the policy has another contract, with the differences.
    """
    contract = policy.contract
    for trace in traces:
        if trace.contract.digest() != contract.digest():
            raise ValueError(
                f"the policy (here) has another contract than the recording (there): {'; '.join(contract.diff(trace.contract)[:4])}"
            )
    traces = [
        trace for trace in traces if len(trace.decisions) and set(trace.observations) == {signal.name for signal in contract.observation}
    ]
    if not traces:
        return None
    observation = {signal.name: np.concatenate([trace.observations[signal.name] for trace in traces]) for signal in contract.observation}
    actions = np.concatenate([trace.actions for trace in traces])
    first = np.concatenate([np.arange(len(trace.decisions)) == 0 for trace in traces])
    index = np.arange(len(actions))
    policy.reset()
    return Decisions(contract, observation, np.where(first, index, index - 1), actions, policy.act(observation).actions)


def decision_causes(decisions: Decisions, policy: Policy, tolerance: float = 0.0) -> tuple[list[Cause], float]:
    """What was done to observations or actions that do not belong together.

    Args:
        decisions: as recorded, and taken again.
        policy: that takes them.
        tolerance: difference of actions that says nothing, as a share of their range; 0 for policies without a solver.

    Returns:
        causes, the best first; and how much there is to be explained, in nats.
    """
    action = decisions.contract.action
    span = np.array(action.high) - np.array(action.low)
    floor = (max(_LEAST, tolerance) * span) ** 2
    count = len(decisions.actions)
    rows = np.arange(count) if count <= _MOST else np.sort(np.random.default_rng(0).choice(count, _MOST, replace=False))
    said = decisions.actions[rows]
    fit, test = np.arange(len(rows)) % 2 == 0, np.arange(len(rows)) % 2 == (1 if len(rows) > 1 else 0)

    def excess(taken: Array) -> Array:
        return np.asarray(np.mean((taken - said)[test] ** 2, axis=(0, 1)) / floor)

    before = excess(decisions.taken[rows])
    if before.max() <= _NOTABLE:
        return [], 0.0
    gap = float(np.log1p(before).sum())
    best: dict[str, tuple[float, float, Cause]] = {}

    def offer(cause: str, claim: str, cost: float, taken: Array) -> None:
        after = excess(taken)
        share = 1 - float(np.log1p(after).sum()) / gap
        if cause not in best or share - cost > best[cause][0]:
            evidence = tuple(
                (f"action {name}", float(one), float(two)) for name, one, two in zip(action.elements, before, after, strict=True)
            )
            best[cause] = (share - cost, share, Cause(cause, claim, share, False, evidence=evidence))

    for cause, claim, cost, observation in _seen(decisions, rows):
        policy.reset()
        offer(cause, claim, cost, policy.act(observation).actions)
    for cause, claim, cost, taken in _sent(decisions, rows, fit):
        offer(cause, claim, cost, taken)
    if max(score for score, _, _ in best.values()) < 0.5:
        offer(
            "normalisation", "the policy acts as if observations were scaled and shifted", 0.1, _affine(decisions, rows, policy, fit, said)
        )
    return [cause for _, _, cause in sorted(best.values(), key=lambda row: -row[0])], gap


def _seen(decisions: Decisions, rows: Array) -> Iterator[tuple[str, str, float, Observation]]:
    """Other observations that the policy may have acted on."""
    whole = decisions.observation
    here = {name: values[rows] for name, values in whole.items()}
    index = rows
    for age in range(1, 6):
        index = decisions.earlier[index]
        yield (
            "stale history",
            f"the policy acts on observations that are {age} decisions old",
            0.0,
            {name: values[index] for name, values in whole.items()},
        )
        for name in whole:
            yield "stale history", f"the policy acts on a {name} that is {age} decisions old", 0.01, {**here, name: whole[name][index]}
    numbers = [signal for signal in decisions.contract.observation if signal.source != "image"]
    for signal in numbers:
        name, values = signal.name, here[signal.name]
        if values.shape[1] > 1:
            yield "stale history", f"the history of {name} runs backwards", 0.0, {**here, name: values[:, ::-1]}
        for word, factor in FACTORS.items():
            yield "unit", f"the policy takes {name} in {word}", 0.0, {**here, name: values * np.asarray(factor, values.dtype)}
        for factor in (0.5, 0.1, 2.0, 10.0):
            yield (
                "scale",
                f"the policy sees a {name} that is {factor:g} times as large",
                0.02,
                {**here, name: values * np.asarray(factor, values.dtype)},
            )
        for one, two in itertools.combinations(range(len(signal.elements)), 2):
            order = np.arange(len(signal.elements))
            order[[one, two]] = two, one
            pair = f"{signal.elements[one]} and {signal.elements[two]}"
            kind = "joint order" if signal.source.startswith(("joint", "previous")) else "frame"
            yield kind, f"the policy takes {pair} of {name} for each other", 0.01, {**here, name: values[..., order]}
        for element, word in enumerate(signal.elements):
            changed = values.copy()
            changed[..., element] *= -1
            yield "sign", f"the policy sees {word} of {name} with the other sign", 0.0, {**here, name: changed}
        if signal.elements[:2] == ("x", "y"):
            for angle in _TURNS:
                changed = values.copy()
                cos, sin = np.cos(angle), np.sin(angle)
                changed[..., 0], changed[..., 1] = cos * values[..., 0] - sin * values[..., 1], sin * values[..., 0] + cos * values[..., 1]
                yield "frame", f"the policy sees {name} turned by {np.rad2deg(angle):.0f}° about z", 0.01, {**here, name: changed}
    joints = [signal for signal in numbers if signal.source.startswith("joint_")]
    for one, two in itertools.combinations(range(len(joints[0].elements)), 2) if joints else ():
        order = np.arange(len(joints[0].elements))
        order[[one, two]] = two, one
        swapped = {signal.name: here[signal.name][..., order] for signal in joints if len(signal.elements) == len(order)}
        yield (
            "joint order",
            f"the policy takes {joints[0].elements[one]} and {joints[0].elements[two]} for each other",
            0.0,
            {**here, **swapped},
        )


def _sent(decisions: Decisions, rows: Array, fit: Array) -> Iterator[tuple[str, str, float, Array]]:
    """What may have been made of the actions."""
    taken, said, action = decisions.taken[rows], decisions.actions[rows], decisions.contract.action
    from scipy.optimize import linear_sum_assignment

    mine, theirs = (values[fit].reshape(-1, len(action.elements)) for values in (taken, said))
    order = linear_sum_assignment(((theirs[:, :, None] - mine[:, None, :]) ** 2).mean(axis=0))[1]
    if (order != np.arange(len(order))).any():
        yield "joint order", f"actions come in the order {', '.join(action.elements[index] for index in order)}", 0.0, taken[..., order]
    sign = np.where((mine * theirs).sum(axis=0) < 0, -1.0, 1.0)
    names = ", ".join(name for name, value in zip(action.elements, sign, strict=True) if value < 0)
    if names:
        yield "sign", f"actions of {names} have the other sign", 0.0, taken * sign
    factor = float((mine * theirs).sum() / max((mine**2).sum(), 1e-12))
    yield "scale", f"actions are {factor:.3g} times as large", 0.02, taken * factor
    shift = (theirs - mine).mean(axis=0)
    yield "offset", "actions are shifted by " + ", ".join(f"{value:.3g}" for value in shift), 0.02, taken + shift
    for word, unit in FACTORS.items():
        yield "unit", f"actions are in {word}", 0.0, taken * unit
    low, high = theirs.min(axis=0), theirs.max(axis=0)
    yield "saturation", "actions are cut off", 0.03, np.clip(taken, low, high)
    index = rows
    for age in range(1, 6):
        index = decisions.earlier[index]
        yield "delay", f"actions are {age} decisions late", 0.01, decisions.taken[index]


def _affine(decisions: Decisions, rows: Array, policy: Policy, fit: Array, said: Array) -> Array:
    """Actions on observations that are scaled and shifted element by element: Gauss and Newton's steps from the recorded ones."""
    here: Mapping[str, Array] = {name: values[rows] for name, values in decisions.observation.items()}
    names = [signal.name for signal in decisions.contract.observation if signal.source != "image"]
    widths = [here[name].shape[-1] for name in names]
    size = np.concatenate([here[name].reshape(-1, width).std(axis=0) + 1e-3 for name, width in zip(names, widths, strict=True)])
    total = sum(widths)

    def taken(weights: Array) -> Array:
        seen, at = dict(here), 0
        for name, width in zip(names, widths, strict=True):
            slope, shift = weights[at : at + width], weights[total + at : total + at + width] * size[at : at + width]
            seen[name] = (here[name] * (1 + slope) + shift).astype(here[name].dtype)
            at += width
        policy.reset()
        return policy.act(seen).actions

    weights, step = np.zeros(2 * total), 1e-3
    best = taken(weights)
    for _ in range(4):
        left = (said - best)[fit].ravel()
        jacobian = np.stack([(taken(weights + step * np.eye(2 * total)[k]) - best)[fit].ravel() / step for k in range(2 * total)], axis=1)
        scale = 1e-6 * max(float(np.mean(np.sum(jacobian**2, axis=0))), 1e-12)
        move = np.linalg.solve(jacobian.T @ jacobian + scale * np.eye(2 * total), jacobian.T @ left)
        for share in (1.0, 0.3, 0.1):
            tried = taken(weights + share * move)
            if np.sum((said - tried)[fit] ** 2) < np.sum(left**2):
                weights, best = weights + share * move, tried
                break
        else:
            break
    return best
