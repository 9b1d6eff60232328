"""A robot's left and right: which observation and which action stand for the same in a mirror."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.contract import Contract
from isthmus.robot import Robot
from isthmus.signals import COMPONENTS, Signal

__all__ = ["Mirror"]

_TURNED = ("y", "qx", "qz", "vy", "wx", "wz", "fy", "tx", "tz")  # components that change their sign in the plane of x and z
_UNCHANGED = tuple({name for names in COMPONENTS.values() for name in names} - {*_TURNED})
_OF_JOINTS = ("joint_position", "joint_velocity", "joint_effort", "previous_action")


class Mirror(nn.Module):
    """Mirrors observations and actions at the plane of the x and z axes; twice is nothing."""

    def __init__(self, contract: Contract, robot: Robot) -> None:
        """Work out what becomes what.

        Args:
            contract: of the task.
            robot: whose profile says which joint is which in the mirror.

        Raises:
            ValueError: the robot has no mirror, a signal cannot be mirrored, or the range of the actions is not the same in it.
        """
        super().__init__()
        if not robot.mirror:
            raise ValueError(f"robot {robot.name!r} has no mirror symmetry in its profile")
        self._names = tuple(signal.name for signal in contract.observation)
        for signal in contract.observation:
            self._remember(signal.name, *_permutation(signal, robot))
        self._remember("action", *(found := _permutation(contract.action, robot)))
        order, sign = found
        low, high = np.array(contract.action.low)[order], np.array(contract.action.high)[order]
        mirrored = np.where(sign > 0, low, -high), np.where(sign > 0, high, -low)
        if not np.allclose(mirrored, (contract.action.low, contract.action.high)):
            raise ValueError(f"the range of {contract.action.name} of task {contract.task!r} is not the same in the mirror")

    def observation(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`[…, elements]` per signal."""
        return {name: self._turned(name, observation[name]) for name in self._names}

    def action(self, action: Tensor) -> Tensor:
        """`[…, A]`, SI or in [−1, 1]."""
        return self._turned("action", action)

    def unsigned(self, spread: Tensor) -> Tensor:
        """The same for what has no direction, such as deviations of actions, `[…, A]`."""
        return spread[..., self.get_buffer("order_action")]

    def _remember(self, name: str, order: list[int], sign: np.ndarray) -> None:
        self.register_buffer(f"order_{name}", torch.tensor(order), persistent=False)
        self.register_buffer(f"sign_{name}", torch.tensor(sign, dtype=torch.float32), persistent=False)

    def _turned(self, name: str, values: Tensor) -> Tensor:
        return values[..., self.get_buffer(f"order_{name}")] * self.get_buffer(f"sign_{name}").to(values.dtype)


def _permutation(signal: Signal, robot: Robot) -> tuple[list[int], np.ndarray]:
    """For each element the one whose value it gets, and the sign."""
    if signal.source in _OF_JOINTS or signal.source.startswith("joint_"):
        images = [robot.mirror[name] for name in signal.elements]
        return [signal.elements.index(image.removeprefix("-")) for image in images], np.array(
            [-1.0 if image[0] == "-" else 1.0 for image in images]
        )
    if signal.source == "time":
        return [0], np.ones(1)
    if unknown := [name for name in signal.elements if name not in (*_TURNED, *_UNCHANGED)] or (
        [signal.source] if not signal.elements else []
    ):
        raise ValueError(f"signal {signal.name!r} cannot be mirrored: nobody knows what {unknown[0]!r} is in a mirror")
    return list(range(len(signal.elements))), np.array([-1.0 if name in _TURNED else 1.0 for name in signal.elements])
