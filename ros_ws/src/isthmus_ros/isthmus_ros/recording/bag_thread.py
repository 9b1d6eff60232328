"""Writes a bag in a thread of its own, from a queue that is bounded in bytes: whoever hands messages over never waits for a disk."""

from __future__ import annotations

import threading
import time
from collections import deque

from isthmus_ros.recording.bag import Bag

__all__ = ["BagThread"]

_FLUSH = 1.0  # s between two flushes
_OVERHEAD = 200  # bytes of a queued message beside its content


class BagThread:
    """The only user of a bag.

    Attributes:
        dropped: messages that were not taken, because the queue was full.
        failure: why recording has stopped by itself; "" if it has not.
    """

    def __init__(self, bag: Bag, *, queue: int, max_size: int, min_free: int) -> None:
        """Start the thread.

        Args:
            bag: to be written, and closed in the end.
            queue: bytes that may wait for the disk.
            max_size: bytes of the file after which recording stops; 0 means any.
            min_free: bytes that are left free on the disk.
        """
        self.dropped = 0
        self.failure = ""
        self._bag = bag
        self._room, self._queue = queue, queue
        self._max_size, self._min_free = max_size, min_free
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="bag", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Messages in the bag."""
        return self._bag.count

    @property
    def queued(self) -> int:
        """Bytes that wait for the disk."""
        return self._queue - self._room

    def put(self, topic: int, stamp: int, content: bytes) -> None:
        """Hand a message over, without waiting; it is counted as dropped if there is no room, and ignored once recording has stopped.

        Args:
            topic: index of its topic in the bag.
            stamp: when it was received, ns.
            content: serialised.
        """
        cost = len(content) + _OVERHEAD
        with self._changed:
            if self._ended or self.failure:
                return
            if cost > self._room:
                self.dropped += 1
                return
            self._room -= cost
            self._waiting.append((topic, stamp, content))
            self._changed.notify()

    def close(self, patience: float) -> bool:
        """Write what waits and close the bag; False if the disk has not taken it within `patience` seconds."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._fail(str(error))
        try:
            self._bag.close()
        except OSError as error:
            self._fail(str(error))

    def _write(self) -> None:
        flushed = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended, _FLUSH)
                batch = list(self._waiting)
                self._waiting.clear()
                ended = self._ended
            for topic, stamp, content in batch:
                self._bag.write(topic, stamp, content)
                with self._changed:
                    self._room += len(content) + _OVERHEAD
            if time.monotonic() - flushed > _FLUSH:
                self._bag.flush()
                flushed = time.monotonic()
                if full := self._full():
                    self._fail(full)
                    return
            if ended:
                return

    def _full(self) -> str:
        if self._max_size and self._bag.size >= self._max_size:
            return f"the file has reached {self._bag.size} bytes, max_size allows {self._max_size}"
        if self._bag.free < self._min_free:
            return f"{self._bag.free} bytes are free on the disk, min_free is {self._min_free}"
        return ""

    def _fail(self, cause: str) -> None:
        with self._changed:
            self.failure = self.failure or cause
            self._waiting.clear()
            self._room = self._queue
