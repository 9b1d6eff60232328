"""`reach` through `policy_node` and `guard_node` as processes, paired seed by seed with the run in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paths  # noqa: F401 - finds the policies of the ROS tests
from ros_policies import resolved_rate

from isthmus.artifact import Artifact
from isthmus.recording import read_trace
from isthmus.robot import load_robot
from isthmus_ros.evaluation.coordinator import RosError, evaluate_over_ros
from isthmus_sim.episodes import run_episodes
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task

__all__ = ["pair_stepped", "pair_wall"]

_AT_ONCE = 20  # episodes per set of processes, which bounds the traces on disk


def pair_stepped(seeds: Sequence[int], folder: Path, show: Callable[..., None]) -> bool:
    """Whether joint states, observations and executed commands of every control period are the same bit for bit; `show` is told."""
    task = get_task("reach")
    path = _policy(task, folder)
    policy = Artifact.load(path).policy()
    plant = make_plant("pybullet", load_robot(task.contract.robot), mode="velocity", period=task.contract.control_period)
    different, periods, successes = [], 0, 0
    for first in range(0, len(seeds), _AT_ONCE):
        some = seeds[first : first + _AT_ONCE]
        found = evaluate_over_ros(task, path, some, record=folder / "trace")
        for number, (seed, episode) in enumerate(zip(some, found.episodes, strict=True)):
            ticks: list[Any] = []
            ((result,), _) = run_episodes(task, policy, plant, [seed], on_tick=ticks.append)
            trace = read_trace(folder / f"trace-{number:03d}.mcap")
            here = {
                "position": [tick.measurement.position for tick in ticks],
                "velocity": [tick.measurement.velocity for tick in ticks],
                "executed": [tick.decision.command.values for tick in ticks],
                **{f"observation {name}": [tick.observation[name] for tick in ticks] for name in trace.observations},
            }
            there = {
                "position": trace.position,
                "velocity": trace.velocity,
                "executed": trace.executed,
                **{f"observation {name}": values for name, values in trace.observations.items()},
            }
            wrong = [name for name, values in here.items() if not np.array_equal(np.concatenate(values), there[name])]
            if wrong or result.success != episode.success:
                different.append((seed, wrong or ["success"]))
            periods += len(ticks)
            successes += episode.success
        print(f"  {first + len(some)} seeds, {len(different)} different", flush=True)
    show("reach, stepped: seeds bit-identical to one process", f"{len(seeds) - len(different)} of {len(seeds)}", target="all")
    print(f"  {periods} control periods, {successes} successes")
    for seed, wrong in different:
        print(f"  seed {seed}: {', '.join(wrong)} differ")
    return not different


def pair_wall(seeds: Sequence[int], folder: Path, show: Callable[..., None]) -> None:
    """Success and return of the same seeds in wall-clock time and in one process; `show` is told both and their difference."""
    task = get_task("reach")
    path = _policy(task, folder)
    plant = make_plant("pybullet", load_robot(task.contract.robot), mode="velocity", period=task.contract.control_period)
    policy = Artifact.load(path).policy()
    pairs, causes = [], []
    for seed in seeds:  # each with processes of its own, so that one that cannot be scored does not take the others with it
        alone = run_episodes(task, policy, plant, [seed])[0][0]
        try:
            (episode,) = evaluate_over_ros(task, path, [seed], clock="wall").episodes
        except RosError as error:
            causes.append(f"  seed {seed}: {error}")
            continue
        pairs.append((alone, episode))
        if episode.stopped_by_guard:
            causes.append(f"  seed {seed} was stopped by the guard, which counts as a failure: {episode.stopped_by_guard}")
    successes = [sum(one.success for one in side) for side in zip(*pairs, strict=True)] or [0, 0]
    show(f"reach, wall clock: successes of {len(pairs)} seeds, and in one process", str(successes[1]), str(successes[0]))
    if pairs:
        gaps = np.array([episode.total_reward - alone.total_reward for alone, episode in pairs])
        usual = np.mean([alone.total_reward for alone, _ in pairs])
        print(f"  return over ROS less alone: mean {gaps.mean():+.3f}, largest {np.abs(gaps).max():.3f}; alone {usual:.3f} on average")
    print("\n".join(causes))


def _policy(task: Any, folder: Path) -> Path:
    path = folder / "policy.isthmus"
    resolved_rate(task.contract).save(path)
    return path
