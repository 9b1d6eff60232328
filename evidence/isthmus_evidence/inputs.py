"""What a policy makes of each of its inputs, told by finite differences: which it ignores, which joint it takes for which, what extremes do to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.signals import Signal

__all__ = [
    "Fingerprint",
    "constant_inputs",
    "dead_inputs",
    "extreme_actions",
    "joint_fingerprint",
    "outside_inputs",
    "sample_observations",
    "sensitivities",
]

SAMPLES = 64
_STEP = 0.02  # of an input's span
_SURE = 3.0  # times as much as to their own input, by which joints of another order must answer that
_OUTSIDE = 0.5  # of the span seen before, by which an input may leave it


def sample_observations(contract: Contract, count: int = SAMPLES, seed: int = 0) -> dict[str, Array]:
    """Observations within the bounds of a contract, `[count, history, *shape]` per signal; what has no bounds is standard normal."""
    generator = np.random.default_rng(seed)
    found = {}
    for signal in contract.observation:
        low, high = (np.broadcast_to(np.array(bound, dtype=float), signal.shape) for bound in (signal.low, signal.high))
        shape = (count, signal.history, *signal.shape)
        bounded = np.isfinite(low) & np.isfinite(high)
        uniform = generator.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0), shape)
        normal = np.clip(generator.normal(size=shape), np.where(np.isfinite(low), low, -np.inf), np.where(np.isfinite(high), high, np.inf))
        found[signal.name] = np.where(bounded, uniform, normal).astype(signal.dtype)
    return found


def sensitivities(policy: Policy, observation: Mapping[str, Array]) -> dict[str, Array]:
    """Derivatives of the first action by the newest value of each input, `[n, A, elements]` per signal that is not an image."""
    found = {}
    for signal in _numbers(policy.contract):
        values = observation[signal.name]
        span = _span(signal, values)
        columns = []
        for element in range(len(signal.elements)):
            moved = []
            for sign in (1.0, -1.0):
                changed = values.copy()
                changed[:, -1, element] += (sign * _STEP * span[element]).astype(values.dtype)
                policy.reset()
                moved.append(policy.act({**observation, signal.name: changed}).actions[:, 0].astype(np.float64))
            columns.append((moved[0] - moved[1]) / (2 * _STEP * span[element]))
        found[signal.name] = np.stack(columns, axis=2)
    return found


def dead_inputs(contract: Contract, derivatives: Mapping[str, Array]) -> list[str]:
    """Inputs that change no action anywhere: of a whole signal by its name, else `SIGNAL.ELEMENT`."""
    found = []
    for signal in _numbers(contract):
        dead = (derivatives[signal.name] == 0).all(axis=(0, 1))
        found += (
            [signal.name] if dead.all() else [f"{signal.name}.{name}" for name, none in zip(signal.elements, dead, strict=True) if none]
        )
    return found


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which joint a policy seems to take for which, told by its derivatives.

    Attributes:
        signal: whose derivatives tell.
        order: for each action element, the input element that moves it most, all different.
        ratio: how much more the joints that are elsewhere answer that input than their own; 1 where none is.
        wrong: whether the order differs, clearly.
    """

    signal: str
    order: tuple[str, ...]
    ratio: float
    wrong: bool


def joint_fingerprint(contract: Contract, derivatives: Mapping[str, Array]) -> list[Fingerprint]:
    """Compare, for each signal with the joints of the action, the order of its columns in the contract with the one that the derivatives show.

    A policy answers a joint's own position and velocity more than those of others; where a permutation explains its derivatives much better, joints
    were in another order when it was trained or exported. A policy may couple joints as it likes, so that this is a hint and no proof.
    """
    from scipy.optimize import linear_sum_assignment

    found, action = [], contract.action.elements
    for signal in _numbers(contract):
        if set(signal.elements) != set(action) or not signal.source.startswith("joint_"):
            continue
        own = [signal.elements.index(joint) for joint in action]
        size = np.abs(derivatives[signal.name]).mean(axis=0)[:, own]
        size = size / np.maximum(np.sqrt(size.sum(axis=0, keepdims=True) * size.sum(axis=1, keepdims=True)), 1e-12)
        order = linear_sum_assignment(-size)[1]
        moved = np.flatnonzero(order != np.arange(len(order)))
        ratio = float(size[moved, order[moved]].sum() / max(float(size[moved, moved].sum()), 1e-12)) if moved.size else 1.0
        found.append(Fingerprint(signal.name, tuple(action[index] for index in order), ratio, ratio > _SURE))
    return found


