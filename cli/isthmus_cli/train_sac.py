"""`isthmus train sac`: soft actor-critic in simulation, from a task to a policy file."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

import isthmus_sim
from isthmus import strict
from isthmus.policy import Policy
from isthmus_cli.console import say, show_table
from isthmus_cli.evaluation import evaluate
from isthmus_cli.progress import Progress
from isthmus_policies.sac import Evaluation, SacConfig, TrainingResult, sac_config, train_sac
from isthmus_sim.plants import plant_names
from isthmus_sim.sb3 import Sb3VecEnv
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

__all__ = ["TrainSac", "score_text", "train_shown"]

EVALUATION_EPISODES = 50
EVALUATION_SEED = 10**6  # far from the seeds that `isthmus eval` uses, so that the best policy is not chosen on them
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class TrainSac:
    """Train with soft actor-critic (Haarnoja et al. 2018). Defaults are those tuned for the task.

    The folder gets policy.isthmus (the best of the evaluations), last.isthmus, checkpoints/, tensorboard/ and metrics.jsonl. Ctrl-C ends
    the training early and keeps all of it.

    Attributes:
        task: name of the task; `isthmus tasks` lists them.
        seed: seed of networks, exploration, replay and episodes.
        out: folder for the results; by default runs/sac-TASK-SEED.
        plant: engine to train in, mujoco or pybullet.
        config: settings of the learner.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    seed: int = 0
    out: Path | None = None
    plant: str = "mujoco"
    config: SacConfig = field(default_factory=SacConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainSac:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        if words and not words[0].startswith("-"):
            get_task(words[0])
        name: Any = next((word for word in words if word in task_names()), tyro.MISSING)
        return cls(task=tyro.MISSING, config=SacConfig() if name is tyro.MISSING else sac_config(name))

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or plant, or a setting out of range.
        """
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        task = get_task(self.task)
        out = self.out or Path("runs") / f"sac-{self.task}-{self.seed}"
        if self.plant not in plant_names():
            raise ValueError(f"unknown plant {self.plant!r}; {strict.suggest(self.plant, plant_names())}")
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "config.json").exists():
            raise ValueError(f"{out} already holds a training; remove it or choose another --out")
        rows = [(term.name, term.weight, term.unit) for term in task.reward]
        show_table(f"reward of {self.task}: weighted sum of", ("term", "weight", "unit of the term"), rows)
        say(f"success: {task.success}, in each of the last {task.success_steps} control periods of an episode")
        say(f"results: {out}")
        say(f"curves: tensorboard --logdir {out / 'tensorboard'}")

        result = train_shown(task, self.plant, self.config, self.seed, out, f"sac {self.task}")
        if result.interrupted:
            say(f"interrupted after {result.steps} of {self.config.steps} control periods")
        if result.best:
            say(f"best of the evaluations: {score_text(result.best)}")
        say(f"checkpoint: {result.checkpoint}")
        say(f"policy: {result.policy}")
        say(f"next: isthmus eval {result.policy} --plant pybullet")
        return INTERRUPTED if result.interrupted else 0


def train_shown(task: Task, plant: str, config: SacConfig, seed: int, out: Path, label: str, quiet: bool = False) -> TrainingResult:
    """Train one environment of a task, with a progress bar.

    Args:
        task: what is asked.
        plant: engine to train and to select the best policy in.
        config: settings of the learner.
        seed: of networks, exploration, replay and episodes.
        out: folder for the results.
        label: words before the bar.
        quiet: print nothing.

    Raises:
        ValueError: unknown plant.
    """

    def score(policy: Policy) -> Evaluation:
        summary = evaluate(task, policy, plant, episodes=EVALUATION_EPISODES, seed=EVALUATION_SEED)
        return Evaluation(summary["return"]["mean"], summary["success"]["rate"])

    env = Sb3VecEnv(isthmus_sim.make_vec(task.name, 1, plant), seed)
    try:
        with Progress(label, "control periods", quiet=quiet) as progress:

            def show(step: int, total: int, evaluation: Evaluation | None) -> None:
                progress(step, total, score_text(evaluation) if evaluation else "")

            return train_sac(task.contract, env, score, out, config=config, seed=seed, progress=show, git=git_state())
    finally:
        env.close()


def score_text(evaluation: Evaluation) -> str:
    """Return and success, in words."""
    return f"return {evaluation.mean_return:.1f}, success {evaluation.success:.2f}"


def git_state() -> str:
    """Commit of the source tree that this package lies in, with "-dirty" where it was changed; "" if that is not known."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
