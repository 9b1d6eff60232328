"""What ASID finds and what it costs.

    python benchmarks/asid.py --task slide --rows 64                    # the information reward against a bare batch
    python benchmarks/asid.py --rod 20 --record docs/results/asid.json  # searched against random explorations (explorations.py)
    python benchmarks/asid.py --loop slide --truths 10 --record docs/results/asid.json
    python benchmarks/asid.py --force 4 --record docs/results/asid.json # a bound of force on the exploration of `push`, in 50 draws

The first compares the environment with a bare `mujoco.batch` loop of as many simulations in all: both play the same guarded commands from the same
starts, turn by turn in one run, and costs are CPU seconds of this process. The others go on where an earlier run with the same --record ended; what
they leave behind is in --out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import explorations
import numpy as np

from isthmus_evidence.asid.bounds import Bounds, Watch
from isthmus_evidence.asid.exploration import SEEDS, Exploration, information_env, played, player
from isthmus_evidence.asid.motions import find_explorations, search_space
from isthmus_evidence.asid.strikes import STRIKE_SECONDS
from isthmus_evidence.results import Results
from isthmus_policies.asid.search import SearchConfig
from isthmus_sim.identification.information import expected_sd
from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_preflight import with_length
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.plants.mujoco import MujocoPlant
from isthmus_sim.tasks import get_task


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="slide")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--periods", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rod", type=int, metavar="TRUTHS", help="searched against random explorations of a rod")
    parser.add_argument("--loop", choices=explorations.UNKNOWN, help="task of the whole loop")
    parser.add_argument("--truths", type=int, default=10)
    parser.add_argument("--engine", default="pybullet", help="of the real plant")
    parser.add_argument("--episodes", type=int, default=10, help="of each truth and arm")
    parser.add_argument("--force", type=float, metavar="N", help="bound of force on the exploration of push")
    parser.add_argument("--record", type=Path, help="file of figures")
    parser.add_argument("--out", type=Path, default=Path("runs/asid-benchmark"))
    words = parser.parse_args()
    if not (words.rod or words.loop or words.force):
        cost(words.task, words.rows, words.periods, words.repeats)
        return
    if words.record is None:
        parser.error("--rod, --loop and --force need --record FILE")
    results = Results(words.record)
    if words.rod:
        explorations.loop("rod", words.rod, words.out / f"rod-{words.engine}", results, engine=words.engine, solving=False)
    if words.loop:
        folder = words.out / f"{words.loop}-loop-{words.engine}"
        explorations.loop(words.loop, words.truths, folder, results, engine=words.engine, episodes=words.episodes)
    if words.force:
        row = bounded(words.force)
        print(row, flush=True)
        results.add(f"force of at most {words.force:g} N on push", row, explorations.CONCERNS)


def bounded(force: float, draws: int = 50, config: SearchConfig | None = None) -> dict[str, object]:
    """Explorations of the friction of a puck, without and with a bound: forces in draws that nothing was searched with, and what is told there."""
    found: dict[str, object] = {"what": "bound of force", "bound_N": force, "draws": draws}
    for name, bounds in (("without", Bounds()), ("with", Bounds(force=force))):
        task = with_length(get_task("push"), STRIKE_SECONDS)
        asked = Exploration(task, find_unknown(task, ["puck.friction"]), "a", None, 0, bounds)
        space = search_space(asked, "strike", STRIKE_SECONDS, 1)
        policy = find_explorations(asked, space, config or SearchConfig(16, 4, 6, 1), STRIKE_SECONDS)[0].policy()
        env, watch = information_env(asked, draws), Watch(task, asked.unknown, Bounds(force=force), draws)
        told, _ = played(env, player(policy), [2 * SEEDS + row for row in range(draws)], bounds=watch)
        env.close()
        found |= {
            f"{name}_kept": int(watch.kept().sum()),
            f"{name}_largest_N": round(float(watch.force.max()), 3),
            f"{name}_promised_sd_percent_of_range": round(100 * float(np.sqrt((expected_sd(told) ** 2).mean())), 3),
        }
    return found


def cost(name: str, rows: int, periods: int, repeats: int) -> None:
    """Print the ratio."""
    task = with_length(get_task(name), periods * get_task(name).contract.control_period)
    unknown = find_unknown(task, [])
    spent = np.zeros((repeats, 2))
    env = InformationVectorEnv(task, unknown, rows, autoreset=False)
    plants: list[MujocoPlant] = [env._compared.plant, env._compared.copies]
    for repeat in range(repeats):
        env.reset(seed=repeat)
        starts = [plant._state.copy() for plant in plants]
        actions = 0.3 * np.random.default_rng(repeat).uniform(env.single_action_space.low, env.single_action_space.high)
        commands = []
        begun = time.process_time()
        for _ in range(periods):
            env.step(np.tile(actions, (rows, 1)))
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
    steps = rows * periods / spent
    print(f"{name}, {rows} rows, {len(unknown)} unknown: {rows * (1 + 2 * len(unknown))} simulations")
    print(f"environment {np.median(steps[:, 0]):.0f} steps per CPU second, bare loop {np.median(steps[:, 1]):.0f}")
    print(f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} … {ratios.max():.2f} in {repeats} repeats)")


if __name__ == "__main__":
    main()
