import os
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.link import Link
from isthmus_ros.processes import free_domain, isolated

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
