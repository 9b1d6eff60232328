"""What `isthmus train sac`, `dsac-t`, `srl`, `ppo`, `bc` and those from pictures have in common: everything but the learner and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from isthmus.robot import robot_names
from isthmus.strict import suggest
from isthmus_cli.train.collectors import chosen_collectors
from isthmus_cli.train.command import run_training
from isthmus_cli.train.robot import Robot
from isthmus_cli.train.seeds import parse_seeds, seed_folder
from isthmus_cli.train.tasks import named_task
from isthmus_policies.identity import holds_checkpoint
from isthmus_policies.learner import LearnerConfig

__all__ = ["TrainOptions"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What a training is asked for.

    Attributes:
        algorithm: name of the learner.
        outcome: what a training leaves, for the help of the command.
        task: name of the task; `isthmus tasks` lists them. With a prefix, one of an outside suite, such as gym:HalfCheetah-v5; with @84, from pixels.
        robot: arm that reaches in place of the UR5e, with the task reach; the task's name is then reach-ROBOT. `isthmus robots` lists them.
        seed: seed of networks, exploration, replay and episodes.
        out: folder for the results; by default runs/ALGORITHM-TASK-SEED.
        plant: engine to train in, mujoco or pybullet; or ros, a robot on ROS 2 topics (sac, dsac-t, drqv2, drm and mentor).
        randomize: YAML file of physical parameters to draw for each episode, in training and in the evaluations that choose the best policy; by
            default servo gain, delay, lag, damping and rotor inertia, as far as the engine has them, and with none nothing; with a
            calibration, nothing.
        calibration: file that `isthmus identify` wrote: its values hold for all that --randomize does not draw.
        cadence: cadence report of a robot's loop, as `isthmus eval --plant ros --json` writes it: its times from wake-up to command are drawn as the
            delay of commands, on top of the robot's own, in place of what else would be drawn for it.
        resume: continue the training in the folder from its newest checkpoint; with more --steps it goes on for longer.
        overwrite: begin anew in a folder that holds a training, and remove what that one wrote.
        from_: policy file to start from, which the same algorithm trained for the same task, or bc before sac: its actor is continued, the critics
            begin anew.
        video_every: film an evaluation episode every so many control periods, as videos/step_….mp4.
        seeds: train several seeds side by side, such as 0-4 or 0,3,7, in place of --seed. Each has a folder seed-N below --out, by default
            runs/ALGORITHM-TASK; aggregate.json and aggregate.png there sum them up. Ctrl-C ends all, --resume continues all.
        jobs: of these, how many at a time; by default one per core.
        offline: recordings to learn from beside the fresh experience: MCAP files, and folders of them, of a robot or of `isthmus eval --record`.
        scripted: run so many episodes of the task's scripted solution first, and learn from them as from --offline.
        offline_share: share of each batch that is drawn from the recordings (Ball et al. 2023), in (0, 1).
        collectors: step the environments in so many processes of Ray, each --num-envs / N rows; the result is the same. By default in this process.
        clock: with ros: wall (real time) or stepped (a simulated robot waits for the learner; not from pictures); with --attach that of the nodes
            counts.
        attach: with ros: train on the robot and the guard that already run, instead of starting a simulated robot. A person arms the guard.
        corrections: with ros: a person may take over while the policy runs, with commands on policy/correction that count for 0.2 s.
        traces: with ros: path prefix of MCAP traces, one per episode.
        address: of a Ray cluster for the collectors, such as ray-head:6379, or auto; by default Ray is started on this machine.
    """

    algorithm: ClassVar[str] = ""
    outcome: ClassVar[str] = (
        "The folder gets policy.isthmus (the best of the evaluations), last.isthmus, checkpoints/, tensorboard/, metrics.jsonl and training.jsonl. "
        "Ctrl-C ends the training early, keeps these files and writes a checkpoint; the same command with --resume goes on from there. A training "
        "that was killed goes on from its newest checkpoint (see --checkpoint-every), with the result that it would have had anyway."
    )
    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    robot: str | None = None
    seed: int = 0
    out: Path | None = None
    plant: str = "mujoco"
    randomize: Path | None = None
    calibration: Path | None = None
    cadence: Path | None = None
    resume: bool = False
    overwrite: bool = False
    from_: Annotated[Path | None, tyro.conf.arg(name="from", metavar="POLICY")] = None
    video_every: int | None = None
    seeds: str | None = None
    jobs: int | None = None
    offline: tuple[Path, ...] = ()
    scripted: int | None = None
    offline_share: float = 0.5
    collectors: int | None = None
    address: str | None = None
    clock: str = Robot().clock
    attach: bool = False
    corrections: bool = False
    traces: Path | None = None

    @staticmethod
    def named(words: Sequence[str]) -> str | None:
        """The task among the words whose settings are the defaults; see `named_task`."""
        return named_task(words)

    @property
    def task_name(self) -> str:
        """The task with the robot that was chosen.

        Raises:
            ValueError: a robot is given, and the task is not reach.
        """
        if self.robot is None:
            return self.task
        if self.task != "reach":
            raise ValueError(f"--robot goes with the task reach, got {self.task!r}; other tasks have a robot of their own")
        if self.robot not in (known := robot_names()):
            raise ValueError(f"unknown robot {self.robot!r}; {suggest(self.robot, known)}")
        return f"reach-{self.robot}"

    def goes_on(self) -> str | None:
        """What to add to the command after Ctrl-C; None if there is nothing to go on with."""
        if getattr(self, "engine", "isthmus") != "isthmus":
            return None
        folders = [self.folder] if self.seeds is None else [seed_folder(self.folder, seed) for seed in parse_seeds(self.seeds)]
        return "--resume" if any(map(holds_checkpoint, folders)) else None

    @property
    def folder(self) -> Path:
        """Folder for the results; of several seeds, that of all of them."""
        if self.out:
            return self.out
        name = f"{self.algorithm}-{self.task_name.replace(':', '-').replace('/', '-')}"
        return Path("runs") / (name if self.seeds is not None else f"{name}-{self.seed}")

    def train(self, config: LearnerConfig, engine: str = "isthmus") -> int:
        """Train and return the exit code; see `run_training`."""
        return run_training(
            self.algorithm,
            self.task_name,
            config,
            seed=self.seed,
            out=self.folder,
            plant=self.plant,
            randomize=self.randomize,
            calibration=self.calibration,
            cadence=self.cadence,
            resume=self.resume,
            overwrite=self.overwrite,
            start=self.from_,
            engine=engine,
            video_every=self.video_every,
            seeds=self.seeds,
            jobs=self.jobs,
            offline=self.offline,
            scripted=self.scripted,
            offline_share=self.offline_share,
            collectors=chosen_collectors(self.collectors, self.address),
            robot=Robot(self.clock, self.attach, self.corrections, self.traces),
        )
