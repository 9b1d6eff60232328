"""`isthmus train sac`: soft actor-critic in simulation, from a task to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_cli.train.tasks import find_task
from isthmus_policies.reactive import check_reactive
from isthmus_policies.sac import SacConfig, sac_config

__all__ = ["TrainSac"]


@dataclass(frozen=True, slots=True)
class TrainSac(TrainOptions):
    """Train with soft actor-critic (Haarnoja et al. 2018). Defaults are those tuned for the task.

    Attributes:
        engine: isthmus, or sb3 for the implementation of stable-baselines3, which cannot be resumed.
        fast: 64 rows and few updates, for a policy in less time; settings of their own are still heeded.
        config: settings of the learner.
    """

    algorithm: ClassVar[str] = "sac"
    engine: Literal["isthmus", "sb3"] = "isthmus"
    fast: bool = False
    config: SacConfig = field(default_factory=SacConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainSac:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words)
        return cls(task=tyro.MISSING, config=sac_config(name or "", fast="--fast" in words))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        if self.engine == "sb3" and self.resume:
            raise ValueError("a training with --engine sb3 cannot be resumed")
        check_reactive(find_task(self.task_name).contract)
        return self.train(self.config, self.engine)
