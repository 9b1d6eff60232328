"""`isthmus train drqv2`, `drm` and `mentor`: from pictures to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.train.options import TrainOptions
from isthmus_cli.train.tasks import check_sees, find_task, named_suite_task
from isthmus_policies.mentor.config import MentorConfig, mentor_config

__all__ = ["COMMANDS", "TrainDrm", "TrainDrqv2", "TrainMentor", "TrainPixels"]


@dataclass(frozen=True, slots=True)
class TrainPixels(TrainOptions):
    """What the commands have in common that learn from pictures.

    Attributes:
        small: narrow networks and pictures of half the size, for a computer without a card; settings of their own are still heeded.
        config: settings of the learner.
    """

    small: bool = False
    config: MentorConfig = field(default_factory=MentorConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainPixels:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = cls.named(words) or named_suite_task(words) or ""
        return cls(task=tyro.MISSING, config=mentor_config(cls.algorithm, name, small="--small" in words))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, a task without pictures, or a setting out of range.
        """
        check_sees(find_task(self.task_name), self.algorithm)
        return self.train(self.config)


@dataclass(frozen=True, slots=True)
class TrainDrqv2(TrainPixels):
    """Train with DrQ-v2 (Yarats et al. 2021), from pictures. Defaults are those tuned for the task."""

    algorithm: ClassVar[str] = "drqv2"


@dataclass(frozen=True, slots=True)
class TrainDrm(TrainPixels):
    """Train with DrM (Xu et al. 2023), from pictures: DrQ-v2 with noise, exploitation and perturbation of weights by the share of dormant neurons."""

    algorithm: ClassVar[str] = "drm"


@dataclass(frozen=True, slots=True)
class TrainMentor(TrainPixels):
    """Train with MENTOR (Huang et al. 2024), from pictures: DrM with experts in the actor, and weights perturbed towards past good agents."""

    algorithm: ClassVar[str] = "mentor"


COMMANDS: tuple[type[TrainPixels], ...] = (TrainDrqv2, TrainDrm, TrainMentor)
