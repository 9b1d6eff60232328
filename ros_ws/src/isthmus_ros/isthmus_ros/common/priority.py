"""What the kernel must know of a process that a robot depends on: that it is the last to be ended when memory runs out."""

from __future__ import annotations

from pathlib import Path

__all__ = ["protect_from_oom"]

_SCORE = -900  # of -1000 … 1000; at -1000 the kernel would rather stand still than end it


def protect_from_oom(setting: Path = Path("/proc/self/oom_score_adj")) -> str:
    """Ask the kernel to end other processes first, see proc_pid_oom_score_adj(5); processes that are started later inherit it.

    Args:
        setting: where to write.

    Returns:
        why it could not be asked, a sentence for the log; "" if it was.
    """
    try:
        setting.write_text(f"{_SCORE}\n", encoding="ascii")
    except FileNotFoundError:
        return "this operating system does not tell which process it ends first when memory runs out"
    except OSError as error:
        return (
            f"{setting} is not {_SCORE} ({error.strerror}): when memory runs out, this process may be ended before others; "
            f"it takes root, CAP_SYS_RESOURCE or OOMScoreAdjust={_SCORE} of systemd"
        )
    return ""
