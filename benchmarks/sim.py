"""What the environment costs over the bare engine, in one run on one machine.

The peer replays the environment's own commands on the bare engine: random actions without a guard would run into joint limits and cost
more.
Run with `make bench` or `python benchmarks/sim.py [--periods 400]`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

import isthmus_sim
from isthmus import Command, load_robot
from isthmus_sim.plants import make_plant


def main() -> None:
    """Print one line per engine and batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--periods", type=int, default=400, help="control periods per measurement")
    periods = parser.parse_args().periods
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, {periods} control periods of 10 physics steps, median of 5")
    for engine, batch in (("mujoco", 1), ("mujoco", 64), ("mujoco", 512), ("pybullet", 1)):
        environment, bare = measure(engine, batch, periods)
        rate = batch / environment
        print(
            f"{engine:8} batch {batch:4}: environment {rate:9.0f} steps/s, bare engine {batch / bare:9.0f}, ratio {bare / environment:.2f}"
        )


def measure(engine: str, batch: int, periods: int) -> tuple[float, float]:
    """Seconds per control period of the environment and of the bare engine, given the same commands."""
    env = isthmus_sim.make_vec("reach", batch, engine)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (periods, batch, 6))
    commands: list[np.ndarray] = []
    write = env.plant.write

    def remember(command: Command) -> None:
        commands.append(command.values.copy())
        write(command)

    env.plant.write = remember  # type: ignore[method-assign]
    for action in actions:
        env.step(action)
    env.plant.write = write  # type: ignore[method-assign]
    environment = median(lambda: [env.step(action) for action in actions]) / periods
    robot = load_robot("ur5e")
    plant = make_plant(engine, robot, mode="velocity", period=0.05, batch=batch)
    asked = [Command("velocity", robot.joint_names, values) for values in commands]

    def replay() -> None:
        plant.reset()
        for command in asked:
            plant.write(command)
            plant.advance()

    bare = median(replay) / periods
    env.close()
    plant.close()
    return environment, bare


def median(work: Callable[[], object], runs: int = 5) -> float:
    """Median wall time of `runs` calls, s."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


if __name__ == "__main__":
    main()
