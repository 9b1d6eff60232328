"""A graph is run once in a process of its own before this one loads it, so that one that needs too much fails there.

A few bytes can ask for any amount of memory, already while a session folds constants. Sizes do not depend on what is observed (`onnx_sizes`), so one
run stands for all runs of as many rows. Only Linux bounds the memory of a process; elsewhere nothing is rehearsed.
"""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from isthmus.records import Array

__all__ = ["MEMORY", "PROCESSOR", "rehearse"]

MEMORY = 512 * 10**6
"""Bytes that a graph may need to load and to run once, beside four times its own size."""

PROCESSOR = 20
"""Seconds of one processor that it may take."""

_PATIENCE = 10 * PROCESSOR  # s, on a computer that does other things too
_KNOWN: dict[str, str] = {}


def rehearse(graph: bytes, feed: Mapping[str, Array], where: str) -> str:
    """Load and run a graph in a process of its own; each graph and shape of its inputs once.

    Args:
        graph: a serialised ModelProto that has been audited.
        feed: array per input.
        where: name used in messages, usually the archive member.

    Returns:
        what onnxruntime says if it cannot load or run the graph; "" if it can.

    Raises:
        ValueError: it needs more than `MEMORY` or `PROCESSOR`, or ends the process.
    """
    if sys.platform != "linux":
        return ""
    shapes = {name: (value.dtype.str, value.shape) for name, value in feed.items()}
    key = hashlib.sha256(repr(shapes).encode() + graph).hexdigest()
    if key not in _KNOWN:
        _KNOWN[key] = _tried(graph, feed, where)
    return _KNOWN[key]


def _tried(graph: bytes, feed: Mapping[str, Array], where: str) -> str:
    memory = MEMORY + 4 * len(graph)
    told = {"path": sys.path, "memory": memory, "processor": PROCESSOR, "names": list(feed)}
    content = io.BytesIO()
    np.savez(content, np.frombuffer(graph, dtype=np.uint8), *feed.values())
    program = Path(__file__).with_name("rehearsed.py")  # -S: it is told the search path
    try:
        ended = subprocess.run(
            [sys.executable, "-S", str(program), json.dumps(told)],
            input=content.getvalue(),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{where} cannot be loaded and run once within {_PATIENCE} s") from None
    said = ended.stdout.decode(errors="replace")
    if ended.returncode == 0 and said.startswith("complaint: "):
        complaint = said.removeprefix("complaint: ")
        if "alloc" not in complaint.lower():
            return complaint
        raise ValueError(f"{where} needs more than {memory / 1e6:.0f} MB to run once")
    if ended.returncode == -signal.SIGXCPU:
        raise ValueError(f"{where} needs more than {PROCESSOR} s of a processor to run once")
    if ended.returncode < 0:
        raise ValueError(f"{where} ends its process (signal {-ended.returncode}) where {memory / 1e6:.0f} MB are left to it")
    raise ValueError(
        f"{where} cannot be tried out: {(ended.stderr.decode(errors='replace').strip().splitlines() or ['no reason given'])[-1]}"
    )
