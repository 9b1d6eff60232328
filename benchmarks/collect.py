"""Environment steps per second in this process and in processes of Ray: where `--collectors` pays.

`python benchmarks/collect.py` takes a minute and prints a line per task, engine and number of processes. Ratios are against this
process, in the same run.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus_cli.train.collectors import CollectorEnv, Collectors
from isthmus_cli.train.tasks import find_task, training_environment
from isthmus_evidence.results import Results

CASES = (("reach", "mujoco", 16), ("reach", "pybullet", 16), ("gym:HalfCheetah-v5", "mujoco", 16), ("gym:HalfCheetah-v5@84", "mujoco", 4))
PROCESSES = (1, 2)
SECONDS = 3.0


def rate(env: Any, contract: Contract, rows: int) -> float:
    """Steps per second, of all rows."""
    generator = np.random.default_rng(0)
    low, high = np.maximum(contract.action.low, -1), np.minimum(contract.action.high, 1)
    env.reset(seed=0)
    for _ in range(3):
        env.step(generator.uniform(low, high, (rows, len(low))).astype(np.float32))
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        env.step(generator.uniform(low, high, (rows, len(low))).astype(np.float32))
        steps += rows
    found = steps / (time.perf_counter() - began)
    env.close()
    return found


def main() -> int:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="file of figures to write; wants an idle computer")
    file = parser.parse_args().record
    results = Results(file, "ray", "gymnasium") if file else None
    for name, plant, rows in CASES:
        task = find_task(name)
        alone = rate(training_environment(task, plant, rows, None, Path("unused")), task.contract, rows)
        print(f"{name} {plant}, {rows} rows: {alone:.0f} steps/s in this process")
        rates = {"alone": alone}
        for count in PROCESSES:
            env = CollectorEnv(name, task.contract, plant, rows, None, Path("unused"), Collectors(count))
            found = rate(env, task.contract, rows)
            rates[str(count)] = found
            print(f"{name} {plant}, {rows} rows: {found:.0f} steps/s in {count} processes, {found / alone:.2f} ×")
        if results:
            results.add(f"{name} | {plant} | {rows}", {"task": name, "plant": plant, "rows": rows, "rates": rates}, ("speed",))
    return 0


if __name__ == "__main__":
    sys.exit(main())
