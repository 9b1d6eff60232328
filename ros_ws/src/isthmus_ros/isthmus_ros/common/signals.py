"""The signals that end a node, caught before anything heavy is imported: a node that still starts ends as quietly as one that runs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

__all__ = ["ENDED", "PARENT", "PAUSED", "PAUSING", "end_with_parent", "ending", "held_back", "ignore", "listen"]

PARENT = "ISTHMUS_PARENT"
"""Environment variable with the number of the process without which a node must not go on."""
_DEADLY = "USR1 USR2 ALRM VTALRM PROF XCPU POLL PWR STKFLT"
PAUSING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_heard: list[int] = []  # signals that this process listens to
_HELD_BACK = (signal.SIGINT,)
_SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of Linux


class _Flag:
    """What a signal sets. No `threading.Event`, which takes a lock: a signal that comes within `set` would wait for ever for the one before."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set


ENDED = _Flag()
"""Set once the process has been asked to end."""
PAUSED = _Flag()
"""Set when somebody has asked for a pause (Ctrl-Z), which is not granted: a process that stands still would leave a robot moving."""


def ending() -> tuple[int, ...]:
    """The signals that ask for an end, or would end the process as nobody listens; that of a closed terminal unless nohup has it ignored.

    What a fault of the program raises is not among them, as after it no line of Python is run.
    """
    hung_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    others = [
        *filter(None, (getattr(signal, f"SIG{name}", None) for name in _DEADLY.split())),
        *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
    ]
    unheard = (number for number in others if signal.getsignal(number) is signal.SIG_DFL)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, *hung_up, *unheard)


def listen() -> None:
    """Let those signals set `ENDED`, and Ctrl-Z and its like `PAUSED`."""
    for number in ending():
        _heard.append(number)
        signal.signal(number, lambda *_: ENDED.set())
    for number in PAUSING:
        _heard.append(number)
        signal.signal(number, lambda *_: PAUSED.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Keep SIGINT from processes that are started meanwhile until they `listen`: a Python that still starts would end in a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Be asked to end when the process that `ISTHMUS_PARENT` names does, however it ends; without it, and outside of Linux, nothing happens."""
    parent = os.environ.pop(PARENT, "")
    if not parent:
        return
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SIGNAL_AT_PARENTS_DEATH, int(signal.SIGINT))
    if os.getppid() != int(parent):  # it ended before
        ENDED.set()


def ignore() -> None:
    """Ignore all of them: a second signal must not hit the interpreter's exit."""
    for number in _heard:
        signal.signal(number, signal.SIG_IGN)
