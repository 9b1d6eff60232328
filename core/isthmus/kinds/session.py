"""Sessions of onnxruntime on one CPU thread, opened once it is known that the graph needs no more than a robot can spare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.kinds.rehearsal import rehearse
from isthmus.kinds.rehearsed import open_session
from isthmus.records import Array

__all__ = ["start_session"]


def start_session(graph: bytes, member: str, feed: Mapping[str, Array]) -> tuple[Any, str]:
    """Rehearse a graph, then open its session.

    Args:
        graph: that has been audited.
        member: its name in the policy file, for messages.
        feed: one observation, by the names of its inputs.

    Returns:
        the session, and what onnxruntime says if it cannot run that observation, "" if it can.

    Raises:
        ValueError: onnxruntime cannot load the graph, or it needs too much memory or time; see `rehearse`.
    """
    complaint = rehearse(graph, feed, f"member {member!r}")
    try:
        return open_session(graph), complaint
    except Exception as error:  # onnxruntime's errors have no common class
        raise ValueError(f"member {member!r}: onnxruntime cannot run the graph: {error}") from None
