"""What every policy keeps, as checks that any test framework can run.

def test_my_policy_conforms():
    policy_conformance(lambda: MyPolicy(contract))
"""

# ruff: noqa: PT017 - a suite is made of assertions
from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from isthmus.contract import Contract
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.signals import Signal

__all__ = ["policy_conformance"]

ROWS = 5


def policy_conformance(policy: Policy | Callable[[], Policy], *, tolerance: float = 1e-6, seed: int = 0) -> None:
    """Run every check on observations drawn from the contract's bounds.

    Args:
        policy: the policy, or what makes it.
        tolerance: share of each action's range by which equal observations may differ; solvers with a warm start need more.
        seed: of the observations.

    Raises:
        AssertionError: naming the first promise that is not kept.
    """
    made: Policy = policy if isinstance(policy, Policy) and not isinstance(policy, type) else policy()
    assert isinstance(made, Policy), f"{type(made).__name__} lacks a method or attribute of Policy"
    generator = np.random.default_rng(seed)
    first, second = (_observation(made.contract, generator) for _ in range(2))
    made.reset(seed=seed)
    actions = _check_actions(made, first)
    close = _closeness(made.contract, tolerance)
    assert close(actions, _act(made, first)), "the same observation gives another action: a policy is deterministic"
    _check_memory(made, first, second, actions, close)
    _check_rows(made, first, actions, close)
    _check_missing(made, first)


def _check_actions(policy: Policy, observation: Mapping[str, Array]) -> Array:
    contract = policy.contract
    before = {name: values.copy() for name, values in observation.items()}
    actions = _act(policy, observation)
    for name, values in observation.items():
        assert np.array_equal(values, before[name]), f"act() overwrites signal {name!r}"
    expected = (ROWS, contract.horizon, len(contract.action.elements))
    assert actions.shape == expected, f"actions must have shape {list(expected)}, got {list(actions.shape)}"
    assert np.isfinite(actions).all(), "actions must be finite for observations within the contract's bounds"
    low, high = np.array(contract.action.low), np.array(contract.action.high)
    slack = 1e-6 * (high - low)
    beyond = ((actions < low - slack) | (actions > high + slack)).any(axis=(0, 1))
    outside = [name for name, bad in zip(contract.action.elements, beyond, strict=True) if bad]
    assert not outside, f"actions must keep the contract's bounds; beyond them: {', '.join(outside)}"
    return actions


def _check_memory(
    policy: Policy, first: Mapping[str, Array], second: Mapping[str, Array], actions: Array, close: Callable[[Array, Array], bool]
) -> None:
    other = _act(policy, second)
    assert close(actions, _act(policy, first)), "an action depends on what was decided before: all memory belongs to the ObservationBuilder"
    policy.reset()
    assert close(other, _act(policy, second)), "an action depends on what was decided before reset"


def _check_rows(policy: Policy, observation: Mapping[str, Array], actions: Array, close: Callable[[Array, Array], bool]) -> None:
    policy.reset()
    for row in range(ROWS):
        alone = _act(policy, {name: values[row : row + 1] for name, values in observation.items()})
        assert close(actions[row : row + 1], alone), f"row {row} of a batch gives another action than the same observation alone"


def _check_missing(policy: Policy, observation: Mapping[str, Array]) -> None:
    for name in observation:
        rest = {other: values for other, values in observation.items() if other != name}
        try:
            policy.act(rest)
        except KeyError as error:
            assert name in str(error), f"the KeyError for missing signal {name!r} must name it, got {error}"
        else:
            raise AssertionError(f"act() must raise a KeyError when signal {name!r} is missing")


def _act(policy: Policy, observation: Mapping[str, Array]) -> Array:
    return np.array(policy.act(observation).actions)  # a copy: the policy may reuse its memory


def _closeness(contract: Contract, tolerance: float) -> Callable[[Array, Array], bool]:
    width = np.array(contract.action.high) - np.array(contract.action.low)
    return lambda a, b: bool((np.abs(a - b) <= tolerance * width).all())


def _observation(contract: Contract, generator: np.random.Generator) -> dict[str, Array]:
    return {signal.name: _sample(signal, generator) for signal in contract.observation}


def _sample(signal: Signal, generator: np.random.Generator) -> Array:
    """Values within the signal's bounds, `[B, history, *shape]`; unbounded elements are normally distributed around the nearest bound or 0."""
    shape = (ROWS, signal.history, *signal.shape)
    if signal.source == "image":
        return generator.integers(0, 256, shape, dtype=np.uint8)
    low, high = np.array(signal.low), np.array(signal.high)
    bounded = np.isfinite(low) & np.isfinite(high)
    uniform = generator.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0), shape)
    values = np.where(bounded, uniform, np.clip(generator.normal(size=shape), low, high))
    if signal.source == "pose" and signal.elements[-4:] == ("qx", "qy", "qz", "qw"):
        values[..., -4:] /= np.linalg.norm(values[..., -4:], axis=-1, keepdims=True)
    return np.asarray(values, dtype=signal.dtype)
