"""Measure the fault table with real processes over real DDS, and write docs/explanation/safety.md from what came out.

python benchmarks/faults.py                      all rows, five times each; about an hour, and it goes on where it was interrupted
python benchmarks/faults.py --rows 1,20-30 --mode velocity --repeats 1 --out trial.json
python benchmarks/faults.py --kills 50           SIGKILL and SIGSTOP of the policy in motion
python benchmarks/faults.py --page               write the page only
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import signal
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fault_acts import killed
from fault_course import Course, Seen, course
from fault_page import write_page
from fault_policies import write_policy
from fault_rows import ROWS, Row, Setting
from fault_sight import SIGHT_ROWS
from fault_time import TIME_ROWS

OUT = Path(__file__).resolve().parents[1] / "docs" / "reference" / "faults.json"


def main() -> int:
    """Run what is missing in the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", default=[], metavar="N", help="numbers or ranges, 20-30; all if not given")
    parser.add_argument("--mode", choices=("velocity", "position"), help="only settings in which the policy commands this")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="only kill and suspend the policy, N times each")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--out", type=Path, default=OUT, help="result file, JSON")
    arguments = parser.parse_args()
    results: dict[str, Any] = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    if arguments.kills:
        kill_often(results, arguments.kills, arguments.out)
    elif not arguments.page:
        wanted = _numbers(arguments.rows)
        rows = [row for row in (*ROWS, *TIME_ROWS, *SIGHT_ROWS) if not wanted or int(row.number) in wanted]
        if arguments.mode:
            rows = [dataclasses.replace(row, settings=tuple(s for s in row.settings if s.mode == arguments.mode)) for row in rows]
        measure(rows, arguments.repeats, results, arguments.out)
    if arguments.out == OUT:
        write_page(results)
    return 0


def key(row: Row, setting: Setting) -> str:
    """Of one line of the results."""
    return f"{row.number} | {row.fault} | {setting.name}"


def measure(rows: Iterable[Row], repeats: int, results: dict[str, Any], out: Path) -> None:
    """Run rows that share their processes one after the other."""
    groups: dict[Setting, list[Row]] = {}
    for row in rows:
        for setting in row.settings:
            if len(results.get(key(row, setting), {}).get("runs", ())) < repeats:
                groups.setdefault(setting, []).append(row)
    with tempfile.TemporaryDirectory() as folder:
        for setting, members in groups.items():
            policy = write_policy(setting.policy, setting.mode, Path(folder))
            shared = [(row, repeat) for row in members if not row.fresh for repeat in range(repeats)]
            while shared:
                shared = _run_shared(setting, policy, shared, results, out, repeats)
            for row in members:
                while row.fresh and len(_runs(results, row, setting)) < repeats:
                    with (
                        _surviving(results, row, setting, out),
                        course(policy, setting.mode, setting.transport, **dict(setting.options)) as run,
                    ):
                        _record(results, row, setting, _attempt(run, row, up=row.number not in ("18", "19")), out)


def _run_shared(
    setting: Setting, policy: Path, todo: list[tuple[Row, int]], results: dict[str, Any], out: Path, repeats: int
) -> list[tuple[Row, int]]:
    """Run until a row fails in a way that its processes may not survive; what is left."""
    left = list(todo)
    with (
        _surviving(results, todo[0][0], setting, out),
        course(policy, setting.mode, setting.transport, **dict(setting.options)) as run,
    ):
        run.bring_up()
        while left:
            row, _ = left.pop(0)
            if len(_runs(results, row, setting)) >= repeats:
                continue
            seen = _attempt(run, row, up=False)
            _record(results, row, setting, seen, out)
            if seen.outcome == "failed":
                return left
    return left[1:] if len(left) == len(todo) else left  # processes that do not come up cost the first repeat


@contextlib.contextmanager
def _surviving(results: dict[str, Any], row: Row, setting: Setting, out: Path) -> Iterator[None]:
    """Processes that cannot be brought up or ended are an outcome of the row, and the run goes on."""
    before = len(_runs(results, row, setting))
    try:
        yield
    except Exception as error:
        words = f"{type(error).__name__}: {error}"[:300]
        if len(_runs(results, row, setting)) == before:
            _record(results, row, setting, Seen("failed", words), out)
        else:
            print(f"    after row {row.number}: {words}", flush=True)


def _attempt(run: Course, row: Row, *, up: bool) -> Seen:
    """One repeat; a repeat that cannot be carried out is an outcome too."""
    try:
        if up:
            run.bring_up()
        return row.act(run)
    except Exception as error:
        return Seen("failed", f"{type(error).__name__}: {error}"[:300])


def _runs(results: dict[str, Any], row: Row, setting: Setting) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = results.get(key(row, setting), {}).get("runs", [])
    return runs


def _record(results: dict[str, Any], row: Row, setting: Setting, seen: Seen, out: Path) -> None:
    entry = results.setdefault(
        key(row, setting),
        {"number": row.number, "fault": row.fault, "setting": setting.name, "expected": list(row.expected), "timed": row.timed, "runs": []},
    )
    values = {name: _plain(value) for name, value in dataclasses.asdict(seen).items()}
    entry["runs"].append({**values, "load": round(os.getloadavg()[0], 2)})
    _save(results, out)
    mark = "" if seen.outcome in row.expected else "   <-- expected " + " or ".join(row.expected)
    print(
        f"{row.number:>3} {row.fault[:46]:46} {setting.name:28} {seen.outcome:14} brake {seen.brake:.3f} still {seen.still:.3f} {mark}",
        flush=True,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value


def _save(results: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(".part")
    fresh.write_text(json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(out)


def kill_often(results: dict[str, Any], times: int, out: Path) -> None:
    """SIGKILL and SIGSTOP of the policy in motion, in new processes each time."""
    setting = Setting("velocity", "trajectory")

    def suspended(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.nodes["policy_node"].send(signal.SIGSTOP))

    rows = (
        Row("K1", "policy SIGKILL, often", ("H→S",), killed("policy_node"), (setting,), fresh=True),
        Row("K2", "policy SIGSTOP, often", ("H→S",), suspended, (setting,), fresh=True),
    )
    measure(rows, times, results, out)


def _numbers(words: list[str]) -> set[int]:
    found: set[int] = set()
    for word in ",".join(words).split(",") if words else ():
        first, _, last = word.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


if __name__ == "__main__":
    raise SystemExit(main())
