"""`isthmus sweep`: seeds and settings of a learner, searched by Optuna, trained by Ray, continued after anything."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from isthmus import strict
from isthmus_cli.console import complain, say, show_table, write_json
from isthmus_cli.files import nothing_to_resume
from isthmus_cli.progress import Progress
from isthmus_cli.sweep.plan import SweepPlan, load_plan
from isthmus_cli.sweep.pool import Pool, RayPool
from isthmus_cli.sweep.search import Search, Suggestion
from isthmus_cli.sweep.training import Training, locked, result_of

__all__ = ["Sweep", "run_sweep"]

INTERRUPTED = 130
_FILE = "sweep.json"
_MAY_CHANGE = ("trials", "cpus")


@dataclass(frozen=True, slots=True)
class Sweep:
    """Search the settings of a learner: `isthmus train` for each setting and seed, in parallel on Ray, with Optuna's suggestions.

    The folder gets trial_NNN/seed_N, each a training like any other; sweep.json, everything that was tried; and best.json. A training whose process
    dies goes on from its newest checkpoint. The same command with --resume continues the sweep, and repeats no training that is finished.

    Attributes:
        file: YAML: algorithm, task, space, and optionally settings, seeds, search, trials, objective, seed, plant, randomize, cpus.
        out: folder for the results; by default runs/sweep-FILE. On a cluster all machines must see it under the same path.
        address: of a Ray cluster, such as ray-head:6379, or auto; by default Ray is started on this machine.
        workers: trainings at the same time; by default as many as there are cores for.
        resume: continue the sweep in the folder; `trials` may have grown.
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.yaml")]
    out: Path | None = None
    address: str | None = None
    workers: int | None = None
    resume: bool = False

    def goes_on(self) -> str | None:
        """What to add to the command after Ctrl-C; None if there is nothing to go on with."""
        return "--resume" if _holds_sweep(self.folder) else None

    @property
    def folder(self) -> Path:
        """Folder for the results."""
        return (self.out or Path("runs") / f"sweep-{self.file.stem}").resolve()

    def run(self) -> int:
        """Run the command.

        Returns:
            0, or 1 if no trial succeeded or one was lost.

        Raises:
            ValueError: the file is no sweep, or the folder holds another one.
        """
        plan = load_plan(self.file)
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be >= 1, got {self.workers}")
        out = self.folder
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        _check_folder(out, plan, self.resume)
        out.mkdir(parents=True, exist_ok=True)
        try:
            with locked(out / "lock", wait=False), RayPool(self.address, self.workers, plan.cpus) as pool:
                say(f"{plan.count} trials with {len(plan.seeds)} seeds each, {pool.slots} trainings at the same time; results: {out}")
                say(f"curves: tensorboard --logdir {out}")
                return _conclusion(plan, run_sweep(plan, out, pool), out)
        except KeyboardInterrupt:
            complain("isthmus: interrupted")
            return INTERRUPTED
        except BlockingIOError:
            raise ValueError(f"another sweep is running in {out}") from None


