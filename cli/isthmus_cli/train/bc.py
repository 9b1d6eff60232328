"""`isthmus train bc`: behaviour cloning, from recordings or a task's script to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_policies.bc import BcConfig, bc_config

__all__ = ["TrainBc"]


@dataclass(frozen=True, slots=True)
class TrainBc(TrainOptions):
    """Clone what recordings did (--offline), or the task's scripted solution (--scripted), by regression. Defaults are those tuned for the task.

    A step is an update. The policy is a start for: isthmus train sac TASK --from POLICY.

    Attributes:
        config: settings of the learner.
    """

    algorithm: ClassVar[str] = "bc"
    config: BcConfig = field(default_factory=BcConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainBc:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words)
        return cls(task=tyro.MISSING, config=bc_config(name) if name else BcConfig())

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        return self.train(self.config)
