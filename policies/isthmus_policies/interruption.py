"""Ctrl-C and SIGTERM, heard between two control periods, where everything that a training holds belongs together."""

from __future__ import annotations

import contextlib
import contextvars
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["Interruption", "interruption", "killed_by_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_DEAF = contextvars.ContextVar("deaf", default=False)


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
    """Listen until the block ends. Only the main thread can; in any other one, and in `killed_by_signals`, nothing is ever asked."""
    heard = Interruption()
    if threading.current_thread() is not threading.main_thread() or _DEAF.get():
        yield heard
        return
    with _handled(heard.hear):
        yield heard


@contextlib.contextmanager
def killed_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM kill the process at once, as SIGKILL does, until the block ends.

    For a training that something else starts again: it goes on from the newest regular checkpoint, so what it comes to does not depend on when it was
    ended. Only in the main thread; nested `interruption` hears nothing.
    """
    with _handled(signal.SIG_DFL):
        token = _DEAF.set(True)
        try:
            yield
        finally:
            _DEAF.reset(token)


@contextlib.contextmanager
def _handled(action: Callable[..., None] | signal.Handlers) -> Iterator[None]:
    before = {number: signal.signal(number, action) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found if found is not None else signal.SIG_DFL)
