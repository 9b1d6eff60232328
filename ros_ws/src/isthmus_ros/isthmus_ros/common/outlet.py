"""Copies stdin to stdout and never lets the writer wait: what a paused terminal does not take is kept, up to a bound, and then dropped and counted.

A process of its own, which `isthmus_ros.common.output` starts by its path: it outlives a writer that crashes, whose last words still come out.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque

_KEPT = 2**20  # bytes
_CHUNK = 2**16


class Outlet:
    """Chunks on their way from one file to another."""

    def __init__(self, source: int, sink: int, kept: int = _KEPT) -> None:
        """Nothing is read yet.

        Args:
            source: file descriptor to read.
            sink: file descriptor to write, which may block.
            kept: bytes that wait at most.
        """
        self._source, self._sink, self._kept = source, sink, kept
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._size = self._lost = 0
        self._since = 0.0
        self._ended = False

    def run(self) -> None:
        """Copy until the source ends and all that was kept is out."""
        writer = threading.Thread(target=self._write)
        writer.start()
        while chunk := os.read(self._source, _CHUNK):
            self._keep(chunk)
        with self._changed:
            self._confess()
            self._ended = True
            self._changed.notify()
        writer.join()

    def _keep(self, chunk: bytes) -> None:
        with self._changed:
            if self._size + len(chunk) > self._kept:
                self._since = self._since if self._lost else time.monotonic()
                self._lost += chunk.count(b"\n")
                return
            self._confess()
            self._append(chunk)

    def _confess(self) -> None:
        if self._lost:
            passed = time.monotonic() - self._since
            self._append(
                b"[WARN] [isthmus]: %d lines are missing here: nobody read this output for %.0f s or longer\n" % (self._lost, passed)
            )
            self._lost = 0

    def _append(self, chunk: bytes) -> None:
        self._waiting.append(chunk)
        self._size += len(chunk)
        self._changed.notify()

    def _write(self) -> None:
        gone = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                chunk = self._waiting[0]
            while chunk and not gone:
                try:
                    chunk = chunk[os.write(self._sink, chunk) :]
                except BlockingIOError:
                    select.select([], [self._sink], [])
                except OSError:  # nobody will read it any more; the source is read on
                    gone = True
            with self._changed:
                self._size -= len(self._waiting.popleft())


if __name__ == "__main__":
    Outlet(0, 1).run()
