"""What `isthmus train sac` and the other learners do with what was typed: check it, train, and say what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus_cli.console import complain, say, show_table
from isthmus_cli.engines import check_engine
from isthmus_cli.files import load_artifact, nothing_to_resume
from isthmus_cli.train.collectors import Collectors
from isthmus_cli.train.offline import find_recordings, scripted_recordings
from isthmus_cli.train.randomization import NONE, chosen_randomization
from isthmus_cli.train.robot import Robot, chosen_robot, on_robot
from isthmus_cli.train.seeds import parse_seeds, seed_folder, train_seeds
from isthmus_cli.train.tasks import check_simulation, find_task
from isthmus_cli.train.training import score_text, train_shown, training_notes
from isthmus_evidence.pictures.film import check_format
from isthmus_policies.environment import LostError
from isthmus_policies.identity import check_resumable, holds_training, steps_done
from isthmus_policies.journal import written_steps
from isthmus_policies.learner import LearnerConfig, find_device
from isthmus_policies.outcome import TrainingResult
from isthmus_sim.identification.calibration import calibrated
from isthmus_sim.randomization import with_cadence
from isthmus_sim.suites import SuiteTask, reports_success
from isthmus_sim.task import Task

__all__ = ["run_training"]

INTERRUPTED = 130


def run_training(
    algorithm: str,
    task_name: str,
    config: LearnerConfig,
    *,
    seed: int,
    out: Path,
    plant: str,
    randomize: Path | None,
    resume: bool,
    calibration: Path | None = None,
    cadence: Path | None = None,
    overwrite: bool = False,
    start: Path | None = None,
    engine: str = "isthmus",
    video_every: int | None = None,
    seeds: str | None = None,
    jobs: int | None = None,
    offline: Sequence[Path] = (),
    scripted: int | None = None,
    offline_share: float = 0.5,
    collectors: Collectors | None = None,
    robot: Robot | None = None,
) -> int:
    """Check what was typed, train, and say what came of it.

    Args:
        algorithm: name of the learner.
        task_name: as typed.
        config: settings of the learner.
        seed: of networks, exploration, replay and episodes.
        out: folder for the results; of several seeds, that of all of them.
        plant: engine to train in.
        randomize: file of parameters to draw for each episode, or `none`; None draws the usual ones.
        calibration: file of values for all that is not drawn.
        cadence: report of a loop whose times become the delay of commands.
        resume: continue the training in the folder; with several seeds, those that have begun.
        overwrite: begin anew in a folder that holds a training.
        start: policy file whose actor is continued.
        engine: "isthmus", or "sb3" for stable-baselines3.
        video_every: control periods between films; None for no films.
        seeds: of several trainings side by side, such as 0-4, in place of `seed`.
        jobs: how many of them at a time; None means one per core.
        offline: recordings to learn from beside the fresh experience, MCAP files and folders of them.
        scripted: episodes of the task's scripted solution to learn from in their place.
        offline_share: of each batch that is drawn from them.
        collectors: processes that step the environments; None means this one.
        robot: how a training on ROS runs; with plant "ros".

    Returns:
        exit code.

    Raises:
        ValueError: unknown task or plant, options that do not go together, or the folder holds something else; the message says what to do.
    """
    task = find_task(task_name)
    simulation: dict[str, Any] = {
        "engine": engine == "sb3",
        "collectors": collectors,
        "seeds": seeds is not None,
        "video-every": video_every,
    }
    simulation |= {"randomize": randomize not in (None, NONE), "calibration": calibration}
    trained_on = chosen_robot(algorithm, plant, robot or Robot(), **simulation)
    if trained_on:
        config, randomize = on_robot(config), NONE
    else:
        check_engine(plant)
    if resume and overwrite:
        raise ValueError("--resume goes on with a training and --overwrite begins anew; give one of them")
    find_device(config.device)
    if offline and scripted is not None:
        raise ValueError("--offline reads recordings and --scripted makes some; give one of them")
    recordings = find_recordings(offline, offline_share) if offline else None
    if scripted is not None:
        recordings = scripted_recordings(scripted, offline_share)
    if recordings and engine == "sb3":
        raise ValueError("--engine sb3 cannot learn from recordings; leave --offline or --engine out")
    if collectors:
        collectors.check(config.num_envs)
        if engine == "sb3":
            raise ValueError("--engine sb3 steps its environments itself; leave --collectors or --engine out")
        if seeds is not None:
            raise ValueError("--seeds trains in processes of its own; leave --collectors or --seeds out")
    drawn = NONE if calibration and randomize is None else randomize
    randomization = calibrated(chosen_randomization(task, plant, drawn), calibration)
    if cadence is not None and not isinstance(task, SuiteTask):
        randomization = with_cadence(randomization, cadence, task.parameters)
    origin = _origin(start, engine) if start else None
    notes = training_notes(task, plant, randomization, recordings, origin)
    check_simulation(
        task, plant, bool(calibration or cadence) or randomize not in (None, NONE), "--plant, --randomize, --calibration and --cadence"
    )
    if config.stop_at_success is not None:
        _check_reports_success(task, config.stop_at_success)
    if video_every is not None:
        _check_films(video_every, engine)
    if seeds is not None:
        chosen = parse_seeds(seeds)
        if seed:
            raise ValueError(f"--seed {seed} and --seeds {seeds} cannot be used together")
        folders = [seed_folder(out, one) for one in chosen]
        if resume and not any(map(holds_training, folders)):
            raise ValueError(nothing_to_resume(folders[0], "training", holds_training))
        for one, folder in zip(chosen, folders, strict=True):
            _check_folder(folder, algorithm, one, config, resume and holds_training(folder), overwrite, notes)
        one_seed = partial(
            _train_seed,
            algorithm,
            task_name,
            config,
            plant=plant,
            randomize=randomize,
            calibration=calibration,
            cadence=cadence,
            resume=resume,
            overwrite=overwrite,
            start=start,
            engine=engine,
            video_every=video_every,
            offline=offline,
            scripted=scripted,
            offline_share=offline_share,
        )
        return train_seeds(
            one_seed,
            chosen,
            out,
            jobs=jobs,
            steps=config.steps,
            algorithm=algorithm,
            task=task_name,
            overwrite=overwrite,
        )
    if jobs is not None:
        raise ValueError(f"--jobs goes with --seeds, got --jobs {jobs}")
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    _check_folder(out, algorithm, seed, config, resume, overwrite, notes)
    _show_task(task)
    say(f"results: {out}")
    if resume:
        _show_resumption(out, config.steps)
    say(f"curves: tensorboard --logdir {out / 'tensorboard'}")
    try:
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
            origin=origin,
            robot=trained_on,
        )
    except LostError as error:
        raise ValueError(f"{error}; the training is kept, go on with --resume") from None
    except KeyboardInterrupt:  # the first before it began, or a second one
        if overwrite:
            raise  # what is there may be the old one
        complain("isthmus: interrupted")
        return INTERRUPTED
    if isinstance(task, Task) and task.specification:
        for path in (result.policy, result.policy.with_name("last.isthmus")):
            replace(Artifact.load(path), specification=task.specification).save(path)
    _show_result(result, task, config.steps)
    return INTERRUPTED if result.interrupted else 0


def _train_seed(*arguments: Any, out: Path, resume: bool, **options: Any) -> int:
    """One of several: it is resumed if it has begun."""
    return run_training(*arguments, out=out, resume=resume and holds_training(out), **options)


def _check_folder(
    out: Path, algorithm: str, seed: int, config: LearnerConfig, resume: bool, overwrite: bool, notes: Mapping[str, Any]
) -> None:
    """See that a folder is free, holds a training that did nothing yet or is to be overwritten, or the one that is to be resumed."""
    if out.is_file():
        raise ValueError(f"{out} is a file; --out is a folder")
    if resume:
        if not holds_training(out):
            raise ValueError(nothing_to_resume(out, "training", holds_training))
        check_resumable(out, algorithm, seed, config, notes)
    elif holds_training(out) and not overwrite and (done := steps_done(out) or written_steps(out)):
        raise ValueError(
            f"{out} already holds a training, of {done} control periods; continue it with --resume, begin anew with --overwrite, "
            "or choose another --out"
        )


def _show_resumption(out: Path, steps: int) -> None:
    done, written = steps_done(out), written_steps(out)
    again = f"; what came after this checkpoint, up to {written}, is learned again" if written > done else ""
    say(f"goes on at {done} of {steps} control periods{again}")
    if done >= steps:
        say(f"nothing is left to do; train longer with more --steps, such as --steps {2 * steps}")


def _origin(path: Path, engine: str) -> Artifact:
    """The policy to start from."""
    if engine != "isthmus":
        raise ValueError(f"--engine {engine} cannot start from a policy; leave --from or --engine out")
    return load_artifact(path)


def _check_reports_success(task: Task | SuiteTask, share: float) -> None:
    if isinstance(task, SuiteTask) and not reports_success(task):
        raise ValueError(
            f"--stop-at-success {share:g} cannot be used with {task.name!r}, which never reports success; use --stop-at RETURN"
        )


def _check_films(every: int, engine: str) -> None:
    if every < 1:
        raise ValueError(f"video_every must be >= 1, got {every}")
    if engine == "sb3":
        raise ValueError("a training with --engine sb3 cannot be filmed; film its policy with: isthmus eval POLICY --video FILE.mp4")
    check_format(Path("film.mp4"))


def _show_task(task: Task | SuiteTask) -> None:
    if isinstance(task, SuiteTask):
        say(f"{task.name}: {task.description}; the suite's own simulation and reward, no guard")
        return
    rows = [(term.name, term.weight, term.unit) for term in task.reward]
    show_table(f"reward of {task.name}: weighted sum of", ("term", "weight", "unit of the term"), rows)
    say(f"success: {task.success}, in each of the last {task.success_steps} control periods of an episode")


def _show_result(result: TrainingResult, task: Task | SuiteTask, steps: int) -> None:
    if result.interrupted:
        say(f"interrupted after {result.steps} of {steps} control periods")
    if result.reached:
        say(f"the target was reached after {result.steps} of {steps} control periods")
    if result.best:
        say(f"best of the evaluations, kept because of these figures: {score_text(result.best)}")
    say(f"checkpoint: {result.checkpoint}")
    say(f"policy: {result.policy}")
    if not result.interrupted:
        say(f"next: isthmus eval {result.policy}{'' if isinstance(task, SuiteTask) else ' --plant pybullet'}")
