"""What learners that are paid for entropy have in common: a temperature, random numbers of their own, a second thread, and how they are kept.

The temperature α is tuned so that the policy's entropy stays near H̄ = −dim(A), measured in actions of [−1, 1] (Haarnoja et al., arXiv 1812.05905).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.features import FeatureEncoder
from isthmus_policies.learner import LearnerConfig, find_device
from isthmus_policies.optimizer import FlatAdam
from isthmus_policies.smoothness import neighbours, smoothness_loss

__all__ = ["SoftLearner", "seeded"]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks that are made within it follow from the seed alone, and PyTorch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class SoftLearner:
    """Half of a `Learner`; the other half are its networks and losses.

    Attributes:
        contract: of the policy that it exports.
        encoder: observation → features; made by the learner.
        log_alpha: logarithm of the temperature α.
    """

    encoder: FeatureEncoder

    def __init__(self, contract: Contract, config: LearnerConfig, seed: int, temperature: float = 1.0) -> None:
        """Prepare.

        Args:
            contract: of the policy that it exports.
            config: settings.
            seed: of exploration and of the noise of updates.
            temperature: α at the beginning.
        """
        self.contract = contract
        self._device = find_device(config.device)
        self._generator = torch.Generator().manual_seed(seed)
        self.log_alpha = torch.tensor(temperature, device=self._device).log().requires_grad_()
        self._target_entropy = -float(len(contract.action.elements))
        self._smoothness = (config.temporal_smoothness, config.spatial_smoothness)
        self._second = _Second()
        self._adams: Mapping[str, FlatAdam] = {}  # by their names in `state`
        self._others: Mapping[str, Tensor] = {}  # what else an update depends on, likewise

    def features(self, observation: Mapping[str, Array]) -> Tensor:
        """Of an observation `[rows, history, *shape]` per signal, on the learner's device, `[rows, F]`."""
        return self.encoder({name: torch.from_numpy(value).to(self._device) for name, value in observation.items()})

    def noise(self, *shape: int) -> Tensor:
        """Draws from the unit normal distribution, on the learner's device; they are the same whatever that is."""
        return torch.randn(shape, generator=self._generator).to(self._device)

    def temperature_loss(self, log_density: Tensor) -> Tensor:
        """J(α) = E[−log α (log π + H̄)]: the paper's −α (log π + H̄), but in log α, so that steps do not shrink with α."""
        return -self.log_alpha * (log_density.detach().mean() + self._target_entropy)

    def near(self, now: Tensor, after: Tensor) -> Tensor | None:
        """The `neighbours` of a batch, `[2, B, F]`; None where the settings do not ask for smoothness."""
        return neighbours(now, after, self.noise(*now.shape)) if any(self._smoothness) else None

    def roughness(self, action: Tensor, near: Tensor) -> Tensor:
        """The `smoothness_loss` of mean actions, `[B, …, A]` and `[2, B, …, A]`."""
        return smoothness_loss(action, near, self._smoothness)

    def ended(self, returns: Sequence[float]) -> None:
        """Nothing; see `Learner.ended`."""

    def summary(self) -> Mapping[str, Any]:
        """Nothing; see `Learner.summary`."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """See `Learner.state`."""
        tensors = {f"{name}.{key}": value for name, adam in self._adams.items() for key, value in adam.state().items()}
        return {**tensors, **self._others, "generator": self._generator.get_state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See `Learner.load`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self._generator.set_state(state["generator"])


class _Second(ThreadPoolExecutor):
    """A second thread, for gradients that do not depend on each other: PyTorch lets go of the interpreter while it computes."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, initializer=torch.set_num_threads, initargs=(1,))
