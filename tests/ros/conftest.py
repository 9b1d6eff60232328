"""A test of what keeps time is repeated, twice at most, where the computer did not: a failure then says nothing of the code."""

import subprocess
import sys
import time

import pytest

STALL = 0.1
"""Seconds without a turn, from which on a guard rightly stops."""

WATCH = f"""
import time
while True:
    began = time.monotonic()
    time.sleep(0.02)
    if time.monotonic() - began > 0.02 + {STALL}:
        print(time.monotonic(), flush=True)
"""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("ros"):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun="^Late: "))


@pytest.fixture(scope="session")
def stalls(tmp_path_factory):
    """Times at which a process that does nothing but sleep was woken too late, seconds of `time.monotonic`."""
    file = tmp_path_factory.mktemp("stalls") / "times.txt"
    with file.open("w") as out, subprocess.Popen([sys.executable, "-c", WATCH], stdout=out) as watch:
        yield lambda: [float(line) for line in file.read_text().split()]
        watch.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not item.get_closest_marker("ros"):
        return (yield)
    stalls, began = item._request.getfixturevalue("stalls"), time.monotonic()
    try:
        return (yield)
    except Exception as error:
        from ros_bench import Late

        if not isinstance(error, Late) and any(moment > began for moment in stalls()):
            raise Late("the computer stood still in between") from error
        raise
