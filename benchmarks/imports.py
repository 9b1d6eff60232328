"""Import robots that packages on PyPI ship, and record what became of each: how far the engines agree about it, or why it was refused.

    pip install --no-deps --target runs/packages example-robot-data==6.0.0 …   # all that benchmarks/imports.yaml names and that is not installed yet
    python benchmarks/imports.py [PACKAGE …] [--packages runs/packages] --record docs/results/imports.json

Each robot is imported by `isthmus robots import` in a process of its own. What is in the file is not measured again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_evidence.results import Results

ROBOTS = Path(__file__).with_suffix(".yaml")
TIMEOUT = 3600.0  # s per robot, on a machine that does other things, too
ISTHMUS = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"


def main() -> None:
    """Print a line per robot."""
    known = strict.load_yaml(ROBOTS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "only", nargs="*", metavar="PACKAGE", help=f"some of {', '.join(name.partition('==')[0] for name in known)}; all by default"
    )
    parser.add_argument("--packages", type=Path, default=Path("runs/packages"), help="folder into which pip has installed them")
    parser.add_argument("--record", type=Path, required=True, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record)
    for requirement, listed in known.items():
        package, _, version = requirement.partition("==")
        if arguments.only and package not in arguments.only:
            continue
        place = next((place for place in (arguments.packages, Path(sysconfig.get_path("purelib"))) if _has(place, package, version)), None)
        if place is None:
            raise SystemExit(f"{requirement} is not installed; pip install --no-deps --target {arguments.packages} {requirement}")
        for name, file in listed["robots"].items():
            key = f"{package} | {name}"
            if key in results.rows:
                continue
            row = {"package": package, "version": version, "robot": name, "file": file, **_imported(name, place / listed["in"] / file)}
            results.add(key, row, ("import",))
            print(key, row.get("refused") or f"{row['joints']} joints, {'; '.join(row['lines']) or 'both engines agree'}", flush=True)


def _has(place: Path, package: str, version: str) -> bool:
    """Whether a folder of packages has one in this version."""
    found = importlib.metadata.distributions(name=package, path=[str(place)])
    return any(distribution.version == version for distribution in found)


def _imported(name: str, file: Path) -> dict[str, Any]:
    """What the import says, without paths of this machine."""
    with tempfile.TemporaryDirectory() as out:
        words = [sys.executable, "-c", ISTHMUS, "robots", "import", name, str(file), "--out", out, "--json"]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return {"refused": f"not done after {TIMEOUT:g} s"}
        if ended.returncode not in (0, 1):
            last = (ended.stderr.strip() or "nothing was said").splitlines()[-1]
            return {
                "refused": last.removeprefix("isthmus: ").replace(f"{file.parent}/", "").replace(f"{out}/", ""),
                "code": ended.returncode,
            }
        told = json.loads(ended.stdout[ended.stdout.index("{\n") :])  # PyBullet speaks first
    return {
        "joints": len(told["joints"]),
        "base": told["base"],
        "tool": told["tool_frame"],
        "fill_in": told["fill_in"],
        "notes": [note.replace(f"{file.parent}/", "") for note in told["notes"]],
        "lines": told["engines"],
        "apart": {engine: {"m": far, "inertia": share} for engine, (far, share) in told["apart"].items()},
    }


if __name__ == "__main__":
    main()
