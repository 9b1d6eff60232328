"""From raw SI observations to what a network learns well from, inside the graph that is exported.

Angles become cosines and sines, bounded signals are scaled to ±1, and the way from a pose to an input of the same kind (tool to goal)
is made explicit. Nothing of this is ever a signal of the contract, so no robot has to repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from isthmus.contract import Contract
from isthmus.signals import Signal

__all__ = ["FeatureEncoder"]

WAY_SCALE = 0.25  # m: a way to go of this length becomes 1


class FeatureEncoder(torch.nn.Module):
    """Encodes the observation of a contract; it has no parameters to learn.

    Attributes:
        size: number of features F.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        images = [signal.name for signal in contract.observation if signal.source == "image"]
        if images:
            raise ValueError(f"this encoder has no image features; signals with images: {', '.join(images)}")
        self._signals = contract.observation
        self._ways = [
            (pose.name, goal.name)
            for pose in contract.observation
            for goal in contract.inputs
            if pose.source == "pose" and goal.elements == pose.elements and goal.frame == pose.frame and goal.unit == "m"
        ]
        for signal in contract.observation:
            center, scale = _normalisation(signal)
            self.register_buffer(f"center_{signal.name}", torch.tensor(center), persistent=False)
            self.register_buffer(f"scale_{signal.name}", torch.tensor(scale), persistent=False)
        sizes = {signal.name: signal.history * len(signal.elements) for signal in contract.observation}
        angles = sum(sizes[signal.name] for signal in contract.observation if _is_angle(signal))
        self.size = sum(sizes.values()) + angles + sum(len(contract.signal(goal).elements) for _, goal in self._ways)

    def forward(self, observation: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Features `[B, F]` of an observation, `[B, history, elements]` per signal."""
        features = []
        for signal in self._signals:
            value = observation[signal.name]
            if _is_angle(signal):
                features += [torch.cos(value).flatten(1), torch.sin(value).flatten(1)]
            else:
                center, scale = getattr(self, f"center_{signal.name}"), getattr(self, f"scale_{signal.name}")
                features.append(((value - center) * scale).flatten(1))
        features += [(observation[goal][:, -1] - observation[pose][:, -1]) / WAY_SCALE for pose, goal in self._ways]
        return torch.cat(features, dim=1)


def _is_angle(signal: Signal) -> bool:
    return signal.unit == "rad" and signal.source in ("joint_position", "input", "previous_action")


def _normalisation(signal: Signal) -> tuple[list[float], list[float]]:
    """Center and factor per element that bring the signal's bounds to ±1; unbounded elements stay as they are."""
    bounds = list(zip(signal.low, signal.high, strict=True))
    bounded = [math.isfinite(low) and math.isfinite(high) for low, high in bounds]
    center = [(low + high) / 2 if known else 0.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    scale = [2 / (high - low) if known else 1.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    return center, scale
