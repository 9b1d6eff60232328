"""The eye: four convolutions over the pictures of all cameras, stacked as channels.

Yarats et al., "Mastering Visual Continuous Control: Improved Data-Augmented Reinforcement Learning" (DrQ-v2, arXiv 2107.09645), section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.contract import Contract
from isthmus_policies.features import FeatureEncoder

__all__ = ["PixelEncoder", "check_pictures", "orthogonal"]

SMALLEST = 15  # pixels per side that are left of the convolutions


def check_pictures(contract: Contract, algorithm: str, others: str = "") -> None:
    """Refuse a task without pictures, or with pictures of several sizes.

    Args:
        contract: of the task.
        algorithm: that asks.
        others: which tasks have some, for the message.

    Raises:
        ValueError: the message names the task.
    """
    shapes = {signal.name: signal.shape[:2] for signal in contract.observation if signal.source == "image"}
    if not shapes:
        raise ValueError(f"{algorithm} learns from pictures, and task {contract.task!r} shows none{others and f'; {others}'}")
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {height} × {width}" for name, (height, width) in shapes.items())
        raise ValueError(f"{algorithm} needs cameras whose pictures have one size; those of task {contract.task!r}: {told}")


class PixelEncoder(nn.Module):
    """Encodes an observation; only the convolutions have parameters.

    Attributes:
        pixels: numbers that the convolutions give, E.
        numbers: features of the signals that are no pictures, P; they follow the others.

    Raises:
        ValueError: there are no pictures, or they are too small.
    """

    def __init__(self, contract: Contract, channels: int, shrink: int = 1, proprioception: bool = True, algorithm: str = "mentor") -> None:
        super().__init__()
        check_pictures(contract, algorithm)
        images = [signal for signal in contract.observation if signal.source == "image"]
        self._names = [signal.name for signal in images]
        self._shrink = shrink
        self._numbers = FeatureEncoder(contract, pictures=False)
        height, width = (side // shrink for side in images[0].shape[:2])
        if min(height, width) < SMALLEST:
            raise ValueError(f"pictures must have {SMALLEST} pixels per side or more after shrink {shrink}, got {height} × {width}")
        planes = sum(signal.history * signal.shape[2] for signal in images)
        layers: list[nn.Module] = []
        for inside, stride in ((planes, 2), (channels, 1), (channels, 1), (channels, 1)):
            layers += [nn.Conv2d(inside, channels, 3, stride), nn.ReLU()]
        self._convolutions = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            self.pixels: int = self._convolutions(torch.zeros(1, planes, height, width)).shape[1]
        self.numbers = self._numbers.size if proprioception else 0

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Codes `[B, E + P]` of pictures `[B, history, H, W, C]`, 0 … 255, and of the other signals."""
        dtype = self._convolutions[0].weight.dtype
        planes = [observation[name].to(dtype).permute(0, 1, 4, 2, 3).flatten(1, 2) for name in self._names]
        stacked = torch.cat(planes, dim=1) / 255 - 0.5
        if self._shrink > 1:
            stacked = functional.avg_pool2d(stacked, self._shrink)
        codes = self._convolutions(stacked)
        return torch.cat([codes, self._numbers(observation)], dim=1) if self.numbers else codes


@torch.no_grad()
def orthogonal(*networks: nn.Module) -> None:
    """Draw weights anew: orthogonal, each of those that lie in one tensor by itself, √2 times as long in convolutions; biases 0, norms untouched."""
    for name, parameter in (pair for network in networks for pair in network.named_parameters()):
        if "norm" in name:
            continue
        if "bias" in name:
            parameter.zero_()
            continue
        for weight in parameter if parameter.ndim == 3 else (parameter,):
            nn.init.orthogonal_(weight, gain=math.sqrt(2) if parameter.ndim == 4 else 1.0)
