"""Whether runs over ROS 2 can be had again from their recordings: `isthmus replay` of what `isthmus eval --plant ros` recorded.

`python benchmarks/replays.py POLICY.isthmus … --episodes 20 --record docs/results/replays.json`: real nodes, each episode recorded, every observation
and decision made again and compared. Graphs have to be equal bit for bit, planners within the tolerance of their solver.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus_evidence.results import Results

_ISTHMUS = str(Path(sys.executable).with_name("isthmus"))


def main() -> None:
    """Print one line per policy and stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="+", type=Path, metavar="POLICY", help="policy files of tasks of ours")
    parser.add_argument("--episodes", type=int, default=20, help="recorded and replayed")
    parser.add_argument("--engine", default="mujoco", help="of the simulated robot")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    for file in arguments.policies:
        artifact = Artifact.load(file)
        for name, found in _replayed(file, arguments.episodes, arguments.engine).items():
            print(file.name, name, found, flush=True)
            if results:
                row = {"task": artifact.contract.task, "kind": artifact.kind, "engine": arguments.engine, "stage": name, **found}
                results.add(f"{artifact.contract.task} | {artifact.kind} | {arguments.engine} | {name}", row, {"ros", "guard"})


def _replayed(file: Path, episodes: int, engine: str) -> dict[str, dict[str, Any]]:
    """Per stage: how many runs and values were compared and equal, the largest difference and the allowed one."""
    with tempfile.TemporaryDirectory() as folder:
        evaluation = ("eval", file, "--plant", "ros", "--engine", engine, "--episodes", episodes, "--record", folder)
        subprocess.run([_ISTHMUS, *map(str, evaluation)], check=True, stdout=subprocess.DEVNULL)
        # The exit code says whether all is equal, and so do the figures.
        told = subprocess.run([_ISTHMUS, "replay", folder, str(file), "--json", "-"], stdout=subprocess.PIPE, text=True, check=False).stdout
    runs = json.loads(told)["replay"]
    found: dict[str, dict[str, Any]] = {}
    for stages in runs.values():
        for stage in stages:
            if stage["skipped"]:
                continue
            name = "observations" if stage["name"].startswith("observation ") else stage["name"]
            at = found.setdefault(name, {"runs": len(runs), "compared": 0, "equal": 0, "largest": 0.0, "allowed": 0.0})
            at["compared"] += stage["compared"]
            at["equal"] += stage["equal"]
            at["largest"] = max(at["largest"], stage["largest"])
            at["allowed"] = max(at["allowed"], stage["allowed"])
    return found


if __name__ == "__main__":
    main()
