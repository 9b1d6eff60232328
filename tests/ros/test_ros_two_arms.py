"""Two arms with one policy file in one domain: on commit 0188891 they shared guard/command, and a command to one moved both."""

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_policies import resolved_rate

from isthmus_bringup.plan import plan
from isthmus_cli.deploy.node_graph import NodeGraph
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


def positions(link):
    """Joint positions of the newest state, rad, `[J]`."""
    link.forget()
    link.until(lambda: bool(link.states), 5.0, "no joint state")
    return np.array(link.states[max(link.states)].position)


def test_a_command_to_one_arm_moves_that_one_alone(tmp_path):
    contract = get_task("reach").contract
    policy = tmp_path / "policy.isthmus"
    resolved_rate(contract).save(policy)
    plans = {side: plan("sim", {"policy": str(policy), "robot_namespace": side}) for side in ("left", "right")}
    with (
        isolated(free_domain()),
        NodeGraph(plans["left"], "/left/joint_states") as left,
        NodeGraph(plans["right"], "/right/joint_states") as right,
    ):
        for graph in (left, right):
            graph.up()
            graph.link.publish_input(contract.signal("goal"), [0.3, -0.3, 0.3], "base_link")
            graph.link.insist(graph.link.arm, 10.0)
        before = {"left": positions(left.link), "right": positions(right.link)}
        left.link.insist(lambda: left.link.trigger("policy/start"), 10.0)
        left.link.until(lambda: np.abs(positions(left.link) - before["left"]).max() > 0.1, 15.0, f"no motion: {left.link.status}")
        right.link.spin(0.2)
        assert np.abs(positions(right.link) - before["right"]).max() < 0.01
        assert right.link.status["armed"] == "true"
        assert right.link.status["policy"] == "idle"
        assert right.link.status["executed"] == "-1"
    assert not left.failures + right.failures
