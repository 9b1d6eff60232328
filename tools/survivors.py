"""The mutants that no test killed: `make mutation` fails if one is not named in mutants.yaml, with the reason.

`python tools/survivors.py FOLDER` reads what `mutmut run` has left in its folder `mutants`, and prints each such mutant with its change. It exits
with 1 if there is one, if some mutant was not run, or if all were and a name in the list is not needed any more. `--record FILE` writes the counts of
each file into a file of figures, if it exits with 0.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import fnmatch
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from isthmus_evidence.results import Results

NAMED = Path(__file__).with_name("mutants.yaml")
SURVIVED, UNTESTED = 0, 33  # exit codes of a mutant's tests, as mutmut writes them; None for a mutant that was not run yet


class Name(NamedTuple):
    """What is known to survive: in functions like `function`, whatever `before` becomes `after`."""

    function: str
    before: str
    after: str

    def fits(self, mutant: Mutant) -> bool:
        """Whether it names a mutant: one occurrence of `before` in the changed code has become `after`."""
        code, pieces = mutant.before, mutant.before.split(self.before)
        changed = (self.before.join(pieces[:k]) + self.after + self.before.join(pieces[k:]) for k in range(1, len(pieces)))
        return fnmatch.fnmatchcase(mutant.function, self.function) and code != mutant.after and mutant.after in changed


class Mutant(NamedTuple):
    """One change: `before` and `after` are the lines that differ, joined by spaces."""

    key: str
    function: str
    before: str
    after: str


def main() -> int:
    """Print what survived without a name; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder that mutmut has written")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    named = names(yaml.safe_load(NAMED.read_text(encoding="utf-8")))
    files: dict[str, Counter[str]] = {}
    needed: set[Name] = set()
    for meta in sorted(arguments.folder.rglob("*.meta")):
        codes: dict[str, int | None] = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        alive = {key for key, code in codes.items() if code in (SURVIVED, UNTESTED)}
        found = files[meta.stem] = Counter({"not run": sum(code is None for code in codes.values())})
        found["killed"] = len(codes) - found["not run"] - len(alive)
        for mutant in mutants(meta.with_suffix(""), alive):
            fitting = [name for name in named if name.fits(mutant)]
            needed.update(fitting)
            found["named" if fitting else "not named"] += 1
            if not fitting:
                print(f"{mutant.key}{'' if codes[mutant.key] == SURVIVED else ', which no test runs'}\n- {mutant.before}\n+ {mutant.after}")
    total = sum(files.values(), Counter[str]())
    print(", ".join(f"{total[what]} {what}" for what in ("killed", "named", "not run", "not named")))
    needless = [] if total["not run"] else [name for name in named if name not in needed]
    for name in needless:
        print(f"needs no name any more: {list(name)}")
    if not files or total["not named"] or total["not run"] or needless:
        return 1
    if arguments.record:
        results = Results(arguments.record, "mutmut")
        for file, found in files.items():
            results.add(file, {"file": file, "killed": found["killed"], "named": found["named"]}, ["guard"])
    return 0


def names(groups: list[dict[str, object]]) -> list[Name]:
    """The names of a list of groups, each with a reason.

    Raises:
        ValueError: a group has no reason, or a name is no list of three.
    """
    found = []
    for group in groups:
        if not group.get("reason"):
            raise ValueError(f"{NAMED.name}: every group needs a reason, got {group}")
        for entry in group["mutants"]:  # type: ignore[attr-defined]
            if len(entry) != 3:
                raise ValueError(f"{NAMED.name}: a mutant is [function, before, after], got {entry}")
            found.append(Name(*entry))
    return found


def mutants(file: Path, keys: set[str]) -> Iterator[Mutant]:
    """The changes of a file that mutmut has written, in which every function stands once as it was and once for each mutant."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    functions = {
        node.name: lines[node.lineno : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name
    }
    for key in sorted(keys):
        module, _, name = key.rpartition(".")
        base = name.partition("__mutmut_")[0]
        diff = list(difflib.ndiff(functions[f"{base}__mutmut_orig"], functions[name]))
        before, after = (" ".join(line[2:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
        function = base.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in base else base.removeprefix("x_")
        yield Mutant(key, f"{module.rpartition('.')[2]}.{function}", before, after)


if __name__ == "__main__":
    sys.exit(main())
