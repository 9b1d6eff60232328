"""`isthmus train sac`: soft actor-critic in simulation, from a task to a policy file."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

import isthmus_sim
from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_cli.console import say, show_table
from isthmus_cli.evaluation import evaluate
from isthmus_cli.progress import Progress
from isthmus_cli.suite_evaluation import evaluate_suite
from isthmus_policies.sac import Evaluation, SacConfig, TrainingResult, check_reactive, sac_config, train_sac
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import Randomization, load_randomization
from isthmus_sim.sb3 import Sb3VecEnv
from isthmus_sim.suites import SuiteTask, SuiteVectorEnv, get_suite_task, is_suite_task
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

__all__ = ["TrainSac", "score_text", "train_shown"]

EVALUATION_EPISODES = 50
SUITE_EVALUATION_EPISODES = 10  # outside suites step their rows one by one
EVALUATION_SEED = 10**6  # far from the seeds that `isthmus eval` uses, so that the best policy is not chosen on them
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class TrainSac:
    """Train with soft actor-critic (Haarnoja et al. 2018). Defaults are those tuned for the task.

    The folder gets policy.isthmus (the best of the evaluations), last.isthmus, checkpoints/, tensorboard/ and metrics.jsonl. Ctrl-C ends
    the training early and keeps all of it.

    Attributes:
        task: name of the task; `isthmus tasks` lists them. With a prefix, one of an outside suite, such as gym:HalfCheetah-v5; with @84, from pixels.
        seed: seed of networks, exploration, replay and episodes.
        out: folder for the results; by default runs/sac-TASK-SEED.
        plant: engine to train in, mujoco or pybullet.
        randomize: YAML file of physical parameters to draw for each episode, in training and in the evaluations that choose the best policy.
        config: settings of the learner.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    seed: int = 0
    out: Path | None = None
    plant: str = "mujoco"
    randomize: Path | None = None
    config: SacConfig = field(default_factory=SacConfig)

    @classmethod
    def defaults(cls, words: Sequence[str]) -> TrainSac:
        """What holds where nothing is typed: the settings tuned for the task among the words.

        Raises:
            ValueError: the first word is no task; the message lists the known ones.
        """
        if words and not words[0].startswith("-") and not is_suite_task(words[0]):
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
        task: Task | SuiteTask = get_suite_task(self.task) if is_suite_task(self.task) else get_task(self.task)
        out = self.out or Path("runs") / f"sac-{self.task.replace(':', '-').replace('/', '-')}-{self.seed}"
        if self.plant not in plant_names():
            raise ValueError(f"unknown plant {self.plant!r}; {strict.suggest(self.plant, plant_names())}")
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        if (out / "config.json").exists():
            raise ValueError(f"{out} already holds a training; remove it or choose another --out")
        randomization = load_randomization(self.randomize) if self.randomize else None
        if isinstance(task, SuiteTask):
            if self.plant != "mujoco" or self.randomize:
                raise ValueError(f"{self.task!r} runs in a suite's own simulation, so --plant and --randomize cannot be used with it")
            say(f"{self.task}: {task.description}; the suite's own simulation and reward, no guard")
        else:
            _show_reward(task)
        check_reactive(task.contract)
        say(f"results: {out}")
        say(f"curves: tensorboard --logdir {out / 'tensorboard'}")

        result = train_shown(task, self.plant, self.config, self.seed, out, f"sac {self.task}", randomization=randomization)
        if isinstance(task, Task) and task.specification:
            for path in (result.policy, result.policy.with_name("last.isthmus")):
                dataclasses.replace(Artifact.load(path), specification=task.specification).save(path)
        if result.interrupted:
            say(f"interrupted after {result.steps} of {self.config.steps} control periods")
        if result.best:
            say(f"best of the evaluations: {score_text(result.best)}")
        say(f"checkpoint: {result.checkpoint}")
        say(f"policy: {result.policy}")
        say(f"next: isthmus eval {result.policy}{'' if isinstance(task, SuiteTask) else ' --plant pybullet'}")
        return INTERRUPTED if result.interrupted else 0


def _show_reward(task: Task) -> None:
    rows = [(term.name, term.weight, term.unit) for term in task.reward]
    show_table(f"reward of {task.name}: weighted sum of", ("term", "weight", "unit of the term"), rows)
    say(f"success: {task.success}, in each of the last {task.success_steps} control periods of an episode")


def train_shown(
    task: Task | SuiteTask,
    plant: str,
    config: SacConfig,
    seed: int,
    out: Path,
    label: str,
    quiet: bool = False,
    randomization: Randomization | None = None,
) -> TrainingResult:
    """Train one environment of a task, with a progress bar.

    Args:
        task: what is asked.
        plant: engine to train and to select the best policy in; an outside suite has its own.
        config: settings of the learner.
        seed: of networks, exploration, replay and episodes.
        out: folder for the results.
        label: words before the bar.
        quiet: print nothing.
        randomization: parameters to draw for each episode; its curricula follow the steps, and evaluations use the full ranges.

    Raises:
        ValueError: unknown plant, or a parameter that cannot be drawn.
    """

    def score(policy: Policy) -> Evaluation:
        if isinstance(task, SuiteTask):
            summary = evaluate_suite(task, policy, episodes=SUITE_EVALUATION_EPISODES, seed=EVALUATION_SEED)
        else:
            summary = evaluate(task, policy, plant, episodes=EVALUATION_EPISODES, seed=EVALUATION_SEED, randomization=randomization)
        return Evaluation(summary["return"]["mean"], summary["success"]["rate"] if summary["success"] else None)

    vector = (
        SuiteVectorEnv(task, 1)
        if isinstance(task, SuiteTask)
        else isthmus_sim.make_vec(task.name, 1, plant, randomization, out / "explosions")
    )
    env = Sb3VecEnv(vector, seed)
    env.set_attr("progress", 0.0)
    notes = {"randomization": randomization.summary()} if randomization else {}
    diverged = 0
    try:
        with Progress(label, "control periods", quiet=quiet) as progress:

            def show(step: int, total: int, evaluation: Evaluation | None) -> None:
                nonlocal diverged
                env.set_attr("progress", min(step / total, 1.0))
                news = [score_text(evaluation)] if evaluation else []
                if (count := env.get_attr("diverged")[0]) > diverged:
                    diverged = count
                    news.append(f"physics exploded {count} times (isthmus view --dump {out / 'explosions'})")
                progress(step, total, ", ".join(news))

            return train_sac(task.contract, env, score, out, config=config, seed=seed, progress=show, git=git_state(), notes=notes)
    finally:
        env.close()


def score_text(evaluation: Evaluation) -> str:
    """Return and success, in words."""
    return f"return {evaluation.mean_return:.1f}" + ("" if evaluation.success is None else f", success {evaluation.success:.2f}")


def git_state() -> str:
    """Commit of the source tree that this package lies in, with "-dirty" where it was changed; "" if that is not known."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
