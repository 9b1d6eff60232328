"""Nodes meet over UDP: over shared memory a process that is suspended or killed holds up the others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.common.network import LOOPBACK, without_shared_memory
from isthmus_ros.evaluation.processes import free_domain, isolated

LOCAL = {
    "FASTDDS_DEFAULT_PROFILES_FILE": str(LOOPBACK),
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
    "ROS_LOCALHOST_ONLY": "0",
}
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


def test_isolated_nodes_share_no_memory_and_others_are_told():
    with isolated(free_domain()) as environment:
        assert warning(environment) == ""
        local = {name: value for name, value in environment.items() if not name.startswith("FASTDDS_")}
        local |= {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        assert "/loopback.xml ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT on one computer" in warning(local)
        assert warning({**local, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}) == ""


@pytest.mark.parametrize(
    ("environment", "changed"),
    [
        ({}, {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_STATIC_PEERS": "192.0.2.1"}, {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, LOCAL),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, LOCAL),
        ({"ROS_LOCALHOST_ONLY": "1"}, LOCAL),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": "192.0.2.1"}, {}),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_DEFAULT_PROFILES_FILE": "own.xml"}, {}),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "own.xml"}, {}),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, {}),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, {}),
    ],
)
def test_what_the_user_has_settled_is_left(environment, changed):
    assert without_shared_memory(environment) == changed


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"ROS_LOCALHOST_ONLY": "1"},
    ],
    ids=str,
)
def test_a_node_shares_no_memory_in_any_range_and_is_found_by_others(asked, tmp_path):
    """On commit 0188891 nodes under LOCALHOST shared it. Who looks for the node is a process with the user's own settings."""
    domain = free_domain()
    with isolated(domain) as environment:
        bare = {name: value for name, value in environment.items() if name not in (*LOCAL, "FASTDDS_BUILTIN_TRANSPORTS")}
        bare |= {**asked, "ROS_DOMAIN_ID": str(domain)}
        settings = tmp_path / "settings.yaml"
        settings.write_text(json.dumps({"/**": {"ros__parameters": {"task": "reach"}}}))
        node = subprocess.Popen(
            [sys.executable, "-m", "isthmus_ros", "sim_node", "--ros-args", "--params-file", str(settings)],
            env=bare,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            found = subprocess.run([sys.executable, "-c", HEARS], env=bare, capture_output=True, text=True, timeout=60)
            assert found.stdout.strip() == "heard", found.stderr
            assert "/dev/shm/fast" not in Path(f"/proc/{node.pid}/maps").read_text(encoding="utf-8")
        finally:
            node.terminate()
            assert node.wait(20) == 0


HEARS = """
import time, rclpy
from sensor_msgs.msg import JointState
rclpy.init()
node, heard = rclpy.create_node("onlooker"), []
node.create_subscription(JointState, "/joint_states", heard.append, 10)
end = time.monotonic() + 30
while not heard and time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print("heard" if heard else "nothing")
"""
