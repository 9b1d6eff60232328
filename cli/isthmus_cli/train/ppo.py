"""`isthmus train ppo`: proximal policy optimisation in simulation, from a task to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_policies.ppo import PpoConfig, ppo_config

__all__ = ["TrainPpo"]


@dataclass(frozen=True, slots=True)
class TrainPpo(TrainOptions):
    """Train with proximal policy optimisation (Schulman et al. 2017) in many rows. Defaults are those tuned for the task.

    Attributes:
        config: settings of the learner.
    """

    algorithm: ClassVar[str] = "ppo"
    config: PpoConfig = field(default_factory=PpoConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainPpo:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words)
        return cls(task=tyro.MISSING, config=ppo_config(name) if name else PpoConfig())

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        return self.train(self.config)
