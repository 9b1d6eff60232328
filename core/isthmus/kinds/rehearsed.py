"""The process in which `rehearsal` runs a graph: the search path, the limits and the names of the inputs as an argument, arrays on standard input.

It imports nothing else of isthmus: each policy that is opened waits for it.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any


def open_session(graph: bytes) -> Any:
    """The session of onnxruntime, on one CPU thread.

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


def main() -> None:
    """Print `complaint: ` and what onnxruntime says, nothing more if it says nothing."""
    told = json.loads(sys.argv[1])
    sys.path[:] = told["path"]  # this script's own folder is no place to import from
    import resource

    import numpy as np
    import onnxruntime  # noqa: F401 - before the limits, which are for the graph alone

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as arrays:
        graph, *values = (arrays[name] for name in arrays.files)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)

    def lower(kind: int, limit: int) -> None:
        """Set the soft limit, unless one that is inherited is lower."""
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if soft == resource.RLIM_INFINITY else min(soft, limit), hard))

    lower(resource.RLIMIT_AS, size + told["memory"])
    lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + told["processor"])
    lower(resource.RLIMIT_CORE, 0)
    complaint = ""
    try:
        open_session(graph.tobytes()).run(None, dict(zip(told["names"], values, strict=True)))
    except Exception as error:  # onnxruntime's errors have no common class
        complaint = str(error) or type(error).__name__
    sys.stdout.write(f"complaint: {complaint}")


if __name__ == "__main__":
    main()
