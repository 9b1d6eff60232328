"""What the information reward costs: its environment against a bare `mujoco.batch` loop with as many simulations in all.

    python benchmarks/asid.py --task slide --rows 64

Both play the same guarded commands from the same starts, turn by turn in one run. Costs are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_preflight import with_length
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.plants.mujoco import MujocoPlant
from isthmus_sim.tasks import get_task


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="slide")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--periods", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    words = parser.parse_args()
    task = with_length(get_task(words.task), words.periods * get_task(words.task).contract.control_period)
    unknown = find_unknown(task, [])
    spent = np.zeros((words.repeats, 2))
    env = InformationVectorEnv(task, unknown, words.rows, autoreset=False)
    plants: list[MujocoPlant] = [env._compared.plant, env._compared.copies]
    for repeat in range(words.repeats):
        env.reset(seed=repeat)
        starts = [plant._state.copy() for plant in plants]
        actions = 0.3 * np.random.default_rng(repeat).uniform(env.single_action_space.low, env.single_action_space.high)
        commands = []
        begun = time.process_time()
        for _ in range(words.periods):
            env.step(np.tile(actions, (words.rows, 1)))
            commands.append([plant._ctrl.copy() for plant in plants])
        spent[repeat, 0] = time.process_time() - begun
        for plant, start in zip(plants, starts, strict=True):
            plant._state[:] = start
        begun = time.process_time()
        for asked in commands:
            for plant, values in zip(plants, asked, strict=True):
                plant._ctrl[:] = values
                plant._batch.step(nstep=plant.substeps)
        spent[repeat, 1] = time.process_time() - begun
    env.close()
    ratios = spent[:, 1] / spent[:, 0]
    steps = words.rows * words.periods / spent
    print(f"{words.task}, {words.rows} rows, {len(unknown)} unknown: {words.rows * (1 + 2 * len(unknown))} simulations")
    print(f"environment {np.median(steps[:, 0]):.0f} steps per CPU second, bare loop {np.median(steps[:, 1]):.0f}")
    print(f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} … {ratios.max():.2f} in {words.repeats} repeats)")


if __name__ == "__main__":
    main()