@dataclass(slots=True)
class _Trial:
    """A suggestion, and what came of it so far."""

    suggestion: Suggestion
    results: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether a training ended for a reason that does not lie in the settings."""
        return any("lost" in result for result in self.results.values())

    def value(self, plan: SweepPlan) -> float | None:
        """The objective, mean over the seeds; None if a seed is missing or failed."""
        values = [result[plan.objective] for result in self.results.values() if result.get(plan.objective) is not None]
        return float(np.mean(values)) if len(values) == len(plan.seeds) else None


def run_sweep(plan: SweepPlan, out: Path, pool: Pool, quiet: bool = False) -> list[dict[str, Any]]:
    """Run all trials, or what is left of them.

    Args:
        plan: what is tried.
        out: folder for the results.
        pool: where the trainings run.
        quiet: print nothing.

    Returns:
        the trials, as in sweep.json.

    Raises:
        Exception: what a training met that others would meet, too; the sweep can be resumed.
    """
    plain = plan.plain()
    search = Search(plan, out / "optuna.journal")
    done = _concluded(out)
    trials: dict[int, _Trial] = {}
    queue: deque[tuple[int, int]] = deque()
    running: dict[Any, tuple[int, int]] = {}

    def begin(suggestion: Suggestion) -> None:
        trial = trials[suggestion.number] = _Trial(suggestion)
        for seed in plan.seeds:
            if (found := result_of(_folder(out, suggestion.number, seed))) is not None:
                trial.results[seed] = found
            else:
                queue.append((suggestion.number, seed))
        if len(trial.results) == len(plan.seeds):
            conclude(trial)

    def conclude(trial: _Trial) -> None:
        number = trial.suggestion.number
        done[number] = _told(plan, out, trial)
        del trials[number]
        # Told to the search last: until then it counts as unfinished, and is begun again from its results.
        write()
        search.conclude(number, trial.value(plan))

    def write() -> list[dict[str, Any]]:
        told = [*done.values(), *(_told(plan, out, trial) for trial in trials.values())]
        told.sort(key=lambda trial: trial["number"])
        write_json({"plan": plain, "trials": told}, out / _FILE)
        if best := _best(told):
            write_json(best, out / "best.json")
        return told

    for suggestion in search.unfinished:
        begin(suggestion)
    with Progress(f"sweep {plan.algorithm} {plan.task}", "trials", quiet=quiet) as progress:
        while True:
            while len(running) < pool.slots and (queue or search.left > 0):
                if not queue:
                    begin(search.suggest())
                    continue
                number, seed = queue.popleft()
                training = Training(plan, trials[number].suggestion.chosen, seed, str(_folder(out, number, seed)))
                running[pool.submit(training)] = number, seed
            told = write()
            best = _best(told)
            progress(len(done), plan.count, f"best {plan.objective} {best['value']:.4g}" if best else "")
            if not running:
                return told
            handle, result = pool.wait(list(running))
            number, seed = running.pop(handle)
            trial = trials[number]
            trial.results[seed] = result
            if "lost" in result:
                complain(f"{_folder(out, number, seed)} is lost: {result['lost']}; --resume tries it once more")
            if len(trial.results) == len(plan.seeds) and not trial.lost:
                conclude(trial)


def _check_folder(out: Path, plan: SweepPlan, resume: bool) -> None:
    path = out / _FILE
    if not _holds_sweep(out):
        if resume:
            raise ValueError(nothing_to_resume(out, "sweep", _holds_sweep))
        return
    if not resume:
        raise ValueError(f"{out} already holds a sweep; continue it with --resume, remove it or choose another --out")
    there = strict.load_json(path.read_bytes(), str(path))["plan"]
    here = plan.plain()
    if differing := [
        f"{name} {json.dumps(here[name])} (there: {json.dumps(there.get(name))})"
        for name in here
        if name not in _MAY_CHANGE and here[name] != there.get(name)
    ]:
        raise ValueError(f"{out} holds another sweep, which cannot be resumed with {', '.join(differing)}")


def _holds_sweep(out: Path) -> bool:
    return (out / _FILE).is_file()


def _concluded(out: Path) -> dict[int, dict[str, Any]]:
    """The finished trials of an earlier run, by number."""
    path = out / _FILE
    if not _holds_sweep(out):
        return {}
    trials = strict.load_json(path.read_bytes(), str(path))["trials"]
    return {trial["number"]: trial for trial in trials if trial["state"] in ("finished", "failed")}


def _told(plan: SweepPlan, out: Path, trial: _Trial) -> dict[str, Any]:
    value = trial.value(plan)
    complete = len(trial.results) == len(plan.seeds)
    return {
        "number": trial.suggestion.number,
        "state": "lost" if trial.lost else "running" if not complete else "failed" if value is None else "finished",
        "settings": trial.suggestion.chosen,
        "value": value,
        "seeds": {str(seed): trial.results[seed] for seed in plan.seeds if seed in trial.results},
        "folders": [str(_folder(out, trial.suggestion.number, seed).relative_to(out)) for seed in plan.seeds],
    }


def _best(trials: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The finished trial with the highest value; of equal ones the first."""
    return max((trial for trial in trials if trial["state"] == "finished"), key=lambda trial: trial["value"], default=None)


def _conclusion(plan: SweepPlan, trials: list[dict[str, Any]], out: Path) -> int:
    """Print the table, best first; returns the exit code."""
    ranked = sorted(trials, key=lambda trial: -np.inf if trial["value"] is None else trial["value"], reverse=True)
    rows = [
        (trial["number"], trial["state"], "" if trial["value"] is None else f"{trial['value']:.4g}", *_shown(plan, trial))
        for trial in ranked
    ]
    show_table(f"{plan.algorithm} on {plan.task}", ("trial", "state", f"mean {plan.objective}", *plan.space), rows)
    for trial in trials:
        for seed, result in trial["seeds"].items():
            for state in result.keys() & {"failed", "lost"}:
                complain(f"trial {trial['number']}, seed {seed}, {state}: {result[state]}")
    best = _best(trials)
    if best:
        say(f"best: trial {best['number']} with {plan.objective} {best['value']:.4g}; {out / 'best.json'}")
        say(f"policies: {', '.join(str(out / folder / 'policy.isthmus') for folder in best['folders'])}")
    else:
        complain("no trial succeeded")
    return 0 if best and not any(trial["state"] == "lost" for trial in trials) else 1


def _shown(plan: SweepPlan, trial: Mapping[str, Any]) -> list[str]:
    values = [trial["settings"][name] for name in plan.space]
    return [f"{value:.4g}" if isinstance(value, float) else json.dumps(value) for value in values]


def _folder(out: Path, number: int, seed: int) -> Path:
    return out / f"trial_{number:03d}" / f"seed_{seed}"
