"""Whether trained policies swing at the control rate: the loop gain that `isthmus doctor POLICY` prints, of several policy files, in every engine.

`python benchmarks/loop_gain.py POLICY.isthmus … --record docs/results/loop_gain.json` measures each file in each engine that its task runs on.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from isthmus.artifact import Artifact
from isthmus_cli.loop_gain import loop_gain
from isthmus_evidence.contracts import task_for
from isthmus_evidence.results import Results
from isthmus_sim.tasks import get_task


def main() -> None:
    """Print one line per policy and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="+", type=Path, metavar="POLICY", help="policy files of tasks of ours")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    for file in arguments.policies:
        artifact = Artifact.load(file)
        task = task_for(get_task(artifact.contract.task), artifact.contract)
        learner, seed = artifact.training["algorithm"], artifact.training["seed"]
        for plant in task.plants:
            found = loop_gain(artifact.policy(), task, plant)
            print(
                f"{file}, {plant}: {found.median:.2f}, median of {found.states} states; 1 or more in {100 * found.above_one:.0f} %",
                flush=True,
            )
            if results:
                row = {"task": task.name, "learner": learner, "seed": seed, "plant": plant, **asdict(found)}
                of_policy = {"algorithm": learner, "seed": seed, "commit": artifact.git, "digest": artifact.policy_digest}
                results.add(f"{task.name} | {learner} | seed {seed} | {plant}", {**row, "policy": of_policy}, {learner, "loop-gain"})


if __name__ == "__main__":
    main()
