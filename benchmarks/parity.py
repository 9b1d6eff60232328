"""Whether two implementations of a learner learn alike: their evaluations over control periods, with 95 % intervals over seeds.

`python benchmarks/parity.py pendulum reach gym:Hopper-v5` reads what these commands have left, for each task,

    isthmus train sac TASK --seeds 0-4 --out runs/parity/TASK/isthmus
    isthmus train sac TASK --seeds 0-4 --out runs/parity/TASK/sb3 --engine sb3

prints how both ended, and draws `--plot`. The score of a seed is the mean of the last half of its evaluations, since a single one may be lucky; the
interval is that of the mean over seeds (Student's t), so with two seeds it is wide.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from isthmus.records import Array
from isthmus_evidence.aggregate import aggregate, read_evaluations

ENGINES = {"isthmus": ("C0", "isthmus"), "sb3": ("C1", "stable-baselines3")}


def main() -> None:
    """Print one line per task, draw one panel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs/parity"))
    parser.add_argument("--plot", type=Path, help="PNG with the curves")
    arguments = parser.parse_args()
    found = {
        task: {engine: read_engine(arguments.runs / task.replace(":", "-") / engine) for engine in ENGINES} for task in arguments.tasks
    }
    for task, engines in found.items():
        cells, intervals = [], {}
        for engine, (_, name) in ENGINES.items():
            finals = np.array([late_mean(values) for values in engines[engine]["return"]["per_seed"].values()])
            low, high = mean_interval(finals)
            intervals[engine] = (low, high)
            cells.append(f"{name} {finals.mean():.1f} ({low:.1f} … {high:.1f}), {len(finals)} seeds")
        overlap = max(low for low, _ in intervals.values()) <= min(high for _, high in intervals.values())
        print(f"{task:18} {'; '.join(cells)}: intervals {'overlap' if overlap else 'do not overlap'}")
    if arguments.plot:
        draw(found, arguments.plot)


def read_engine(folder: Path) -> dict[str, Any]:
    """The evaluations of all seeds below a folder, as `isthmus train --seeds` sums them up."""
    seeds = {int(run.name.removeprefix("seed-")): read_evaluations(run / "metrics.jsonl") for run in sorted(folder.glob("seed-*"))}
    if not seeds:
        raise SystemExit(f"there is no training below {folder}; see --help")
    return aggregate(seeds)


def late_mean(returns: list[float]) -> float:
    """Mean of the last half of the evaluations of one seed."""
    return float(np.mean(returns[len(returns) // 2 :]))


def mean_interval(values: Array) -> tuple[float, float]:
    """95 % interval of a mean, Student's t; of a single value that value."""
    if len(values) == 1:
        return float(values[0]), float(values[0])
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def draw(found: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """One panel per task: thin lines are seeds, thick ones their interquartile mean, bands its 95 % bootstrap interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * len(found), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (task, engines) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        for engine, (colour, name) in ENGINES.items():
            steps, score = np.array(engines[engine]["steps"]) / 1000, engines[engine]["return"]
            for values in score["per_seed"].values():
                axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.5)
            axes.plot(steps, score["iqm"], color=colour, linewidth=2, label=name)
            axes.fill_between(steps, score["low"], score["high"], color=colour, alpha=0.2)
        axes.set(title=f"{task}, {len(engines['isthmus']['seeds'])} seeds", xlabel="thousand control periods", ylabel="return")
        axes.legend(loc="best")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
