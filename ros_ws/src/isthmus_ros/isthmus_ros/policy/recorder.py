"""Records the runs of a policy node, one MCAP file each. A recording that fails never disturbs the robot."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from isthmus.contract import Contract
from isthmus.records import Command
from isthmus.runner import Tick
from isthmus.trace import TraceStep, TraceWriter

__all__ = ["Recorder"]

_PATIENCE = 1.0  # s


class Recorder:
    """Writes `<prefix>-000.mcap`, `<prefix>-001.mcap`, …; existing files are replaced."""

    def __init__(self, prefix: str, contract: Contract, base_frame: str, metadata: dict[str, str], log: Any) -> None:
        """Prepare; without a prefix nothing is ever written."""
        self._prefix = prefix
        self._contract = contract
        self._frame = base_frame
        self._metadata = metadata
        self._log = log
        self._count = 0
        self._fresh = True
        self._lock = threading.Lock()
        self._writer: TraceWriter | None = None
        if prefix:  # the first file of a process costs imports, which would take a control period in motion
            TraceWriter(Path(os.devnull), contract, metadata, base_frame).close()

    def record(self, tick: Tick, sequence: int, *, executed: bool = True) -> None:
        """Append one control period; the first one of a run opens a new file. `executed`: whether the robot got what was decided.

        Two threads may call it; neither waits for the other's disk, so the guard's line is left out rather than late.
        """
        if not self._prefix or not self._lock.acquire(blocking=tick.index >= 0):
            return
        try:
            if self._fresh:
                self._fresh = False
                self._open()
            if self._writer is not None:
                self._writer.record(_step(tick, sequence, self._contract, executed))
        except (OSError, ValueError) as error:
            self._log.warning(f"recording ended: {error}")
            self._writer = None
        finally:
            self._lock.release()

    def end(self) -> None:
        """Finish the file of the run; one whose disk hangs is left alone."""
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self._log.warning(f"recording is incomplete: {error}")
        finally:
            self._writer, self._fresh = None, True
            self._lock.release()

    def _open(self) -> None:
        path = Path(f"{self._prefix}-{self._count:03d}.mcap")
        self._count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = TraceWriter(path, self._contract, {**self._metadata, "episode": str(self._count - 1)}, self._frame)


def _step(tick: Tick, sequence: int, contract: Contract, executed: bool) -> TraceStep:
    return TraceStep(
        sequence=sequence,
        measurement=tick.measurement,
        command=None if tick.asked is None else Command(contract.mode, contract.action.elements, tick.asked),
        executed=tick.decision.command if executed else None,
        rung=int(tick.decision.rung[0]),
        cause=tick.decision.cause[0],
        inputs=tick.inputs,
        observation=tick.observation,
        action=None if tick.chunk is None else tick.chunk.actions,
    )
