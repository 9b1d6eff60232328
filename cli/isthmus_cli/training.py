"""Runs a learner on a task: environment, evaluations, progress and what is said about them; shared by the commands `isthmus train …`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_cli.collectors import CollectorEnv, Collectors
from isthmus_cli.console import say, show_table
from isthmus_cli.evaluation import evaluate
from isthmus_cli.film import check_format
from isthmus_cli.offline import Recordings, find_recordings, load_recordings
from isthmus_cli.progress import Progress
from isthmus_cli.seeds import parse_seeds, seed_folder, train_seeds
from isthmus_cli.suite_evaluation import evaluate_suite
from isthmus_cli.training_film import training_film
from isthmus_policies.dsac_t import DsacT
from isthmus_policies.learner import LearnerConfig
from isthmus_policies.outcome import Evaluation, TrainingResult
from isthmus_policies.sac import Sac
from isthmus_policies.session import check_resumable
from isthmus_policies.srl import Srl
from isthmus_policies.training import train
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import Randomization, load_randomization, randomized_plant
from isthmus_sim.suites import SuiteTask, SuiteVectorEnv, get_suite_task, is_suite_task
from isthmus_sim.systems import is_system
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["find_task", "git_state", "named_task", "run_training", "score_text", "train_shown", "training_environment"]

EVALUATION_EPISODES = 50
SUITE_EVALUATION_EPISODES = 10  # outside suites step their rows one by one
EVALUATION_SEED = 10**6  # far from the seeds that `isthmus eval` uses, so that the best policy is not chosen on them
INTERRUPTED = 130

_LEARNERS: Mapping[str, Callable[..., Any]] = {"sac": Sac, "dsac-t": DsacT, "srl": Srl}


def find_task(name: str) -> Task | SuiteTask:
    """A task of ours, or with a prefix one of an outside suite.

    Raises:
        ValueError: unknown, or an analytic model; the message lists the known ones.
    """
    if is_system(name):
        raise ValueError(f"{name!r} is an analytic model without a robot, which plans are made for: isthmus train npc {name}")
    return get_suite_task(name) if is_suite_task(name) else get_task(name)


def named_task(words: Sequence[str]) -> str | None:
    """The task of ours among what was typed, whose settings are then the defaults; None if there is none.

    Raises:
        ValueError: the first word is no task; the message lists the known ones.
    """
    if words and not words[0].startswith("-") and (is_system(words[0]) or not is_suite_task(words[0])):
        find_task(words[0])
    return next((word for word in words if word in task_names()), None)


def run_training(
    algorithm: str,
    task_name: str,
    config: LearnerConfig,
    *,
    seed: int,
    out: Path | None,
    plant: str,
    randomize: Path | None,
    resume: bool,
    engine: str = "isthmus",
    video_every: int | None = None,
    seeds: str | None = None,
    jobs: int | None = None,
    offline: Sequence[Path] = (),
    offline_share: float = 0.5,
    collectors: Collectors | None = None,
) -> int:
    """Check what was typed, train, and say what came of it.

    Args:
        algorithm: name of the learner.
        task_name: as typed.
        config: settings of the learner.
        seed: of networks, exploration, replay and episodes.
        out: folder for the results; None means runs/ALGORITHM-TASK-SEED, or runs/ALGORITHM-TASK for several seeds.
        plant: engine to train in.
        randomize: file of parameters to draw for each episode.
        resume: continue the training in the folder.
        engine: "isthmus", or "sb3" for stable-baselines3.
        video_every: control periods between films; None for no films.
        seeds: of several trainings side by side, such as 0-4, in place of `seed`.
        jobs: how many of them at a time; None means one per core.
        offline: recordings to learn from beside the fresh experience, MCAP files and folders of them.
        offline_share: of each batch that is drawn from them.
        collectors: processes that step the environments; None means this one.

    Returns:
        exit code.

    Raises:
        ValueError: unknown task or plant, or the folder holds something else; the message says what to do.
    """
    task = find_task(task_name)
    if plant not in plant_names():
        raise ValueError(f"unknown plant {plant!r}; {strict.suggest(plant, plant_names())}")
    recordings = find_recordings(offline, offline_share) if offline else None
    if recordings and engine == "sb3":
        raise ValueError("--engine sb3 cannot learn from recordings; leave --offline or --engine out")
    if collectors:
        collectors.check(config.num_envs)
        if engine == "sb3":
            raise ValueError("--engine sb3 steps its environments itself; leave --collectors or --engine out")
        if seeds is not None:
            raise ValueError("--seeds trains in processes of its own; leave --collectors or --seeds out")
    randomization = load_randomization(randomize) if randomize else None
    if isinstance(task, SuiteTask) and (plant != "mujoco" or randomize):
        raise ValueError(f"{task_name!r} runs in a suite's own simulation, so --plant and --randomize cannot be used with it")
    if video_every is not None:
        _check_films(video_every, engine)
    name = Path("runs") / f"{algorithm}-{task_name.replace(':', '-').replace('/', '-')}"
    if seeds is not None:
        out, chosen = out or name, parse_seeds(seeds)
        if seed:
            raise ValueError(f"--seed {seed} and --seeds {seeds} cannot be used together")
        for one in chosen:
            _check_folder(seed_folder(out, one), algorithm, one, config, resume, recordings)
        one_seed = partial(
            run_training,
            algorithm,
            task_name,
            config,
            plant=plant,
            randomize=randomize,
            resume=resume,
            engine=engine,
            video_every=video_every,
            offline=offline,
            offline_share=offline_share,
        )
        return train_seeds(one_seed, chosen, out, jobs=jobs, steps=config.steps, algorithm=algorithm, task=task_name)
    if jobs is not None:
        raise ValueError(f"--jobs goes with --seeds, got --jobs {jobs}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    out = out or name.with_name(f"{name.name}-{seed}")
    _check_folder(out, algorithm, seed, config, resume, recordings)
    if isinstance(task, SuiteTask):
        say(f"{task_name}: {task.description}; the suite's own simulation and reward, no guard")
    else:
        _show_reward(task)
    say(f"results: {out}")
    say(f"curves: tensorboard --logdir {out / 'tensorboard'}")

    result = train_shown(
        algorithm,
        task,
        plant,
        config,
        seed,
        out,
        f"{algorithm} {task_name}",
        randomization=randomization,
        resume=resume,
        engine=engine,
        video_every=video_every,
        recordings=recordings,
        collectors=collectors,
    )
    if isinstance(task, Task) and task.specification:
        for path in (result.policy, result.policy.with_name("last.isthmus")):
            replace(Artifact.load(path), specification=task.specification).save(path)
    if result.interrupted:
        say(f"interrupted after {result.steps} of {config.steps} control periods")
    if result.reached:
        say(f"the target was reached after {result.steps} of {config.steps} control periods")
    if result.best:
        say(f"best of the evaluations: {score_text(result.best)}")
    say(f"checkpoint: {result.checkpoint}")
    say(f"policy: {result.policy}")
    say(f"next: isthmus eval {result.policy}{'' if isinstance(task, SuiteTask) else ' --plant pybullet'}")
    return INTERRUPTED if result.interrupted else 0


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
        resume: continue the training in the folder, if there is one.
        engine: "isthmus", or "sb3" for stable-baselines3.
        video_every: control periods between films of an evaluation episode, in `out`/videos; None for no films.
        recordings: what to learn from beside the fresh experience; not with "sb3".
        collectors: processes that step the environments; not with "sb3". None means this one.

    Raises:
        ValueError: unknown plant, a parameter that cannot be drawn, or a task that the learner cannot learn.
    """
    learner = _LEARNERS[algorithm](task.contract, config, seed) if engine == "isthmus" else None
    if learner:
        task = replace(task, contract=learner.contract)
    replan = learner.summary().get("replan") if learner else None

    def score(policy: Policy) -> Evaluation:
        seed = EVALUATION_SEED
        if isinstance(task, SuiteTask):
            summary = evaluate_suite(task, policy, episodes=SUITE_EVALUATION_EPISODES, seed=seed, replan=replan)
        else:
            summary = evaluate(task, policy, plant, episodes=EVALUATION_EPISODES, seed=seed, replan=replan, randomization=randomization)
        return Evaluation(summary["return"]["mean"], summary["success"]["rate"] if summary["success"] else None)

    offline = load_recordings(recordings, task, learner.contract, quiet) if recordings and learner else None
    film = None
    if video_every:
        film = training_film(task, plant, EVALUATION_SEED, out / "videos", replan=replan, randomization=randomization)
    made = (plant, config.num_envs, randomization, out / "explosions")
    env: Any = CollectorEnv(task.name, task.contract, *made, collectors) if collectors else training_environment(task, *made)
    notes: dict[str, Any] = {"randomization": randomization.summary()} if randomization else {}
    if offline:
        notes["offline"] = offline.identity
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

            told: dict[str, Any] = {"config": config, "seed": seed, "progress": show, "git": git_state(), "notes": notes}
            if learner is None:
                return _train_sb3(task, env, score, out, told)
            if film:
                told |= {"film": film, "film_every": video_every}
            return train(learner, env, score, out, resume=resume, offline=offline, **told)
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


