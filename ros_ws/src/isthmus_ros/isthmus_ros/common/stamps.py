"""Whether the stamp of a message can be believed."""

from __future__ import annotations

from isthmus.senders import AHEAD

__all__ = ["stamp_problem"]


def stamp_problem(what: str, oldest: float, newest: float, allowed: float) -> str:
    """Why stamps cannot be believed, in one sentence; "" if they can.

    Args:
        what: is stamped.
        oldest: age of the oldest stamp on arrival, s.
        newest: age of the newest, s; negative if it is ahead.
        allowed: age that is still fresh, s.
    """
    if oldest > allowed:
        return f"{what} was {oldest:.3f} s old when it arrived, {allowed:.3f} s are allowed"
    if newest < -AHEAD:
        return f"{what} is stamped {-newest:.3f} s ahead of this node's clock, {AHEAD:.3f} s are allowed"
    return ""
