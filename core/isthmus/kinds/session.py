"""Sessions of onnxruntime on one CPU thread, opened once it is known that the graph needs no more than a robot can spare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.kinds.rehearsal import rehearse
from isthmus.records import Array

__all__ = ["open_session", "start_session"]


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


def open_session(graph: bytes) -> Any:
    """The session, without a rehearsal.

    Raises:
        Exception: whatever onnxruntime raises.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what was audited; never guess another format from the bytes
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
