"""What the trainer needs of a learner, and the settings that learners share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from isthmus import strict
from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.outcome import Evaluation
from isthmus_policies.replay import Batch

__all__ = [
    "DivergedError",
    "Learner",
    "LearnerConfig",
    "OffPolicyConfig",
    "OffPolicyLearner",
    "check_finite",
    "check_positive",
    "check_widths",
    "find_device",
    "task_config",
]

Config = TypeVar("Config", bound="LearnerConfig")


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """Settings of the training loop that all learners share.

    Attributes:
        steps: control periods to train for, of all rows together.
        num_envs: rows of the environment.
        learning_rate_decay: share of the learning rates that is left at the end; they fall linearly. 1 keeps them constant.
        gamma: discount per control period.
        temporal_smoothness: weight, in the actor's loss, of the squared change of its mean action from one observation to the next (CAPS, Mysore et
            al. 2021); 0 leaves it out.
        spatial_smoothness: likewise between an observation and one with a little noise.
        evaluate_every: control periods between evaluations; the best of them becomes the policy, see `Evaluation.score`.
        checkpoint_every: control periods between checkpoints. At each one all rows begin new episodes, so that a resumed training is the same.
        stop_at: mean return at which the training ends: as soon as an evaluation has it, that policy is the result.
        stop_at_success: likewise for the share of successes, 0 … 1; with both, both are asked for.
        device: where the networks are and learn: cpu, or cuda, cuda:1, … with an NVIDIA card. Environments and replay stay in main memory.
    """

    steps: int = 100_000
    num_envs: int = 1
    learning_rate_decay: float = 1.0
    gamma: float = 0.99
    temporal_smoothness: float = 0.0
    spatial_smoothness: float = 0.0
    evaluate_every: int = 2000
    checkpoint_every: int = 10_000
    stop_at: float | None = None
    stop_at_success: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(f"learning_rate_decay must be in (0, 1], got {self.learning_rate_decay}")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma must be in [0, 1), got {self.gamma}")
        for name in ("steps", "num_envs", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("temporal_smoothness", "spatial_smoothness"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if self.stop_at is not None and not math.isfinite(self.stop_at):
            raise ValueError(f"stop_at must be finite, got {self.stop_at}")
        if self.stop_at_success is not None and not 0 < self.stop_at_success <= 1:
            raise ValueError(f"stop_at_success must be in (0, 1], got {self.stop_at_success}")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device must be cpu, cuda or cuda:N, got {self.device!r}")

    @property
    def warm_up(self) -> int:
        """Control periods before anything is learned."""
        return 0

    @property
    def has_target(self) -> bool:
        """Whether the training may end before its last step."""
        return self.stop_at is not None or self.stop_at_success is not None

    def reached(self, evaluation: Evaluation) -> bool:
        """Whether a score ends the training.

        Raises:
            ValueError: a share of successes is asked for, and the task does not say what success is.
        """
        if self.stop_at_success is not None and evaluation.success is None:
            raise ValueError("stop_at_success needs a task that says what success is, and this one does not; use stop_at")
        targets = ((self.stop_at, evaluation.mean_return), (self.stop_at_success, evaluation.success))
        return self.has_target and all(target is None or (value is not None and value >= target) for target, value in targets)


@dataclass(frozen=True, slots=True)
class OffPolicyConfig(LearnerConfig):
    """Settings of a learner that remembers everything and draws batches from it.

    Attributes:
        update_ratio: updates per control period of a row.
        tau: Polyak factor of the target networks per update.
        n_step: control periods of reward before the critic is asked.
        batch_size: transitions per update.
        learning_starts: control periods before the first update.
        buffer_size: transitions kept.
    """

    update_ratio: float = 1.0
    tau: float = 0.005
    n_step: int = 1
    batch_size: int = 256
    learning_starts: int = 1000
    buffer_size: int = 1_000_000

    def __post_init__(self) -> None:
        LearnerConfig.__post_init__(self)  # super() does not find its way in a class with slots
        if not 0 < self.tau <= 1:
            raise ValueError(f"tau must be in (0, 1], got {self.tau}")
        if not 0 < self.update_ratio < math.inf:
            raise ValueError(f"update_ratio must be > 0, got {self.update_ratio}")
        if self.learning_starts < 0:
            raise ValueError(f"learning_starts must be >= 0, got {self.learning_starts}")
        for name in ("n_step", "batch_size", "buffer_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.batch_size > self.buffer_size:
            raise ValueError(f"batch_size must be <= buffer_size {self.buffer_size}, got {self.batch_size}")

    @property
    def warm_up(self) -> int:
        """See `LearnerConfig.warm_up`."""
        return self.learning_starts


def task_config(kind: type[Config], task: str, algorithm: str, *variants: str) -> Config:
    """The tuned settings of a task, from the data file beside this module, or the defaults if there are none.

    A key with a colon holds for all tasks of outside suites whose names begin with it; later ones in the file replace earlier ones.

    Args:
        kind: of the settings.
        task: name.
        algorithm: name of the file.
        variants: keys of the file whose settings replace those of any task, and of the variants before.
    """
    settings = strict.load_yaml(Path(__file__).with_name(f"{algorithm}.yaml")) or {}
    chosen: dict[str, Any] = {}
    for name in [name for name in settings if name == task or (":" in name and task.startswith(name))] + list(variants):
        chosen |= settings[name]
    return strict.decode(kind, chosen, f"{algorithm}.yaml: {task}")


class Learner(Protocol):
    """What learns.

    Attributes:
        algorithm: its name on the command line.
        contract: of the policy that it exports.
        warms_up_at_random: whether the first actions are uniform; otherwise the untrained policy makes them.
    """

    algorithm: str
    contract: Contract
    warms_up_at_random: bool

    def act(self, observation: Mapping[str, Array], previous: Array, fresh: Array) -> Array:
        """Explore.

        Args:
            observation: `[rows, history, *shape]` per signal.
            previous: executed action, `[rows, A]`, in [−1, 1].
            fresh: rows whose earlier decisions no longer hold, because an episode began or the guard held, `[rows]`.

        Returns:
            actions `[rows, A]`, of which what is beyond [−1, 1] is cut off before it is executed.
        """
        ...

    def ended(self, returns: Sequence[float]) -> None:
        """Episodes ended, and others begin: here a learner may change by more than an update changes it.

        Args:
            returns: what each of them earned, undiscounted, with the price of a stop; without those that are no experience of the task.
        """
        ...

    def policy(self) -> nn.Module:
        """The deterministic policy: raw SI observations → SI actions `[B, H, A]`."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """What the manifest says besides the settings; plain data."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, by name."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` told."""
        ...


class OffPolicyLearner(Learner, Protocol):
    """A learner that updates from batches of whatever was remembered."""

    def update(self, draw: Callable[[], Batch], rate: float) -> Mapping[str, float]:
        """Learn from fresh batches.

        Args:
            draw: draws one.
            rate: factor of the learning rates.

        Returns:
            losses and diagnostics.

        Raises:
            DivergedError: a loss or a gradient is not finite; nothing was learned from that batch.
        """
        ...


class DivergedError(ValueError):
    """A loss or a gradient is not finite."""


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: it is not there; the message says what is.
    """
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"cuda:0 … cuda:{count - 1}" if count else f"no NVIDIA card that PyTorch {torch.__version__} can use"
        raise ValueError(f"device {name!r} is not there: this machine has cpu and {there}")
    return device


def check_finite(losses: Mapping[str, float]) -> None:
    """Refuse losses and lengths of gradients that are not finite.

    Raises:
        DivergedError: the message names it.
    """
    for name, value in losses.items():
        if not math.isfinite(value):
            raise DivergedError(f"{name} is {value}")


def check_positive(config: LearnerConfig, *names: str) -> None:
    """Refuse settings that must be > 0 and are not.

    Raises:
        ValueError: the message names the setting.
    """
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be > 0, got {getattr(config, name)}")


def check_widths(config: LearnerConfig, *names: str) -> None:
    """Refuse settings that are no widths of layers.

    Raises:
        ValueError: the message names the setting.
    """
    for name in names:
        if not getattr(config, name) or min(getattr(config, name)) < 1:
            raise ValueError(f"{name} must be widths >= 1, got {getattr(config, name)}")
