"""A process that has 1.5 GB, in which files are read that may ask for more."""

import subprocess
import sys

LOAD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
try:
    if sys.argv[1].endswith(".mcap"):
        from pathlib import Path
        from isthmus.trace import read_trace
        print("read", len(read_trace(Path(sys.argv[1]))))
    else:
        from isthmus.artifact import load_policy
        load_policy(sys.argv[1])
        print("loaded")
except ValueError as error:
    print("refused:", error)
"""


def opened(path):
    """What a process with 1.5 GB says of a file."""
    return subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, timeout=300, check=False).stdout
