"""Trains a learner on a task: environment, evaluations and progress bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_cli.progress import Progress
from isthmus_cli.train.collectors import CollectorEnv, Collectors
from isthmus_cli.train.film import training_film
from isthmus_cli.train.offline import Recordings, load_recordings
from isthmus_cli.train.robot import Robot, judge, robot_environment
from isthmus_cli.train.tasks import training_environment
from isthmus_evidence.provenance import commit
from isthmus_evidence.statistics import success_interval
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_policies.bc import Bc
from isthmus_policies.dsac_t import DsacT
from isthmus_policies.identity import clear_training
from isthmus_policies.learner import LearnerConfig
from isthmus_policies.mentor.config import ALGORITHMS
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.outcome import Evaluation, TrainingResult
from isthmus_policies.ppo import Ppo
from isthmus_policies.sac import Sac
from isthmus_policies.srl import Srl
from isthmus_policies.training import train
from isthmus_policies.transfer import load_actor
from isthmus_sim.randomization import Randomization
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["score_text", "train_shown", "training_notes"]

EVALUATION_EPISODES = 50
SUITE_EVALUATION_EPISODES = 10  # outside suites step their rows one by one
EVALUATION_SEED = 10**6  # far from the seeds that `isthmus eval` uses, so that the best policy is not chosen on them

_LEARNERS: Mapping[str, Callable[..., Any]] = {
    "sac": Sac,
    "dsac-t": DsacT,
    "srl": Srl,
    "ppo": Ppo,
    "bc": Bc,
    **{name: partial(Mentor, algorithm=name) for name in ALGORITHMS},
}


def train_shown(
    algorithm: str,
    task: Task | SuiteTask,
    plant: str,
    config: LearnerConfig,
    seed: int,
    out: Path,
    label: str,
    *,
    quiet: bool = False,
    randomization: Randomization | None = None,
    resume: bool = False,
    engine: str = "isthmus",
    video_every: int | None = None,
    recordings: Recordings | None = None,
    collectors: Collectors | None = None,
    origin: Artifact | None = None,
    robot: Robot | None = None,
) -> TrainingResult:
    """Train on a task, with a progress bar.

    Args:
        algorithm: name of the learner.
        task: what is asked.
        plant: engine to train and to select the best policy in; an outside suite has its own.
        config: settings of the learner.
        seed: of networks, exploration, replay and episodes.
        out: folder for the results.
        label: words before the bar.
        quiet: print nothing.
        randomization: parameters to draw for each episode; its curricula follow the steps, and evaluations use the full ranges.
        resume: continue the training in the folder, if there is one; otherwise what one wrote there is removed.
        engine: "isthmus", or "sb3" for stable-baselines3.
        video_every: control periods between films of an evaluation episode, in `out`/videos; None for no films.
        recordings: what to learn from beside the fresh experience; not with "sb3".
        collectors: processes that step the environments; not with "sb3". None means this one.
        origin: policy whose actor is continued; not with "sb3".
        robot: train on ROS, in place of an engine; evaluations are then the newest training episodes.

    Raises:
        ValueError: unknown plant, a parameter that cannot be drawn, or a task that the learner cannot learn.
    """
    told_to_critic = {"hidden": _drawn(task, plant, randomization)} if algorithm == "ppo" else {}
    learner = _LEARNERS[algorithm](task.contract, config, seed, **told_to_critic) if engine == "isthmus" else None
    if learner:
        task = replace(task, contract=learner.contract)
        if origin:
            load_actor(learner, origin)
    replan = learner.summary().get("replan") if learner else None

    def score(policy: Policy) -> Evaluation:
        seed = EVALUATION_SEED
        if isinstance(task, SuiteTask):
            summary = evaluate_suite(task, policy, episodes=SUITE_EVALUATION_EPISODES, seed=seed, replan=replan)
        else:
            summary = evaluate_task(
                task, policy, plant, episodes=EVALUATION_EPISODES, seed=seed, replan=replan, randomization=randomization
            )
        return _evaluation(summary)

    offline = (
        load_recordings(recordings, task, learner.contract, quiet=quiet, plant="mujoco" if robot else plant)
        if recordings and learner
        else None
    )
    film = None
    if video_every:
        film = training_film(task, plant, EVALUATION_SEED, out / "videos", replan=replan, randomization=randomization)
    made = (plant, config.num_envs, randomization, out / "explosions")
    evaluate: Callable[[Policy], Evaluation] = score
    env: Any
    if robot and learner:
        env = robot_environment(task, learner, robot)
        evaluate = judge(env)
    else:
        env = CollectorEnv(task.name, task.contract, *made, collectors) if collectors else training_environment(task, *made)
    notes = training_notes(task, plant, randomization, recordings, origin)
    diverged = 0
    env.progress = 0.0
    try:
        with Progress(label, "control periods", quiet=quiet) as progress:

            def show(step: int, total: int, evaluation: Evaluation | None) -> None:
                nonlocal diverged
                if engine == "sb3":
                    env.progress = min(step / total, 1.0)
                news = [score_text(evaluation)] if evaluation else []
                if env.diverged > diverged:
                    diverged = env.diverged
                    news.append(f"physics exploded {diverged} times (isthmus view --dump {out / 'explosions'})")
                progress(step, total, ", ".join(news))

            if not resume:
                clear_training(out)
            told: dict[str, Any] = {"config": config, "seed": seed, "progress": show, "git": commit(), "notes": notes}
            if learner is None:
                return _train_sb3(task, env, score, out, told)
            if film:
                told |= {"film": film, "film_every": video_every}
            return train(learner, env, evaluate, out, resume=resume, offline=offline, experienced=origin is not None, **told)
    finally:
        env.close()


def training_notes(
    task: Task | SuiteTask,
    plant: str,
    randomization: Randomization | None,
    recordings: Recordings | None,
    origin: Artifact | None = None,
) -> dict[str, Any]:
    """What makes a training this one, beside its settings, as plain data: for its manifest, and so that it is not resumed with anything else."""
    notes: dict[str, Any] = {} if isinstance(task, SuiteTask) else {"plant": plant}
    if randomization:
        notes["randomization"] = randomization.summary()
    if recordings:
        notes["offline"] = recordings.identity
    if origin:
        notes["from"] = origin.policy_digest
    return notes


def _drawn(task: Task | SuiteTask, plant: str, randomization: Randomization | None) -> int:
    """How many parameters are drawn."""
    return len(randomization.bind(plant, task.parameters).names) if randomization and isinstance(task, Task) else 0


def _evaluation(summary: Mapping[str, Any]) -> Evaluation:
    """What the selection of a policy needs of a summary of episodes."""
    motion = summary["motion"] or {}
    shares = [motion[rung] for rung in ("clamped", "held", "stopped") if motion.get(rung) is not None]
    stopped = summary["ends"].get("stopped by the guard", 0) / summary["episodes"]
    success = summary["success"]["rate"] if summary["success"] else None
    reward = summary["return"]
    clamped, stopped = (sum(shares), stopped) if shares else (None, None)
    return Evaluation(reward["mean"], success, clamped, stopped, summary["episodes"], reward["low"], reward["high"])


def score_text(evaluation: Evaluation) -> str:
    """Return, success and what the guard had to do, in words, with 95 % intervals."""
    spread = "" if evaluation.low is None else f" ({evaluation.low:.1f} … {evaluation.high:.1f})"
    success = "" if evaluation.success is None else f", success {evaluation.success:.2f}"
    if evaluation.success is not None and evaluation.episodes:
        low, high = success_interval(round(evaluation.success * evaluation.episodes), evaluation.episodes)
        success += f" ({low:.2f} … {high:.2f})"
    clamped = "" if evaluation.clamped is None else f", clamped {100 * evaluation.clamped:.1f} %"
    count = "" if evaluation.episodes is None else f" in {evaluation.episodes} episodes"
    return f"return {evaluation.mean_return:.1f}{spread}{success}{clamped}{count}"


def _train_sb3(
    task: Task | SuiteTask, env: Any, score: Callable[[Policy], Evaluation], out: Path, told: Mapping[str, Any]
) -> TrainingResult:
    from isthmus_policies.sb3_sac import train_sb3_sac
    from isthmus_sim.sb3 import Sb3VecEnv

    return train_sb3_sac(task.contract, Sb3VecEnv(env, told["seed"]), score, out, **told)
