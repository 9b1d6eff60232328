"""The friction of a puck from one strike that a robot in another engine gave it, over seeds of start and friction.

    python benchmarks/identify.py --pushed 5 --record docs/results/identification.json

The scripted policy of `slide` strikes once in PyBullet; poses have 0.5 mm of noise. Then the friction is identified in MuJoCo, from two starts.
"""

from __future__ import annotations

import numpy as np
from payload import log_of

from isthmus.runner import Tick
from isthmus_controllers.scripted.slide import SlidePolicy
from isthmus_sim.episodes import run_episodes
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem
from isthmus_sim.plants import task_plant
from isthmus_sim.tasks import get_task

LOW, HIGH = 0.05, 0.3  # the range of the task
NOISE = {"position_noise": 1e-4, "velocity_noise": 0.01, "pose_noise": 5e-4}  # rad, rad/s, m


def main(seeds: int) -> dict[str, object]:
    """Identify for each seed."""
    shares, inside = [], 0
    task = get_task("slide")
    for seed in range(seeds):
        truth = float(np.random.default_rng(seed).uniform(0.07, 0.25))
        ticks: list[Tick] = []
        plant = task_plant("pybullet", task)
        run_episodes(task, SlidePolicy(task.contract), plant, [seed], parameters={**NOISE, "puck.friction": truth}, on_tick=ticks.append)
        log = log_of(f"seed{seed}.mcap", ticks, task.contract.mode)
        found = identify(
            make_problem(find_target("slide"), ParameterFile((Unknown("puck.friction", LOW, HIGH),)), [log]), FitOptions(2), threads=1
        )
        known = found.known
        shares.append(100 * abs(float(known.values[0]) - truth) / (HIGH - LOW))
        inside += bool(known.low[0] <= truth <= known.high[0])
        print(
            f"seed {seed}: {truth:.4f} found as {known.values[0]:.4f}, {known.low[0]:.4f} … {known.high[0]:.4f}, {known.verdicts[0]}",
            flush=True,
        )
    return {
        "mean_error_percent_of_range": round(float(np.mean(shares)), 2),
        "worst_error_percent_of_range": round(float(np.max(shares)), 2),
        "intervals_that_hold_the_truth": f"{inside} of {seeds}",
    }
