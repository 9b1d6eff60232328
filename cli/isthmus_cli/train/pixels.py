"""`isthmus train drqv2`, `drm` and `mentor`: from pictures to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import tyro

from isthmus_cli.console import say
from isthmus_cli.train.options import TrainOptions
from isthmus_cli.train.tasks import check_sees, find_task, named_suite_task
from isthmus_policies.mentor.config import MentorConfig, mentor_config

__all__ = ["COMMANDS", "TrainDrm", "TrainDrqv2", "TrainMentor", "TrainPixels", "software_sentence"]

_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")


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
        if self.config.device != "cpu":
            from isthmus_sim.rendering import drawn_by

            if sentence := software_sentence(drawn_by()):
                say(sentence)
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


def software_sentence(driver: str) -> str:
    """That pictures are drawn by the processor, if what OpenGL calls its renderer does so; else ""."""
    if not any(name in driver.lower() for name in _SOFTWARE):
        return ""
    return f"pictures are drawn by the processor ({driver}), though the networks learn on a card: that will be the slower part"


COMMANDS: tuple[type[TrainPixels], ...] = (TrainDrqv2, TrainDrm, TrainMentor)
