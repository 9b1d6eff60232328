"""Adam over the parameters of a learner as one vector, so that a step is one fused kernel and a Polyak average one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["FlatAdam", "flatten"]


def flatten(parameters: Sequence[Tensor]) -> Tensor:
    """Move parameters into one vector `[P]`, of which they become views; what is written into it is what they are."""
    vector = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    parts = vector.split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.data = part.view_as(parameter)
    return vector


class FlatAdam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980) with PyTorch's defaults.

    Attributes:
        parameters: what is learned.
        vector: the same as one vector, `[P]`.
    """

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float) -> None:
        """Move the parameters into one vector.

        Args:
            parameters: leaves.
            learning_rate: at the beginning.
        """
        self.parameters = list(parameters)
        self.vector = flatten(self.parameters)
        self._learning_rate = learning_rate
        self._gradient, self._mean, self._square = (torch.zeros_like(self.vector) for _ in range(3))
        self._steps = self.vector.new_zeros(())

    def take(self, gradients: Sequence[Tensor], longest: float = math.inf) -> float:
        """Take the gradients of the next step, one per parameter; all together are shortened to a length of `longest`.

        Returns:
            how long they were, which is not finite where one of them is not.
        """
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=self._gradient)
        length: float = torch.linalg.vector_norm(self._gradient).item()
        if length > longest:
            self._gradient.mul_(longest / length)
        return length

    def step(self, rate: float) -> None:
        """Descend along what was taken; `rate` is a factor of the learning rate."""
        self._steps += 1
        # The kernel of torch.optim.Adam(fused=True), without the 0.1 ms of Python around it.
        torch._fused_adam_(
            [self.vector],
            [self._gradient],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            lr=rate * self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def clear(self) -> None:
        """Forget the averages, as before the first step."""
        for kept in (self._mean, self._square, self._steps):
            kept.zero_()

    def state(self) -> Mapping[str, Tensor]:
        """The live tensors: parameters and Adam's averages."""
        return {"vector": self.vector, "mean": self._mean, "square": self._square, "steps": self._steps}
