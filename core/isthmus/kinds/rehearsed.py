"""The process in which `rehearsal` runs a graph: the search path, the limits and the names of the inputs as an argument, arrays on standard input."""

from __future__ import annotations

import io
import json
import resource
import sys
from pathlib import Path


def main() -> None:
    """Print `complaint: ` and what onnxruntime says, nothing more if it says nothing."""
    told = json.loads(sys.argv[1])
    sys.path[:] = told["path"]  # this script's own folder is no place to import from
    import numpy as np
    import onnxruntime  # noqa: F401 - before the limits, which are for the graph alone

    from isthmus.kinds.session import open_session

    with np.load(io.BytesIO(sys.stdin.buffer.read())) as arrays:
        graph, *values = (arrays[name] for name in arrays.files)
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_AS, size + told["memory"])
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + told["processor"])
    _lower(resource.RLIMIT_CORE, 0)
    complaint = ""
    try:
        open_session(graph.tobytes()).run(None, dict(zip(told["names"], values, strict=True)))
    except Exception as error:  # onnxruntime's errors have no common class
        complaint = str(error) or type(error).__name__
    sys.stdout.write(f"complaint: {complaint}")


def _lower(kind: int, limit: int) -> None:
    """Set the soft limit, unless one that is inherited is lower."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit if soft == resource.RLIM_INFINITY else min(soft, limit), hard))


if __name__ == "__main__":
    main()
