"""Ctrl-C and SIGTERM, heard between two control periods, where everything that a training holds belongs together."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

__all__ = ["Interruption", "interruption"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody asked for an end.

    Attributes:
        asked: set by the first Ctrl-C or SIGTERM. A second one raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def hear(self, *_: object) -> None:
        """Remember the first request; raise on the next."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """Listen until the block ends. Only the main thread can; in any other one nothing is ever asked."""
    heard = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = {number: signal.signal(number, heard.hear) for number in _SIGNALS}
    try:
        yield heard
    finally:
        for number, action in before.items():
            signal.signal(number, action if action is not None else signal.SIG_DFL)
