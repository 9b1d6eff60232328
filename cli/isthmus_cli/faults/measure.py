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
from isthmus_cli.faults.course import Course, NotReady, course
from isthmus_cli.faults.policies import write_policy
from isthmus_cli.faults.rows import Row
from isthmus_cli.faults.seen import Seen
from isthmus_cli.faults.subject import Setting, Subject
from isthmus_cli.faults.words import not_brought_up
from isthmus_evidence.provenance import provenance

__all__ = ["Record", "Results", "measure"]

_NOT_TRIED = "not tried"  # outcome of a run that ended before its fault, and does not count
_TRIES = 3
_FIRST = 0.050  # s that the first braking command may always take
Results = dict[str, Any]
"""Row and setting → number, fault, setting, expected outcomes, whether it is timed, and its runs: fields of `Seen` and the load of the machine."""


class Record:
    """The file of the results: who measured, and what was seen.

    Attributes:
        made: command, commit, versions, machine and date of each call that has measured something.
        lines: what was seen.
    """

    def __init__(self, file: Path) -> None:
        """Read the file, if there is one.

        Raises:
            ValueError: it is no file of results.
        """
        self._file = file
        self.made: list[dict[str, Any]] = []
        self.lines: Results = {}
        self._ours = -1
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
                self.made, self.lines = found["made"], found["lines"]
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{file} is no file of results of isthmus faults; choose another folder with --out") from None

    def runs(self, row: Row, setting: Setting) -> list[dict[str, Any]]:
        """Of one line; empty if it was never run."""
        runs: list[dict[str, Any]] = self.lines.get(key(row, setting), {}).get("runs", [])
        return runs

    def add(self, row: Row, setting: Setting, seen: Seen) -> None:
        """Say a run, and save it if it came as far as its fault."""
        mark = "" if seen.outcome in row.expected else "   <-- expected " + " or ".join(row.expected)
        say(f"{row.number:>3} {row.fault[:46]:46} {setting.name:36} {seen.outcome:14} brake {seen.brake:.3f} still {seen.still:.3f} {mark}")
        if seen.outcome == _NOT_TRIED:
            say(f"    {seen.words}")
            return
        if self._ours < 0:
            self._ours = len(self.made)
            self.made.append(provenance())
        entry = self.lines.setdefault(key(row, setting), {"runs": []})
        entry |= describe(row, setting)
        values = {name: _plain(value) for name, value in dataclasses.asdict(seen).items()}
        entry["runs"].append({**values, "load": round(os.getloadavg()[0], 2), "made": self._ours})
        self.save()

    def save(self) -> None:
        """Write the file."""
        fresh = self._file.with_suffix(".part")
        text = json.dumps({"made": self.made, "lines": self.lines}, indent=1, sort_keys=True, ensure_ascii=False)
        fresh.write_text(text + "\n", encoding="utf-8")
        fresh.replace(self._file)


def describe(row: Row, setting: Setting) -> dict[str, Any]:
    """What a line is about, and what must come of it."""
    return {
        "number": row.number,
        "fault": row.fault,
        "setting": setting.name,
        "expected": list(row.expected),
        "timed": row.timed,
        "first": max(2 * setting.period, _FIRST),
    }


def key(row: Row, setting: Setting) -> str:
    """Of one line of the results."""
    return f"{row.number} | {row.fault} | {setting.name}"


def measure(subject: Subject, rows: Iterable[Row], repeats: int, record: Record) -> None:
    """Run what is missing, rows that share their processes one after the other.

    Args:
        subject: the robot.
        rows: of the table.
        repeats: of each row and setting.
        record: of earlier runs; extended, and saved after each run.
    """
    groups: dict[Setting, list[Row]] = {}
    for row in rows:
        for setting in filter(subject.takes, row.settings):
            if record.runs(row, setting):
                record.lines[key(row, setting)] |= describe(row, setting)
            if len(record.runs(row, setting)) < repeats:
                groups.setdefault(setting, []).append(row)
    if record.lines:
        record.save()  # what is asked of them may have changed
    with tempfile.TemporaryDirectory() as folder:
        for setting, members in groups.items():
            policy = write_policy(subject, setting, Path(folder))
            shared = [(row, repeat) for row in members if not row.fresh for repeat in range(repeats)]
            while shared:
                shared = _run_shared(subject, setting, policy, shared, record, repeats)
            for row in members:
                for _ in range(repeats - len(record.runs(row, setting)) if row.fresh else 0):
                    with (
                        _surviving(record, row, setting),
                        course(subject, setting, policy, **dict(setting.options)) as run,
                    ):
                        record.add(row, setting, _attempt(run, row, up=row.act is not not_brought_up))


def _run_shared(
    subject: Subject, setting: Setting, policy: Path, todo: list[tuple[Row, int]], record: Record, repeats: int
) -> list[tuple[Row, int]]:
    """Run until a row fails in a way that its processes may not survive; what is left."""
    left = list(todo)
    with (
        _surviving(record, todo[0][0], setting),
        course(subject, setting, policy, **dict(setting.options)) as run,
    ):
        run.bring_up()
        while left:
            row, _ = left.pop(0)
            if len(record.runs(row, setting)) >= repeats:
                continue
            seen = _attempt(run, row, up=False)
            record.add(row, setting, seen)
            if seen.outcome in ("failed", _NOT_TRIED):
                return left
    return left[1:] if len(left) == len(todo) else left  # processes that do not come up cost the first repeat


@contextlib.contextmanager
def _surviving(record: Record, row: Row, setting: Setting) -> Iterator[None]:
    """Processes that cannot be brought up or ended are an outcome of the row, and the run goes on."""
    before = len(record.runs(row, setting))
    try:
        yield
    except Exception as error:
        words = f"{type(error).__name__}: {error}"[:300]
        if len(record.runs(row, setting)) == before:
            record.add(row, setting, Seen("failed", words))
        else:
            say(f"    after row {row.number}: {words}")


def _attempt(run: Course, row: Row, *, up: bool) -> Seen:
    """One repeat. What ends before the fault, as on a busy machine, is begun again; one that cannot be carried out is an outcome too."""
    words = ""
    try:
        if up:
            run.bring_up()
        for _ in range(_TRIES):
            try:
                return row.act(run)
            except NotReady as error:
                words = str(error)
    except Exception as error:
        return Seen("failed", f"{type(error).__name__}: {error}"[:300])
    return Seen(_NOT_TRIED, words)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
