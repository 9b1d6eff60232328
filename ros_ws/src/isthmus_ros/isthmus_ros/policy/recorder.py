"""Records the runs of a policy node, one MCAP file each. A recording that fails never disturbs the robot."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isthmus.contract import Contract
from isthmus.records import Command
from isthmus.runner import Tick
from isthmus.trace import TraceStep, TraceWriter
from isthmus_ros.policy.remote import answered

__all__ = ["Recorder"]

_PATIENCE = 0.1  # s


class Recorder:
    """Writes `<prefix>-000.mcap`, `<prefix>-001.mcap`, …; existing files are replaced."""

    def __init__(
        self,
        prefix: str,
        contract: Contract,
        base_frame: str,
        metadata: dict[str, str],
        log: Any,
        *,
        answer: Callable[[int], Command | None] | None = None,
        executed: bool = True,
    ) -> None:
        """Prepare; without a prefix nothing is ever written.

        Args:
            prefix: of the files' paths.
            contract: of the policy.
            base_frame: of the robot.
            metadata: of every file.
            log: takes warnings.
            answer: gives what was executed for a sequence number, once the next period has begun; None where the decision itself says so.
            executed: whether the robot gets what is decided.
        """
        self._prefix = prefix
        self._contract = contract
        self._frame = base_frame
        self._metadata = metadata
        self._log = log
        self._answer = answer
        self._executed = executed
        self._waiting: tuple[Tick, int] | None = None
        self._count = 0
        self._fresh = True
        self._lock = threading.Lock()
        self._writer: TraceWriter | None = None
        if prefix:  # the first file of a process costs imports, which would take a control period in motion
            TraceWriter(Path(os.devnull), contract, metadata, base_frame).close()

    def record(self, tick: Tick, sequence: int) -> None:
        """Append one control period; the first one of a run opens a new file. One that waits for its answer is written with the next."""
        if not self._prefix:
            return
        with self._lock:
            if self._answer is None:
                self._write(tick)
            else:
                self._flush()
                self._waiting = (tick, sequence)

    def end(self) -> None:
        """Finish the file of the run; one whose disk hangs is left alone."""
        if not self._prefix or not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            self._flush()
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self._log.warning(f"recording is incomplete: {error}")
        finally:
            self._writer, self._fresh = None, True
            self._lock.release()

    def _flush(self) -> None:
        if self._waiting is not None and self._answer is not None:
            tick, sequence = self._waiting
            self._waiting = None
            self._write(dataclasses.replace(tick, decision=answered(tick.decision, self._answer(sequence))))

    def _write(self, tick: Tick) -> None:
        try:
            if self._fresh:
                self._fresh = False
                self._open()
            if self._writer is not None:
                self._writer.record(_step(tick, self._contract, self._executed))
        except (OSError, ValueError) as error:
            self._log.warning(f"recording ended: {error}")
            self._writer = None

    def _open(self) -> None:
        path = Path(f"{self._prefix}-{self._count:03d}.mcap")
        self._count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = TraceWriter(path, self._contract, {**self._metadata, "episode": str(self._count - 1)}, self._frame)


def _step(tick: Tick, contract: Contract, executed: bool) -> TraceStep:
    return TraceStep(
        measurement=tick.measurement,
        command=None if tick.asked is None else Command(contract.mode, contract.action.elements, tick.asked),
        executed=tick.decision.command if executed else None,
        rung=int(tick.decision.rung[0]),
        cause=tick.decision.cause[0],
        inputs=tick.inputs,
        observation=tick.observation,
        action=None if tick.chunk is None else tick.chunk.actions,
        corrected=tick.corrected,
    )