def _check_folder(out: Path, algorithm: str, seed: int, config: LearnerConfig, resume: bool, recordings: Recordings | None) -> None:
    """See that a folder is free, or holds the training that is to be resumed."""
    if out.is_file():
        raise ValueError(f"{out} is a file; --out is a folder")
    if (out / "config.json").exists():
        if not resume:
            raise ValueError(f"{out} already holds a training; continue it with --resume, remove it or choose another --out")
        check_resumable(out, algorithm, seed, config, recordings.identity if recordings else None)


def _check_films(every: int, engine: str) -> None:
    if every < 1:
        raise ValueError(f"video_every must be >= 1, got {every}")
    if engine == "sb3":
        raise ValueError("a training with --engine sb3 cannot be filmed; film its policy with: isthmus eval POLICY --video FILE.mp4")
    check_format(Path("film.mp4"))


def training_environment(
    task: Task | SuiteTask, plant: str, rows: int, randomization: Randomization | None, dumps: Path
) -> TaskVectorEnv | SuiteVectorEnv:
    """The environment of a training; `dumps` is the folder for explosions of the physics."""
    if isinstance(task, SuiteTask):
        return SuiteVectorEnv(task, rows)
    simulator, sampler = randomized_plant(plant, task, rows, randomization)
    return TaskVectorEnv(task, simulator, randomization=sampler, dumps=dumps)


def _train_sb3(
    task: Task | SuiteTask, env: Any, score: Callable[[Policy], Evaluation], out: Path, told: Mapping[str, Any]
) -> TrainingResult:
    from isthmus_policies.sb3_sac import train_sb3_sac
    from isthmus_sim.sb3 import Sb3VecEnv

    return train_sb3_sac(task.contract, Sb3VecEnv(env, told["seed"]), score, out, **told)


def _show_reward(task: Task) -> None:
    rows = [(term.name, term.weight, term.unit) for term in task.reward]
    show_table(f"reward of {task.name}: weighted sum of", ("term", "weight", "unit of the term"), rows)
    say(f"success: {task.success}, in each of the last {task.success_steps} control periods of an episode")
