"""One thing that `isthmus doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ABSENT", "OK", "WRONG", "Check"]

OK, ABSENT, WRONG = "ok", "not installed", "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        status: "ok", "not installed" (and not required), "not run" (on hardware), or "wrong".
        found: version, time or reason.
        advice: what to do; "" if all is well.
    """

    name: str
    status: str
    found: str
    advice: str = ""
