"""From the spaces of an environment to a contract, and from its observations to signals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.signals import CameraSpec, Signal

__all__ = ["STATE", "derive_contract", "read_signals"]

STATE = "observation"  # name of the signal where the observation is a single array
CAMERA = "camera"  # and where it is a picture
FRAMES = 3  # pictures in a row that a policy sees, so that it can tell speeds (Mnih et al. 2015 use 4, Yarats et al. 2021 use 3)
_ENCODINGS = {1: "mono8", 3: "rgb8"}


def derive_contract(task: str, env: gymnasium.Env, period: float) -> Contract:
    """The contract of an outside environment: one `input` signal per array, named o0, o1, …; raw actions a0, a1, …; vacuous limits.

    Args:
        task: name with prefix; what stands before the colon takes the place of a robot.
        env: gives the spaces.
        period: seconds per step.

    Raises:
        ValueError: actions or observations are not arrays of numbers, or actions are unbounded.
    """
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise ValueError(f"{task} has actions in {space}; only a Box with one axis can be trained")
    low, high = tuple(float(bound) for bound in space.low), tuple(float(bound) for bound in space.high)
    if not all(math.isfinite(bound) for bound in (*low, *high)):
        raise ValueError(f"{task} has unbounded actions, {space}; a policy needs finite bounds")
    names = tuple(f"a{index}" for index in range(len(low)))
    everything, nothing = (math.inf,) * len(low), (-math.inf,) * len(low)
    return Contract(
        robot=task.partition(":")[0],
        task=task,
        observation=tuple(_signal(task, name, leaf) for name, leaf in _leaves(env.observation_space).items()),
        action=Signal("action", "raw", names, "1", low, high),
        limits=Limits(names, nothing, everything, everything, everything, (1.0,) * len(low), everything),
        control_period=period,
    )


def read_signals(contract: Contract, observation: Any) -> dict[str, Array]:
    """One sample `[*shape]` per signal, from an observation of the environment that the contract was derived from.

    A previous action that was added to the contract is none of the environment's signals.
    """
    leaves = _leaves(observation)
    signals = [signal for signal in contract.observation if signal.source != "previous_action"]
    return {signal.name: np.asarray(leaves[signal.name]).reshape(signal.shape).astype(signal.dtype) for signal in signals}


def _leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The arrays (or their spaces) by signal name; nested keys are joined by underscores."""
    if not isinstance(tree, Mapping):
        return {prefix or (CAMERA if tree.dtype == np.uint8 and len(tree.shape) == 3 else STATE): tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = re.sub(r"\W", "_", str(key))
        for leaf, array in _leaves(value, f"{prefix}_{name}" if prefix else name).items():
            if leaf in found:
                raise ValueError(f"two arrays of the observation would both be named {leaf!r}")
            found[leaf] = array
    return found


def _signal(task: str, name: str, space: gymnasium.Space) -> Signal:
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"{task} has an observation {name!r} in {space}; only a Box, or a Dict of them, can be observed")
    if space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] in _ENCODINGS:
        height, width, channels = space.shape
        camera = CameraSpec(height, width, channels, _ENCODINGS[channels])
        return Signal(name, "image", (), "1", (), (), dtype="uint8", history=FRAMES, camera=camera)
    names = tuple(f"o{index}" for index in range(math.prod(space.shape)))
    # Some suites state bounds that their own observations break, others state empty ones, so none are believed.
    return Signal(name, "input", names, "1", (-math.inf,) * len(names), (math.inf,) * len(names))
