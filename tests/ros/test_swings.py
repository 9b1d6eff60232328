"""Limit cycles faster than the control rate are seen in the joint states."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from isthmus.robot import load_robot
from isthmus_ros.common.swings import Swings

ROBOT = load_robot("ur5e")
RATE = 500


def swung(frequency, amplitude, seconds, rate=RATE):
    swings = Swings(ROBOT)
    for tick in range(round(seconds * rate)):
        velocity = [0.0] * 6
        velocity[3] = amplitude * math.sin(2 * math.pi * frequency * tick / rate + 0.1)
        swings.add(tick / rate, velocity)
    return swings.problem


def test_a_swing_that_the_control_rate_hides_is_found():
    assert swung(9.5, 1.0, 4) == "wrist_1_joint oscillates"
    assert swung(9.5, 1.0, 4, rate=19) == ""  # as a controller of about 20 Hz sees it


@pytest.mark.parametrize(("frequency", "amplitude"), [(8.0, 3.0), (30.0, 0.29)])
def test_slow_or_small_swings_are_none(frequency, amplitude):
    assert swung(frequency, amplitude, 10) == ""


def test_it_is_over_some_time_after_the_swing():
    swings = Swings(ROBOT)
    for tick in range(2000):
        swings.add(tick / RATE, [(-1.0) ** (tick // 10)] * 6)
    assert swings.problem
    swings.add(2000 / RATE + 3, [0.0] * 6)
    assert not swings.problem


@given(st.lists(st.sampled_from([1.0, -1.0, 0.0, math.nan, math.inf, -math.inf]), max_size=200), st.booleans())
def test_samples_that_are_repeated_or_no_numbers_do_not_count(values, repeated):
    swings = Swings(ROBOT)
    for tick, value in enumerate(values):
        swings.add(0.0 if repeated else tick * 1.0, [value] * 6)
    assert not swings.problem


def test_wheels_and_legs_are_not_judged():
    for name in ("diffbot", "quadruped"):
        robot = load_robot(name)
        swings = Swings(robot)
        for tick in range(2000):
            swings.add(tick / RATE, [(-1.0) ** tick * 10] * len(robot.joint_names))
        assert not swings.problem
