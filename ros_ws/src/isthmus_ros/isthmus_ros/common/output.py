"""What a process writes to its terminal never makes it wait: a log line must not hold up an emergency stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from isthmus_ros.common import outlet

__all__ = ["never_waiting"]

_PIPE = 2**20  # bytes on their way; a pipe of an unprivileged process can be that large
_PATIENCE = 1.0  # s that the last lines are given at the end


@contextlib.contextmanager
def never_waiting() -> Iterator[None]:
    """Within, stdout and stderr are a pipe that does not block; `isthmus_ros.common.outlet` copies it to where they led.

    A paused terminal (Ctrl-S), a full pipe and a disk that hangs hold up that process alone. At the end its last lines are waited for, 1 s at most;
    what a paused terminal has not taken by then comes out when it goes on.
    """
    same = _same(1, 2)
    if os.isatty(2):
        os.environ.setdefault("RCUTILS_COLORIZED_OUTPUT", "1")  # a log line looks for a terminal, which it does not see any more
    with contextlib.ExitStack() as stack:
        for numbers in [(1, 2)] if same else [(1,), (2,)]:
            with contextlib.suppress(OSError):  # it is closed
                stack.enter_context(_diverted(numbers))
        yield


@contextlib.contextmanager
def _diverted(numbers: Sequence[int]) -> Iterator[None]:
    kept = [os.dup(number) for number in numbers]
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    os.set_blocking(writing, False)
    # Of its own session: what ends or stops the node by the terminal must not end its words.
    copying = subprocess.Popen(
        [sys.executable, "-I", "-S", outlet.__file__], stdin=reading, stdout=kept[0], stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(reading)
    for number in numbers:
        os.dup2(writing, number)
    os.close(writing)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        for number, before in zip(numbers, kept, strict=True):
            os.dup2(before, number)
            os.close(before)
        with contextlib.suppress(subprocess.TimeoutExpired):
            copying.wait(_PATIENCE)


def _same(first: int, second: int) -> bool:
    try:
        return os.path.sameopenfile(first, second)
    except OSError:
        return False
