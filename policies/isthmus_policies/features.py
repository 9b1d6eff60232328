"""From raw SI observations to what a network learns well from, inside the graph that is exported.

Angles become cosines and sines, bounded signals are scaled to ±1, and the way from a pose to an input of the same kind (tool to goal)
is made explicit; images pass through convolutions. Nothing of this is ever a signal of the contract, so no robot has to repeat it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from isthmus.contract import Contract
from isthmus.signals import Signal

__all__ = ["FeatureEncoder"]

WAY_SCALE = 0.25  # m: a way to go of this length becomes 1
IMAGE_FEATURES = 64
SMALLEST_IMAGE = 36  # pixels per side that are left of the convolutions


class FeatureEncoder(torch.nn.Module):
    """Encodes the observation of a contract; only its image encoders have parameters to learn.

    Attributes:
        size: number of features F.

    Raises:
        ValueError: an image is too small.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self._images = torch.nn.ModuleDict(
            {signal.name: _ImageEncoder(signal) for signal in contract.observation if signal.source == "image"}
        )
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
        sizes = {
            signal.name: IMAGE_FEATURES if signal.name in self._images else signal.history * len(signal.elements)
            for signal in contract.observation
        }
        angles = sum(sizes[signal.name] for signal in contract.observation if _is_angle(signal))
        self.size = sum(sizes.values()) + angles + sum(len(contract.signal(goal).elements) for _, goal in self._ways)

    def forward(self, observation: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Features `[B, F]` of an observation, `[B, history, elements]` per signal."""
        features = []
        for signal in self._signals:
            value = observation[signal.name]
            if signal.name in self._images:
                features.append(self._images[signal.name](value))
            elif _is_angle(signal):
                features += [torch.cos(value).flatten(1), torch.sin(value).flatten(1)]
            else:
                center, scale = getattr(self, f"center_{signal.name}"), getattr(self, f"scale_{signal.name}")
                features.append(((value - center) * scale).flatten(1))
        features += [(observation[goal][:, -1] - observation[pose][:, -1]) / WAY_SCALE for pose, goal in self._ways]
        return torch.cat(features, dim=1)


class _ImageEncoder(torch.nn.Module):
    """The convolutions of Mnih et al. 2015, then a layer norm and tanh as in Yarats et al. 2021, "Mastering visual continuous control"."""

    def __init__(self, signal: Signal) -> None:
        super().__init__()
        height, width, channels = signal.shape
        if min(height, width) < SMALLEST_IMAGE:
            raise ValueError(f"signal {signal.name!r}: images must have {SMALLEST_IMAGE} pixels per side or more, got {height} × {width}")
        layers = ((signal.history * channels, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1))
        convolutions = [part for inside, outside, kernel, stride in layers for part in _convolution(inside, outside, kernel, stride)]
        self._convolutions = torch.nn.Sequential(*convolutions, torch.nn.Flatten())
        with torch.no_grad():
            flat = self._convolutions(torch.zeros(1, signal.history * channels, height, width)).shape[1]
        self._head = torch.nn.Sequential(torch.nn.Linear(flat, IMAGE_FEATURES), torch.nn.LayerNorm(IMAGE_FEATURES), torch.nn.Tanh())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features `[B, IMAGE_FEATURES]` of `[B, history, H, W, C]`, 0 … 255; the history is a stack of channels."""
        stacked = images.to(self._head[0].weight.dtype).permute(0, 1, 4, 2, 3).flatten(1, 2)
        return self._head(self._convolutions(stacked / 255 - 0.5))


def _convolution(inside: int, outside: int, kernel: int, stride: int) -> list[torch.nn.Module]:
    return [torch.nn.Conv2d(inside, outside, kernel, stride), torch.nn.ReLU()]


def _is_angle(signal: Signal) -> bool:
    return signal.unit == "rad" and signal.source in ("joint_position", "input", "previous_action")


def _normalisation(signal: Signal) -> tuple[list[float], list[float]]:
    """Center and factor per element that bring the signal's bounds to ±1; unbounded elements stay as they are."""
    bounds = list(zip(signal.low, signal.high, strict=True))
    bounded = [math.isfinite(low) and math.isfinite(high) for low, high in bounds]
    center = [(low + high) / 2 if known else 0.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    scale = [2 / (high - low) if known else 1.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    return center, scale
