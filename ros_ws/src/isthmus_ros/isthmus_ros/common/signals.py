"""The signals that end a node, caught before anything heavy is imported: a node that still starts ends as quietly as one that runs."""

from __future__ import annotations

import signal
import threading

__all__ = ["ENDED", "PAUSED", "ending", "ignore", "listen"]

ENDED = threading.Event()
"""Set once the process has been asked to end."""
PAUSED = threading.Event()
"""Set when somebody has asked for a pause (Ctrl-Z), which is not granted: a process that stands still would leave a robot moving."""


def ending() -> tuple[signal.Signals, ...]:
    """The signals that ask for an end: Ctrl-C, SIGTERM, SIGQUIT, and that of a closed terminal unless nohup has it ignored."""
    hung_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, *hung_up)


def listen() -> None:
    """Let those signals set `ENDED`, and Ctrl-Z `PAUSED`."""
    for number in ending():
        signal.signal(number, lambda *_: ENDED.set())
    signal.signal(signal.SIGTSTP, lambda *_: PAUSED.set())


def ignore() -> None:
    """Ignore all of them: a second signal must not hit the interpreter's exit."""
    for number in (*ending(), signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
