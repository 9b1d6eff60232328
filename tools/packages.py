"""The packages of the source tree: how long their files are, which parts use which, and no circle.

`python tools/packages.py` prints, for each package, number, median and largest length of its files, and the arrows between its folders and to other
packages, with how many imports each stands for; the files beside the folders count as one part. It exits with 1 if files import each other in a
circle, or one is longer than 350 lines, without a reason below; or if a reason is not needed any more.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
LONGEST = 350  # lines
REASONS: Mapping[str, str] = {
    "cli/isthmus_cli/faults/review.py": "rows of one table, one after the other",
    "core/isthmus/kinematics.py": "one tree of joints, and what follows from it",
    "core/isthmus/stream.py": "the one path of a command, which is read as a whole",
}
"""Files that may be longer, circles that are still there, and why."""


def main() -> int:
    """Print the graph; returns the exit code."""
    packages = sorted(file.parent for pattern in ("*/isthmus*/__init__.py", "ros_ws/src/*/*/__init__.py") for file in ROOT.glob(pattern))
    sys.path[:0] = [str(folder.parent) for folder in packages]
    graph = grimp.build_graph(*(folder.name for folder in packages), cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    found = [" <-> ".join(circle) for circle in circles(imports)]
    for folder in packages:
        lengths = {str(file.relative_to(ROOT)): file.read_text(encoding="utf-8").count("\n") for file in sorted(folder.rglob("*.py"))}
        found += [file for file, length in lengths.items() if length > LONGEST]
        largest = max(lengths, key=lambda file: lengths[file])
        print(
            f"{folder.name}: {len(lengths)} files, median {statistics.median(lengths.values()):g} lines, largest {lengths[largest]} ({largest})"
        )
        for (one, other), count in sorted(arrows(imports, folder.name).items()):
            print(f"  {one} -> {other} {count}")
    for what in found:
        print(f"{'circle' if '<->' in what else 'too long'}: {what}{f', {REASONS[what]}' if what in REASONS else ''}")
    needless = sorted(REASONS.keys() - found)
    for what in needless:
        print(f"needs no reason any more: {what}")
    return 1 if needless or set(found) - REASONS.keys() else 0


def arrows(imports: Mapping[str, set[str]], package: str) -> Counter[tuple[str, str]]:
    """Imports between the folders of a package, and from them to other packages.

    Args:
        imports: by each module.
        package: name.
    """
    folders = {".".join(module.split(".")[:2]) for module in imports if module.count(".") > 1}

    def part(module: str) -> str:
        inner = ".".join(module.split(".")[:2])
        if not module.startswith(f"{package}."):
            return module.partition(".")[0]
        return inner.partition(".")[2] if inner in folders else package

    pairs = Counter((part(one), part(other)) for one, used in imports.items() if one.split(".")[0] == package for other in used)
    return Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})


def circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group, sorted."""
    reached: dict[str, set[str]] = {}
    for module in imports:
        reached[module], ahead = set(), list(imports[module])
        while ahead:
            if (other := ahead.pop()) not in reached[module]:
                reached[module].add(other)
                ahead += imports[other]
    groups = {tuple(sorted(other for other in there if module in reached[other])) for module, there in reached.items() if module in there}
    return [list(group) for group in sorted(groups)]


if __name__ == "__main__":
    raise SystemExit(main())
