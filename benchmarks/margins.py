"""Whether margins that were found in one engine hold in another: what `isthmus certify POLICY` finds, as rows of a table.

`python benchmarks/margins.py POLICY.isthmus … --record docs/results/margins.json` searches in MuJoCo how far each disturbance may go before success
falls by ten points, and tries in PyBullet the amount from which on it is certain to fall.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isthmus.artifact import Artifact
from isthmus_evidence import certify
from isthmus_evidence.results import Results


def main() -> None:
    """Print one line per policy and disturbance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="+", type=Path, metavar="POLICY", help="policy files of tasks of ours")
    parser.add_argument("--episodes", type=int, default=100, help="of each amount")
    parser.add_argument("--margins", nargs="+", help="names of disturbances; by default all that the task knows")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    for file in arguments.policies:
        artifact = Artifact.load(file)
        learner, seed = artifact.training["algorithm"], artifact.training["seed"]
        found = certify(artifact, episodes=arguments.episodes, margins=arguments.margins)
        success = {cell["engine"]: cell["success"] for cell in found["cells"]}
        for margin in found["margins"]:
            bounds = margin.get("refused") or [margin[end] for end in ("low", "margin", "high")]
            print(f"{file}, {margin['name']}: {bounds}; {margin['checked']}", flush=True)
            if results:
                row = {
                    "task": found["task"],
                    "learner": learner,
                    "episodes": found["episodes"],
                    "first_seed": found["seed"],
                    "nominal": success,
                }
                of_policy = {"algorithm": learner, "seed": seed, "commit": artifact.git, "digest": artifact.policy_digest}
                concerns = {learner, "eval", "guard"}
                results.add(
                    f"{found['task']} | {learner} | seed {seed} | {margin['name']}", {**row, **margin, "policy": of_policy}, concerns
                )


if __name__ == "__main__":
    main()
