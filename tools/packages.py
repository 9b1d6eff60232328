"""The packages of the source tree: how long their files are, which parts use which, and no circle.

`python tools/packages.py` prints, for each package, number, median and largest length of its files, and the arrows between its parts, with how many
imports each stands for. It exits with 1 if files import each other in a circle, or a file is longer than 350 lines without a reason below.
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
LONGER: Mapping[str, str] = {}
"""Files that may be longer, and why."""


def main() -> int:
    """Print the graph; returns the exit code."""
    packages = sorted(file.parent for pattern in ("*/isthmus*/__init__.py", "ros_ws/src/*/*/__init__.py") for file in ROOT.glob(pattern))
    sys.path[:0] = [str(folder.parent) for folder in packages]
    graph = grimp.build_graph(*(folder.name for folder in packages), cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    found = []
    for folder in packages:
        lengths = {file: file.read_text(encoding="utf-8").count("\n") for file in folder.rglob("*.py")}
        largest = max(lengths, key=lambda file: lengths[file])
        print(f"{folder.name}: {len(lengths)} files, median {statistics.median(lengths.values()):g} lines, largest {_shown(largest, lengths)}")
        for (one, other), count in sorted(arrows(imports, folder.name).items()):
            print(f"  {one} -> {other} {count}")
        found += [f"too long: {_shown(file, lengths)}" for file in lengths if lengths[file] > LONGEST and _name(file) not in LONGER]
    found += [f"circle: {' <-> '.join(circle)}" for circle in circles(imports)]
    print("\n".join(found) or "no circle, no file that is too long")
    return 1 if found else 0


def arrows(imports: Mapping[str, set[str]], package: str) -> Counter[tuple[str, str]]:
    """Imports between the parts of a package, which are its folders and files, and from them to other packages.

    Args:
        imports: by each module.
        package: name.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for module, used in imports.items():
        if module.split(".")[0] == package:
            for other in used:
                pairs[_part(module, package), _part(other, package)] += 1
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


def _part(module: str, package: str) -> str:
    """What a module belongs to, seen from a package: a folder or file of it, or another package."""
    root, *inner = module.split(".")
    if root != package:
        return root
    return inner[0] if inner else package


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _shown(file: Path, lengths: Mapping[Path, int]) -> str:
    return f"{_name(file)} {lengths[file]}"


if __name__ == "__main__":
    raise SystemExit(main())
