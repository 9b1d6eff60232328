"""Trains several seeds side by side, each as a process of its own with a folder of its own, and sums them up."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.progress import Progress
from isthmus_evidence.aggregate import SCORES, aggregate, read_evaluations
from isthmus_evidence.pictures.curves import save_learning_chart
from isthmus_policies.identity import clear_training

__all__ = ["parse_seeds", "seed_folder", "train_seeds"]

INTERRUPTED = 130
LOG = "log.txt"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE = 1.0  # s between looks at what the trainings have written
_TAIL = 4096  # bytes that hold at least one row of training.jsonl


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read seeds such as `0-4` or `0,3,7`.

    Raises:
        ValueError: not of that form, a range that runs backwards, or a seed that appears twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part, re.ASCII)
        if not found or (found[2] and int(found[2]) < int(found[1])):
            raise ValueError(f"seeds are numbers and ranges such as 0-4 or 0,3,7, got {text!r}")
        seeds += range(int(found[1]), int(found[2] or found[1]) + 1)
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise ValueError(f"seed {repeated[0]} appears twice in {text!r}")
    return tuple(seeds)


def seed_folder(out: Path, seed: int) -> Path:
    """Where the training of one seed is."""
    return out / f"seed-{seed}"


def train_seeds(
    train: Callable[..., int],
    seeds: Sequence[int],
    out: Path,
    *,
    jobs: int | None,
    steps: int,
    algorithm: str,
    task: str,
    overwrite: bool = False,
) -> int:
    """Train all seeds, at most `jobs` at a time, and write `aggregate.json` and `aggregate.png` beside their folders.

    Args:
        train: trains one, called in a new process with `seed` and `out`; returns an exit code. A function of a module, or a partial of one.
        seeds: which.
        out: folder for all of them.
        jobs: processes at a time; None means one per core.
        steps: control periods of each training.
        algorithm: name of the learner, for what is printed.
        task: its name, likewise.
        overwrite: remove first what the folders hold, those of all seeds: a later `--resume` must not find an old training.

    Returns:
        exit code: 1 if a training failed, 130 after Ctrl-C, which ends all of them.

    Raises:
        ValueError: jobs < 1.
    """
    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    if jobs < 1:
        raise ValueError(f"jobs must be >= 1, got {jobs}")
    importlib.import_module("matplotlib.figure")  # if it is missing, this is known before hours are spent
    for seed in seeds if overwrite else ():
        clear_training(seed_folder(out, seed))
    say(f"{len(seeds)} seeds, {min(jobs, len(seeds))} at a time; what each says is in {out}/seed-…/{LOG}")
    with Progress(f"{algorithm} {task}", "control periods", quiet=False) as progress:
        try:
            codes = _run(train, seeds, out, jobs, _look(progress, seeds, out, steps))
        except KeyboardInterrupt:
            say("interrupted")
            return INTERRUPTED
    for seed in seeds:
        if codes[seed]:
            say(f"seed {seed} failed with exit code {codes[seed]}: {_last_line(seed_folder(out, seed) / LOG)}")
    if finished := [seed for seed in seeds if codes[seed] == 0]:
        _report(finished, out, algorithm, task)
    return 0 if len(finished) == len(seeds) else 1


def _run(train: Callable[..., int], seeds: Sequence[int], out: Path, jobs: int, look: Callable[[Collection[int]], None]) -> dict[int, int]:
    """Run the processes and give their exit codes; an interrupt is passed on to all, and waits for what they still write."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of torch and MuJoCo in whatever state they are
    waiting, running = list(seeds), dict[int, SpawnProcess]()
    codes: dict[int, int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                seed = waiting.pop(0)
                running[seed] = context.Process(target=_train_one, args=(train, seed, seed_folder(out, seed)), daemon=True)
                _start(running[seed])
            multiprocessing.connection.wait([process.sentinel for process in running.values()], timeout=_PAUSE)
            for seed in [seed for seed, process in running.items() if not process.is_alive()]:
                codes[seed] = running.pop(seed).exitcode or 0
            look(codes)
    finally:
        for process in running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        for process in running.values():
            process.join()
    return codes


def _start(process: SpawnProcess) -> None:
    """Start a process that hears no signal before `_train_one` lets it: while it imports, one would be a traceback on the terminal."""
    multiprocessing.resource_tracker.ensure_running()  # where it is not running yet, starting it lets signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _train_one(train: Callable[..., int], seed: int, folder: Path) -> None:
    """The body of a process: everything that it says goes into its log."""
    os.setpgid(0, 0)  # Ctrl-C of the terminal reaches the parent only, which passes it on once
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    threading.Thread(target=_follow_parent, daemon=True).start()
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        sys.exit(train(seed=seed, out=folder))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _follow_parent() -> None:
    """End this training as Ctrl-C does when the parent is gone, whatever ended it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)


def _look(progress: Progress, seeds: Sequence[int], out: Path, steps: int) -> Callable[[Collection[int]], None]:
    """What reads how far all trainings are and shows it, told which have ended; returns are news when there is a new one."""
    told = ""

    def look(ended: Collection[int]) -> None:
        nonlocal told
        done, returns = 0, []
        for seed in seeds:
            course, scores = (_last_row(seed_folder(out, seed) / name) for name in ("training.jsonl", "metrics.jsonl"))
            done += steps if seed in ended else min(max(course.get("step", 0), scores.get("step", 0)), steps)
            returns.append(f"{scores['return']:.1f}" if scores else "…")
        news = f"returns {' '.join(returns)}"
        if done:
            progress(done, len(seeds) * steps, news if news != told else "")
        told = news

    return look


def _last_row(file: Path) -> dict[str, Any]:
    """The last whole row of a file of JSON lines; empty if there is none."""
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        stream.seek(max(file.stat().st_size - _TAIL, 0))
        lines = stream.read().split(b"\n")[:-1]
    try:
        return dict(json.loads(lines[-1])) if lines else {}
    except ValueError:  # a row that began before the part that was read
        return {}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _report(seeds: Sequence[int], out: Path, algorithm: str, task: str) -> None:
    """Sum up the trainings that finished: to files, and as a table."""
    folders = {seed: seed_folder(out, seed) for seed in seeds}
    evaluations = {seed: read_evaluations(folder / "metrics.jsonl") for seed, folder in folders.items()}
    trained = {seed: Artifact.load(folder / "last.isthmus").training for seed, folder in folders.items()}
    ended = [seed for seed in seeds if trained[seed].get("reached_target")]
    summary = {"algorithm": algorithm, "task": task, **aggregate(evaluations, ended)}
    summary["trained"] = {str(seed): {"steps": trained[seed]["steps"], "reached_target": seed in ended} for seed in seeds}
    write_json(summary, out / "aggregate.json")
    save_learning_chart(summary, out / "aggregate.png")
    scores = [score for score in SCORES if summary[score]]
    rows = [
        [f"seed {seed}", str(trained[seed]["steps"]), *(f"{summary[score]['per_seed'][str(seed)][-1]:.2f}" for score in scores)]
        for seed in seeds
    ]
    middle = [f"{summary[score]['iqm'][-1]:.2f} ({summary[score]['low'][-1]:.2f} … {summary[score]['high'][-1]:.2f})" for score in scores]
    show_table("last evaluation", ("", "control periods", *scores), [*rows, ["interquartile mean (95 %)", "", *middle]])
    say(f"aggregate: {out / 'aggregate.json'}, {out / 'aggregate.png'}")
    say(f"policies: {out}/seed-…/policy.isthmus")
