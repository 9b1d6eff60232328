"""`isthmus train srl`: sequence reinforcement learning in simulation, from a task to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_policies.srl import SrlConfig, srl_config

__all__ = ["TrainSrl"]


@dataclass(frozen=True, slots=True)
class TrainSrl(TrainOptions):
    """Train with sequence reinforcement learning (Patel & Siegelmann 2025): one decision per several actions. Defaults are those tuned for the task.

    Attributes:
        config: settings of the learner.
    """

    algorithm: ClassVar[str] = "srl"
    config: SrlConfig = field(default_factory=SrlConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainSrl:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words)
        return cls(task=tyro.MISSING, config=srl_config(name) if name else SrlConfig())

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        return self.train(self.config)
