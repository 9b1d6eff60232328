"""Nodes that are isolated meet over UDP: over shared memory a process that is suspended holds up the others."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.evaluation.processes import free_domain, isolated

SHARES = """
import time, rclpy
from isthmus_ros.common import checks
rclpy.init()
node = rclpy.create_node("alone")
time.sleep(0.5)
print(checks.shared_memory())
"""


def warning(environment):
    return subprocess.run(
        [sys.executable, "-c", SHARES], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


@pytest.mark.ros
def test_isolated_nodes_share_no_memory_and_others_are_told():
    with isolated(free_domain()) as environment:
        assert warning(environment) == ""
        local = {name: value for name, value in environment.items() if not name.startswith("FASTDDS_")}
        local |= {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        assert "/loopback.xml ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT on one computer" in warning(local)
        assert warning({**local, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}) == ""
