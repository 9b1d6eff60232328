"""`isthmus train dsac-t`: distributional soft actor-critic in simulation, from a task to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_policies.dsac_t import DsacTConfig, dsac_t_config

__all__ = ["TrainDsacT"]


@dataclass(frozen=True, slots=True)
class TrainDsacT(TrainOptions):
    """Train with DSAC-T, distributional soft actor-critic (Duan et al. 2023). Defaults are those tuned for the task.

    Attributes:
        fast: 64 rows and few updates, for a policy in less time; settings of their own are still heeded.
        config: settings of the learner.
    """

    algorithm: ClassVar[str] = "dsac-t"
    fast: bool = False
    config: DsacTConfig = field(default_factory=DsacTConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainDsacT:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words)
        return cls(task=tyro.MISSING, config=dsac_t_config(name or "", fast="--fast" in words))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        return self.train(self.config)
