"""`isthmus replay` of runs over ROS 2."""

import pytest

pytest.importorskip("rclpy")

pytestmark = pytest.mark.ros


def test_a_graph_over_topics_decides_bit_for_bit_what_it_decides_again(read_json, isthmus, policies, tmp_path):
    policy = policies / "pendulum.isthmus"
    read_json("eval", policy, "--episodes", 2, "--json", "-", "--plant", "ros", "--engine", "mujoco", "--record", tmp_path)
    found = read_json("replay", tmp_path, policy, "--json", "-")["replay"]
    assert len(found) == 2
    for stages in found.values():
        compared = [stage for stage in stages if not stage["skipped"]]
        assert {stage["name"] for stage in compared} >= {"observation joint_position", "policy"}
        assert all(stage["compared"] == stage["equal"] > 0 for stage in compared)
        assert [stage["name"] for stage in stages if stage["skipped"]] == ["guard"]
