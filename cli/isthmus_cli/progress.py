"""Progress of long work: a bar with the remaining time on a terminal, lines in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from isthmus_cli.console import OUT, say

__all__ = ["Progress"]

_PAUSE = 5.0  # s between lines in a log, beside those that carry news


class Progress:
    """Shows how far one piece of work is; a context manager."""

    def __init__(self, name: str, unit: str, quiet: bool = False) -> None:
        """Start the clock.

        Args:
            name: of the work.
            unit: what is counted.
            quiet: show nothing.
        """
        self._name, self._unit, self._quiet = name, unit, quiet
        self._news = ""
        self._began = time.monotonic()
        self._said = self._began
        self._bar: Bar | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Progress:
        if OUT.is_terminal and not self._quiet:
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self._unit),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            self._bar = Bar(TextColumn("{task.description}"), *columns, TextColumn("{task.fields[news]}"), console=OUT)
            self._task = self._bar.add_task(self._name, total=None, news="")
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, done: int, total: int, news: str = "") -> None:
        """Show the state.

        Args:
            done: units done.
            total: units in all.
            news: the latest result; kept on the bar until there is a newer one.
        """
        self._news = news or self._news
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, news=self._news)
            return
        now = time.monotonic()
        if not self._quiet and (news or now - self._said > _PAUSE):
            self._said = now
            left = f"{(now - self._began) * (total - done) / done:.0f} s left" if done else ""
            say(", ".join(filter(None, (f"{self._name}: {done} of {total} {self._unit}", left, self._news))))
