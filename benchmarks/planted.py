"""Whether the cause of a planted fault is named: kinds of faults × policies × engines, and pairs without any.

    python benchmarks/planted.py                      # everything that is not in docs/results/planted.json yet
    python benchmarks/planted.py --engines mujoco --tasks reach --faults sign payload
    python benchmarks/planted.py --table              # what is known

Recordings are of the tasks' scripted policies, with and without the fault, from other seeds. What is named first is right if it is the fault's cause.
A fault that the policy alone feels is sought as `isthmus doctor POLICY --log` does, everything else as `isthmus gap` does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import gap
from isthmus_evidence.gap.planted import FAULTS, record_episodes
from isthmus_evidence.results import Results
from isthmus_sim.tasks import get_task

TASKS, ENGINES = ("reach", "reach-position", "push"), ("mujoco", "pybullet")
CLEAN = 5  # pairs per task and engine
EPISODES = 10
FILE = Path(__file__).parents[1] / "docs" / "results" / "planted.json"


def main() -> None:
    """Measure what is missing, and show what is known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="tasks with a scripted policy")
    parser.add_argument("--engines", nargs="+", default=ENGINES)
    parser.add_argument("--faults", nargs="+", default=[*FAULTS, *(f"none {number}" for number in range(CLEAN))])
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--table", action="store_true", help="show what is known, and measure nothing")
    arguments = parser.parse_args()
    results = Results(arguments.out)
    if not arguments.table:
        for engine in arguments.engines:
            for task in arguments.tasks:
                _measure(task, engine, arguments.faults, results)
    _show(results)


def _measure(name: str, engine: str, faults: list[str], results: Results) -> None:
    missing = [fault for fault in faults if f"{name} {engine} {fault}" not in results.rows]
    if not missing:
        return
    task = get_task(name)
    artifact = scripted_artifact(task.contract)
    with tempfile.TemporaryDirectory() as root:
        first = Path(root) / "first"
        record_episodes(task, artifact.policy(), engine, range(EPISODES), first)
        for fault in missing:
            number = int(fault.removeprefix("none ")) if fault.startswith("none") else -1
            planted = "" if number >= 0 else fault
            # Half of the clean pairs share their seeds, as all others do.
            seeds = range(EPISODES) if number % 2 else range(100 * (number + 1), 100 * (number + 1) + EPISODES)
            seeds = range(EPISODES) if planted else seeds
            second = Path(root) / fault.replace(" ", "-")
            try:
                record_episodes(task, artifact.policy(), engine, seeds, second, planted)
            except ValueError as error:
                if "cannot express" not in str(error):
                    raise
                print(f"{name:15} {engine:9} {fault:20} left out: {error}", flush=True)
                continue
            began = time.perf_counter()
            found = gap.compare(first, second, policy=artifact.policy())
            took = time.perf_counter() - began
            expected = FAULTS[planted].cause if planted else "none"
            said = found.causes[0] if found.named else None
            row = {
                "task": name,
                "engine": engine,
                "fault": planted or "none",
                "expected": expected,
                "named": said.cause if said else "none",
                "claim": said.claim if said else "",
                "others": [cause.cause for cause in found.named[1:]],
                "excess": found.excess,
                "seconds": took,
            }
            results.add(f"{name} {engine} {fault}", row, ["gap"])
            print(
                f"{name:15} {engine:9} {fault:20} {'right' if row['named'] == expected else 'WRONG':6} {row['named']}: {row['claim']}",
                flush=True,
            )


def _show(results: Results) -> None:
    planted = [row for row in results.rows.values() if row["fault"] != "none"]
    clean = [row for row in results.rows.values() if row["fault"] == "none"]
    right = sum(row["named"] == row["expected"] for row in planted)
    quiet = sum(row["named"] == "none" for row in clean)
    print(f"{right} of {len(planted)} planted faults named first; nothing named in {quiet} of {len(clean)} clean pairs")


if __name__ == "__main__":
    main()
