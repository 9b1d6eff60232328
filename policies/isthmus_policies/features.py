"""From raw SI observations to what a network learns well from, inside the graph that is exported.

Angles become cosines and sines, all other bounded elements (a joint that slides, too) are scaled to ±1, and the way from a pose to an input of the
same kind (tool to goal) is made explicit; images pass through convolutions. Nothing of this is ever a signal of the contract, so no robot has to
repeat it.
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

    def __init__(self, contract: Contract, pictures: bool = True) -> None:
        """Prepare.

        Args:
            contract: gives the observation.
            pictures: whether images are encoded; otherwise they are left out.
        """
        super().__init__()
        self._signals = tuple(signal for signal in contract.observation if pictures or signal.source != "image")
        self._images = torch.nn.ModuleDict({signal.name: _ImageEncoder(signal) for signal in self._signals if signal.source == "image"})
        self._ways = [
            (pose.name, goal.name)
            for pose in contract.observation
            for goal in contract.inputs
            if pose.source == "pose" and goal.elements == pose.elements and goal.frame == pose.frame and goal.unit == "m"
        ]
        self._angles = {signal.name: _angles(signal) for signal in self._signals}
        self._others = {
            signal.name: [i for i in range(len(signal.elements)) if i not in self._angles[signal.name]] for signal in self._signals
        }
        for signal in self._signals:
            center, scale = _normalisation(signal, self._others[signal.name])
            self.register_buffer(f"center_{signal.name}", torch.tensor(center), persistent=False)
            self.register_buffer(f"scale_{signal.name}", torch.tensor(scale), persistent=False)
        sizes = {
            signal.name: IMAGE_FEATURES if signal.name in self._images else signal.history * len(signal.elements)
            for signal in self._signals
        }
        angles = sum(signal.history * len(self._angles[signal.name]) for signal in self._signals)
        self.size = sum(sizes.values()) + angles + sum(len(contract.signal(goal).elements) for _, goal in self._ways)

    def forward(self, observation: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Features `[B, F]` of an observation, `[B, history, elements]` per signal."""
        features = []
        for signal in self._signals:
            value = observation[signal.name]
            if signal.name in self._images:
                features.append(self._images[signal.name](value))
                continue
            angles, others = self._angles[signal.name], self._others[signal.name]
            if angles:
                turned = value[:, :, angles] if others else value
                features += [torch.cos(turned).flatten(1), torch.sin(turned).flatten(1)]
            if others:
                center, scale = getattr(self, f"center_{signal.name}"), getattr(self, f"scale_{signal.name}")
                features.append((((value[:, :, others] if angles else value) - center) * scale).flatten(1))
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


def _angles(signal: Signal) -> list[int]:
    """Places of the elements that are angles."""
    turns = signal.source in ("joint_position", "input", "previous_action")
    return [place for place, unit in enumerate(signal.units) if turns and unit == "rad"]


def _normalisation(signal: Signal, places: list[int]) -> tuple[list[float], list[float]]:
    """Center and factor per element at `places` that bring the signal's bounds to ±1; unbounded elements stay as they are."""
    bounds = [(signal.low[place], signal.high[place]) for place in places]
    bounded = [math.isfinite(low) and math.isfinite(high) for low, high in bounds]
    center = [(low + high) / 2 if known else 0.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    scale = [2 / (high - low) if known else 1.0 for (low, high), known in zip(bounds, bounded, strict=True)]
    return center, scale
