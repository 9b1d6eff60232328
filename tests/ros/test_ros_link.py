import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import _reserved, free_domain, isolated

pytestmark = pytest.mark.ros


def threads():
    return len(os.listdir(Path("/proc/self/task")))


def test_a_closed_link_leaves_no_participant():
    left = []
    for _ in range(3):
        domain = free_domain()
        with isolated(domain):
            link = Link("/joint_states", domain)
            link.spin(0.05)
            during = threads()
            link.close()
        left.append(threads())
    assert left[-1] <= left[0] < during  # the first leaves the threads that serve all of them


def test_a_domain_is_kept_from_others_until_it_is_left():
    code = "from isthmus_ros.evaluation.processes import free_domain; print(*[free_domain() for _ in range(98)])"
    first, second = free_domain(), free_domain()
    others = {int(word) for word in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()}
    assert first != second
    assert not others & {first, second}
    for domain in (first, second):
        with isolated(domain):
            assert domain in _reserved
        assert domain not in _reserved
