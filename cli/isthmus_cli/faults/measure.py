"""Runs the rows of the fault table and keeps what was seen, so that an interrupted table goes on where it was."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isthmus_cli.console import say
from isthmus_cli.faults.course import Course, course
from isthmus_cli.faults.policies import write_policy
from isthmus_cli.faults.rows import Row
from isthmus_cli.faults.seen import Seen
from isthmus_cli.faults.subject import Setting, Subject
from isthmus_cli.faults.words import not_brought_up

__all__ = ["Results", "measure"]

_FIRST = 0.050  # s that the first braking command may always take
Results = dict[str, Any]
"""Row and setting → number, fault, setting, expected outcomes, whether it is timed, and its runs: fields of `Seen` and the load of the machine."""


def key(row: Row, setting: Setting) -> str:
    """Of one line of the results."""
    return f"{row.number} | {row.fault} | {setting.name}"


def measure(subject: Subject, rows: Iterable[Row], repeats: int, results: Results, out: Path) -> None:
    """Run what is missing, rows that share their processes one after the other.

    Args:
        subject: the robot.
        rows: of the table.
        repeats: of each row and setting.
        results: of earlier runs; extended, and saved after each run.
        out: file of the results, JSON.
    """
    groups: dict[Setting, list[Row]] = {}
    for row in rows:
        for setting in filter(subject.takes, row.settings):
            if len(results.get(key(row, setting), {}).get("runs", ())) < repeats:
                groups.setdefault(setting, []).append(row)
    with tempfile.TemporaryDirectory() as folder:
        for setting, members in groups.items():
            policy = write_policy(subject, setting, Path(folder))
            shared = [(row, repeat) for row in members if not row.fresh for repeat in range(repeats)]
            while shared:
                shared = _run_shared(subject, setting, policy, shared, results, out, repeats)
            for row in members:
                while row.fresh and len(_runs(results, row, setting)) < repeats:
                    with (
                        _surviving(results, row, setting, out),
                        course(subject, setting, policy, **dict(setting.options)) as run,
                    ):
                        _record(results, row, setting, _attempt(run, row, up=row.act is not not_brought_up), out)


def _run_shared(
    subject: Subject, setting: Setting, policy: Path, todo: list[tuple[Row, int]], results: Results, out: Path, repeats: int
) -> list[tuple[Row, int]]:
    """Run until a row fails in a way that its processes may not survive; what is left."""
    left = list(todo)
    with (
        _surviving(results, todo[0][0], setting, out),
        course(subject, setting, policy, **dict(setting.options)) as run,
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
def _surviving(results: Results, row: Row, setting: Setting, out: Path) -> Iterator[None]:
    """Processes that cannot be brought up or ended are an outcome of the row, and the run goes on."""
    before = len(_runs(results, row, setting))
    try:
        yield
    except Exception as error:
        words = f"{type(error).__name__}: {error}"[:300]
        if len(_runs(results, row, setting)) == before:
            _record(results, row, setting, Seen("failed", words), out)
        else:
            say(f"    after row {row.number}: {words}")


def _attempt(run: Course, row: Row, *, up: bool) -> Seen:
    """One repeat; a repeat that cannot be carried out is an outcome too."""
    try:
        if up:
            run.bring_up()
        return row.act(run)
    except Exception as error:
        return Seen("failed", f"{type(error).__name__}: {error}"[:300])


def _runs(results: Results, row: Row, setting: Setting) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = results.get(key(row, setting), {}).get("runs", [])
    return runs


def _record(results: Results, row: Row, setting: Setting, seen: Seen, out: Path) -> None:
    entry = results.setdefault(
        key(row, setting),
        {
            "number": row.number,
            "fault": row.fault,
            "setting": setting.name,
            "expected": list(row.expected),
            "timed": row.timed,
            "first": max(2 * setting.period, _FIRST),
            "runs": [],
        },
    )
    values = {name: _plain(value) for name, value in dataclasses.asdict(seen).items()}
    entry["runs"].append({**values, "load": round(os.getloadavg()[0], 2)})
    _save(results, out)
    mark = "" if seen.outcome in row.expected else "   <-- expected " + " or ".join(row.expected)
    say(f"{row.number:>3} {row.fault[:46]:46} {setting.name:36} {seen.outcome:14} brake {seen.brake:.3f} still {seen.still:.3f} {mark}")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value


def _save(results: Results, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_suffix(".part")
    fresh.write_text(json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(out)