def constant_inputs(contract: Contract, observation: Mapping[str, Array]) -> tuple[list[str], list[str]]:
    """Inputs of recorded observations that never change, and those of which more than a tenth lies on a bound of the contract."""
    constant, saturated = [], []
    for signal in _numbers(contract):
        if signal.name not in observation:
            continue
        for element, name in enumerate(signal.elements):
            values = observation[signal.name][:, -1, element]
            if len(values) > 1 and np.ptp(values) == 0 and signal.source != "input":
                constant.append(f"{signal.name}.{name}")
            low, high = (np.asarray(bound, dtype=values.dtype)[element] for bound in (signal.low, signal.high))
            if np.mean((values <= low) | (values >= high)) > 0.1 and np.ptp(values) > 0:
                saturated.append(f"{signal.name}.{name}")
    return constant, saturated


def outside_inputs(
    contract: Contract, recorded: Mapping[str, Array], known: Mapping[str, Array]
) -> Iterator[tuple[str, float, float, float, float]]:
    """Inputs that leave the range in which the policy was before: name, recorded low and high, known low and high."""
    for signal in _numbers(contract):
        if signal.name in recorded and signal.name in known and signal.source != "time":
            for element, name in enumerate(signal.elements):
                here, there = (values[signal.name][:, -1, element] for values in (recorded, known))
                low, high, least, most = float(here.min()), float(here.max()), float(there.min()), float(there.max())
                room = _OUTSIDE * max(most - least, 1e-3 * max(abs(most), abs(least)), 1e-6)
                if low < least - room or high > most + room:
                    yield f"{signal.name}.{name}", low, high, least, most


def extreme_actions(policy: Policy) -> list[str]:
    """What actions do at the bounds of every input: which are not finite or leave their own bounds, in words; empty if all is well."""
    contract = policy.contract
    corners = {}
    for signal in contract.observation:
        low, high = (np.broadcast_to(np.array(bound, dtype=float), signal.shape) for bound in (signal.low, signal.high))
        low, high = np.where(np.isfinite(low), low, -1e3), np.where(np.isfinite(high), high, 1e3)
        corners[signal.name] = np.stack(
            [np.broadcast_to(bound, (signal.history, *signal.shape)) for bound in (low, high, np.zeros_like(low))]
        ).astype(signal.dtype)
    policy.reset()
    actions = policy.act(corners).actions
    found = []
    slack = 1e-6 * (np.array(contract.action.high) - np.array(contract.action.low))
    for element, name in enumerate(contract.action.elements):
        values = actions[:, :, element]
        if not np.isfinite(values).all():
            found.append(f"{name} is not finite")
        elif (values < contract.action.low[element] - slack[element]).any() or (
            values > contract.action.high[element] + slack[element]
        ).any():
            found.append(f"{name} leaves its bounds")
    return found


def _numbers(contract: Contract) -> list[Signal]:
    return [signal for signal in contract.observation if signal.source != "image" and len(signal.shape) == 1]


def _span(signal: Signal, values: Array) -> Array:
    low, high = (np.array(bound, dtype=float) for bound in (signal.low, signal.high))
    seen = np.ptp(values[:, -1], axis=0).astype(float)
    return np.asarray(
        np.where(np.isfinite(high - low) & (high > low), np.minimum(high - low, np.maximum(seen, 1e-3)), np.maximum(seen, 1e-3))
    )
