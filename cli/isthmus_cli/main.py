"""`isthmus`: the process of a command, from its first moment to its last. What the words mean is known by `dispatch`.

Nothing else is imported before an interrupt is listened for: the imports take a second or more, and people press Ctrl-C in it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ExtensionFileLoader
from types import FrameType
from typing import Any

__all__ = ["main"]

INTERRUPTED = 130  # what shells report for Ctrl-C
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MOMENT = 0.05  # s
_interrupted: list[int] = []  # signals; an Event takes a lock, and a signal that comes within `set` would wait for ever for the one before


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. SIGTERM ends it as Ctrl-C does.

    Args:
        arguments: as typed after `isthmus`; None takes those of the process.

    Returns:
        exit code: 0 for success, 1 if the command found something wrong, 2 for a user error, 130 after Ctrl-C or SIGTERM.
    """
    with _interruptible(process=arguments is None):
        try:
            for stream in (sys.stdout, sys.stderr):
                if isinstance(stream, io.TextIOWrapper):  # a terminal without UTF-8 gets ? for what it does not know
                    stream.reconfigure(errors="replace")
            from isthmus_cli.dispatch import perform

            return perform(list(sys.argv[1:] if arguments is None else arguments))
        except KeyboardInterrupt:
            sys.stderr.write("isthmus: interrupted\n")
            return INTERRUPTED


@contextlib.contextmanager
def _interruptible(process: bool) -> Iterator[None]:
    """Listen for both signals, unless somebody does already or they are to be ignored.

    A process that ends does not listen any more: what it has started is ended meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _interrupted.clear()
    hook = sys.unraisablehook
    sys.unraisablehook = functools.partial(_again, hook)
    before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGALRM)}
    heard = [number for number, action in before.items() if action in (signal.SIG_DFL, signal.default_int_handler)]
    for number in heard:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        if not (process and _interrupted):
            sys.unraisablehook = hook
        for number in heard:
            signal.signal(number, signal.SIG_IGN if process else before[number])


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; a moment later where code written in C would make an ordinary error of it.

    It does so while a module begins, and where ctypes asks for an argument.
    """
    while frame is not None:
        if frame.f_code.co_name == "from_param" or isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            signal.setitimer(signal.ITIMER_REAL, _MOMENT)
            return
        frame = frame.f_back
    _interrupted.append(number)
    raise KeyboardInterrupt


def _again(otherwise: Callable[[Any], Any], ignored: Any) -> None:
    """Interrupt once more where Python had to ignore that: in what runs around a fork, or where an object is freed.

    After an interrupt nothing is said of what cannot be freed: it was interrupted while it was made, or freed.
    """
    if issubclass(ignored.exc_type, (KeyboardInterrupt, SystemExit)):
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)
    elif not _interrupted:
        otherwise(ignored)
