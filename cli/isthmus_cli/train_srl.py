"""`isthmus train srl`: sequence reinforcement learning in simulation, from a task to a policy file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from isthmus_cli.collectors import chosen_collectors
from isthmus_cli.training import named_task, run_training
from isthmus_policies.srl import SrlConfig, srl_config

__all__ = ["TrainSrl"]


@dataclass(frozen=True, slots=True)
class TrainSrl:
    """Train with sequence reinforcement learning (Patel & Siegelmann 2025): one decision per several actions. Defaults are those tuned for the task.

    The folder gets policy.isthmus (the best of the evaluations), last.isthmus, checkpoints/, tensorboard/, metrics.jsonl and training.jsonl. Ctrl-C
    ends the training early and keeps all of it; the same command with --resume continues from the newest checkpoint, with the result that it would
    have had without the interruption.

    Attributes:
        task: name of the task; `isthmus tasks` lists them. With a prefix, one of an outside suite, such as gym:HalfCheetah-v5; with @84, from pixels.
        seed: seed of networks, exploration, replay and episodes.
        out: folder for the results; by default runs/srl-TASK-SEED.
        plant: engine to train in, mujoco or pybullet.
        randomize: YAML file of physical parameters to draw for each episode, in training and in the evaluations that choose the best policy.
        resume: continue the training in the folder from its newest checkpoint.
        video_every: film an evaluation episode every so many control periods, as videos/step_….mp4.
        seeds: train several seeds side by side, such as 0-4 or 0,3,7, in place of --seed. Each has a folder seed-N below --out, by default
            runs/srl-TASK; aggregate.json and aggregate.png there sum them up. Ctrl-C ends all, --resume continues all.
        jobs: of these, how many at a time; by default one per core.
        offline: recordings to learn from beside the fresh experience: MCAP files, and folders of them, of a robot or of `isthmus eval --record`.
        offline_share: share of each batch that is drawn from the recordings (Ball et al. 2023), in (0, 1).
        collectors: step the environments in so many processes of Ray, each --num-envs / N rows; the result is the same. By default in this process.
        address: of a Ray cluster for the collectors, such as ray-head:6379, or auto; by default Ray is started on this machine.
        config: settings of the learner.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    seed: int = 0
    out: Path | None = None
    plant: str = "mujoco"
    randomize: Path | None = None
    resume: bool = False
    video_every: int | None = None
    seeds: str | None = None
    jobs: int | None = None
    offline: tuple[Path, ...] = ()
    offline_share: float = 0.5
    collectors: int | None = None
    address: str | None = None
    config: SrlConfig = field(default_factory=SrlConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainSrl:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        name = named_task(words)
        return cls(task=tyro.MISSING, config=srl_config(name) if name else SrlConfig())

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        return run_training(
            "srl",
            self.task,
            self.config,
            seed=self.seed,
            out=self.out,
            plant=self.plant,
            randomize=self.randomize,
            resume=self.resume,
            video_every=self.video_every,
            seeds=self.seeds,
            jobs=self.jobs,
            offline=self.offline,
            offline_share=self.offline_share,
            collectors=chosen_collectors(self.collectors, self.address),
        )
