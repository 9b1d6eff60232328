"""What a driver must say, and go on saying: without DDS. On 0188891 silence and a short false were believed for ever."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from std_msgs.msg import Bool

from isthmus.robot import SpeedScaling
from isthmus_ros.common.attributed import Said
from isthmus_ros.guard.preconditions import Program, Scaling

STANDS = "the robot's program does not run (/running is false)"


class Topic:
    name = "/running"

    def __init__(self):
        self.there, self.time, self.waiting = {b"driver": "/driver"}, 0.0, []

    def says(self, running, publisher=b"driver", order=0):
        self.waiting.append(Said(publisher, order, Bool(data=running)))

    def take(self):
        taken, self.waiting = self.waiting, []
        return taken

    def publishers(self):
        return self.there

    def misfits(self):
        return []


def problem(program, topic):
    topic.time += 2
    return program.problem()


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_any_false_since_the_last_look_counts_and_the_last_word_stands(said):
    topic = Topic()
    program = Program(topic, lambda: topic.time)
    for order, running in enumerate(said):
        topic.says(running, order=order)
    assert program.poll() == ("" if all(said) else STANDS)
    assert program.poll() == ""
    assert problem(program, topic) == ("" if said[-1] else STANDS)


def test_a_driver_that_goes_or_never_came_is_a_problem():
    topic = Topic()
    program = Program(topic, lambda: topic.time)
    assert program.problem() == "nothing was received on /running"
    topic.says(True)
    program.poll()
    assert problem(program, topic) == ""
    topic.time += 3600  # latched: said when it changes
    assert problem(program, topic) == ""
    topic.there = {}
    assert problem(program, topic) == "nobody publishes /running any more"
    topic.there = {b"new": "/driver"}
    topic.says(False, b"new")
    assert program.poll() == STANDS
    assert problem(program, topic) == STANDS


def test_a_sample_that_was_lost_may_have_been_a_false():
    topic = Topic()
    program = Program(topic, lambda: topic.time)
    topic.says(True, order=1)
    assert program.poll() == ""
    topic.says(True, order=3)
    assert program.poll() == "messages on /running were lost: of /driver"
    assert program.poll() == ""


def test_the_false_of_a_driver_that_has_gone_is_over():
    topic = Topic()
    program = Program(topic, lambda: topic.time)
    topic.says(False)
    topic.says(True, b"new")
    topic.there[b"new"] = "/driver"
    assert program.poll() == STANDS
    assert problem(program, topic) == STANDS
    del topic.there[b"driver"]
    assert problem(program, topic) == ""


@pytest.mark.parametrize("said", [50.0, 98.9, 0.0, math.nan, math.inf, 1e4])
def test_what_is_not_full_speed_is_a_problem_even_for_a_moment(said):
    scaling = Scaling("/scaling", SpeedScaling("scaling"), clock=lambda: 0.0)
    for value in (100.0, said, 99.5):
        scaling.receive(value)
    assert scaling.poll() == f"the robot's speed is scaled to {said:g} of 100 (/scaling)"
    assert scaling.poll() == ""
    assert scaling.problem() == ""
    scaling.receive(said)
    assert scaling.problem() == f"the robot's speed is scaled to {said:g} of 100 (/scaling)"


def test_percents_are_not_shares():
    scaling = Scaling("/scaling", SpeedScaling("scaling", full=1.0, tolerance=0.01), clock=lambda: 0.0)
    scaling.receive(50.0)
    assert scaling.problem() == "the robot's speed is scaled to 50 of 1 (/scaling)"


@pytest.mark.parametrize(("timed", "timeout", "silent"), [(True, 1.0, True), (True, math.inf, False), (False, 1.0, False)])
def test_silence_is_a_problem_where_time_passes(timed, timeout, silent):
    now = [0.0]
    scaling = Scaling("/scaling", SpeedScaling("scaling", timeout=timeout), timed=timed, clock=lambda: now[0])
    assert scaling.problem() == "nothing was received on /scaling"
    scaling.receive(100.0)
    now[0] = 0.99
    assert scaling.problem() == ""
    now[0] = 1.5
    assert scaling.problem() == ("/scaling has been silent for 1.50 s, 1 s are allowed" if silent else "")


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.nan])
def test_timeouts_are_positive(timeout):
    with pytest.raises(ValueError, match=r"speed_scaling: timeout must be (> 0 s|a number), got"):
        SpeedScaling("scaling", timeout=timeout)


@pytest.mark.parametrize("full", [1.0, 100.0])
def test_full_speed_is_within_a_hundredth_unless_the_profile_says_otherwise(full):
    """Up to commit 04e0de3 the tolerance was 1 by default: a paused robot whose driver says 0 … 1 counted as one at full speed."""
    scaling = Scaling("/scaling", SpeedScaling("scaling", full=full))
    for share, fine in ((1.0, True), (0.995, True), (0.98, False), (0.5, False), (0.0, False), (float("nan"), False), (1.02, False)):
        scaling.receive(share * full)
        assert (scaling.problem() == "") is fine, share
    strict = SpeedScaling("scaling", full=full, tolerance=0.0)
    assert (strict.is_full(full), strict.is_full(full * 0.999)) == (True, False)


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"full": 0.0}, "full must be a number > 0, got 0.0"),
        ({"full": -1.0}, "full must be a number > 0, got -1.0"),
        ({"full": float("inf")}, "full must be a number > 0, got inf"),
        ({"full": 1.0, "tolerance": 1.0}, "tolerance must be 0 … 0.1, a tenth of full, got 1.0"),
        ({"tolerance": -0.1}, "tolerance must be 0 … 10, a tenth of full, got -0.1"),
        ({"tolerance": 99.9}, "tolerance must be 0 … 10, a tenth of full, got 99.9"),
    ],
)
def test_a_speed_scaling_that_lets_a_paused_robot_move_is_refused(numbers, sentence):
    with pytest.raises(ValueError, match=re.escape(f"speed_scaling: {sentence}")):
        SpeedScaling("scaling", **numbers)
