"""A lifecycle sequence drawn at random, with real processes; `python tests/ros/lifecycle_course.py --seeds 200` draws more and longer ones."""

import pytest

pytest.importorskip("rclpy")

from lifecycle_course import sequence

pytestmark = pytest.mark.ros


def test_nothing_moves_without_arm_and_start_in_that_order_after_the_last_stop():
    found, done = sequence(4, steps=8)
    assert not found
    assert {"arm, start", "stop", "arm", "press", "clean up, bring up"} <= set(done)
