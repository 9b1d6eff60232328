"""Nodes find the robots and tasks of other packages, by name."""

import pytest

pytest.importorskip("rclpy")

from ros_policies import resolved_rate

from isthmus_ros.evaluation.coordinator import evaluate_over_ros
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros


def test_an_arm_of_another_package_reaches_through_topics(my_lab, tmp_path):
    task = get_task("desk-reach")
    resolved_rate(task.contract).save(tmp_path / "policy.isthmus")
    (episode,) = evaluate_over_ros(task, tmp_path / "policy.isthmus", [0]).episodes
    assert episode.success
    assert not episode.stopped_by_guard
