"""A policy of an outside suite never reaches a robot."""

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("gymnasium")

from ros_bench import bench
from torch import nn, zeros

from isthmus_policies.export import export_graph
from isthmus_sim.suites import get_suite_task

pytestmark = pytest.mark.ros


class _Still(nn.Module):
    def forward(self, observation):
        return 0 * observation["observation"][:, :, :1]


def test_policy_node_refuses_a_policy_of_an_outside_suite(tmp_path):
    contract = get_suite_task("gym:Pendulum-v1").contract
    export_graph(contract, _Still(), {"observation": zeros(2, 1, 3).numpy()}).save(tmp_path / "policy.isthmus")
    with bench(tmp_path / "policy.isthmus", clock="wall", robot="ur5e") as nodes:
        assert not nodes.configure()
        assert "the policy was made for 'gym:Pendulum-v1', whose actions are in a scale of their own" in nodes.guard.complaint
