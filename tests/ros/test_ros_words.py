from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from isthmus.signals import Signal
from isthmus_ros.common import wire
from isthmus_ros.common.inputs import InputTopics, input_message
from isthmus_ros.common.lifecycle import without_numbers
from isthmus_ros.policy.ramp import PEAK_SPEED, Ramp
from isthmus_ros.robot_sim.sim_node import parse_physical

angles = arrays(np.float64, 3, elements=st.floats(-1, 1))


@given(stamp=st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_survive_the_wire(stamp):
    assert wire.nanoseconds_of(wire.time_of(stamp)) == stamp


@given(order=st.permutations(["a", "b", "c", "other"]))
def test_joint_states_are_read_by_name(order):
    values = {"a": 0.1, "b": 0.2, "c": 0.3, "other": 9.0}
    message = JointState(name=order, position=[values[name] for name in order])
    np.testing.assert_array_equal(wire.column(message, "position", ("c", "a", "b")), [[0.3, 0.1, 0.2]])


def test_missing_joints_and_empty_fields_are_nan():
    message = JointState(name=["a", "b"], position=[0.1, 0.2])
    np.testing.assert_array_equal(wire.column(message, "position", ("a", "c")), [[0.1, np.nan]])
    np.testing.assert_array_equal(wire.column(message, "velocity", ("a", "b")), [[np.nan, np.nan]])


def test_sequence_numbers_survive_the_frame_id():
    message = JointState()
    message.header.frame_id = wire.frame_id("0123456789abcdef", "0a1b2c3d", 42)
    assert message.header.frame_id == "0123456789ab:0a1b2c3d:42"
    assert wire.sequence_of(message) == 42
    assert wire.sequence_of(JointState()) == -1


def test_profile_topics_are_resolved_in_the_robots_namespace():
    assert wire.joined("/", "joint_states") == "/joint_states"
    assert wire.joined("left/arm", "joint_states") == "/left/arm/joint_states"


@given(start=angles, goal=angles)
def test_ramp_ends_at_its_goal_and_never_exceeds_the_peak_speed(start, goal):
    ramp, period = Ramp(start, goal), 0.05
    position = start.copy()
    for tick in range(int(ramp.duration / period) + 60):
        velocity = ramp.command("velocity", tick * period, position)
        assert np.abs(velocity).max() <= PEAK_SPEED
        position = position + velocity * period
    np.testing.assert_allclose(position, goal, atol=1e-2)
    np.testing.assert_allclose(ramp.command("position", ramp.duration, position), goal, atol=1e-12)


@given(value=st.sampled_from([np.inf, -np.inf, np.nan]))
def test_input_that_is_not_finite_is_refused_even_without_bounds(value):
    log = []
    signal = Signal("force", "input", ("a", "b"), "N", (-np.inf, -np.inf), (np.inf, np.inf))
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(error=log.append),
        create_subscription=lambda kind, topic, callback, quality: callback,
    )
    topics = InputTopics(node, SimpleNamespace(inputs=(signal,)), "base", lambda: None)
    (receive,) = topics._subscriptions
    receive(Float64MultiArray(data=[1.0, value]))
    assert topics.missing == ["force"]
    assert "b must be finite" in log[0]
    receive(Float64MultiArray(data=[1.0, 1e6]))
    np.testing.assert_array_equal(topics.values()["force"], [[1.0, 1e6]])


def heard_inputs(prefix=""):
    """Topics of one goal, its callback and what is logged."""
    log = []
    signal = Signal("goal", "input", ("x", "y", "z"), "m", (-1.0,) * 3, (1.0,) * 3)
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(error=log.append),
        create_subscription=lambda kind, topic, callback, quality: callback,
    )
    topics = InputTopics(node, SimpleNamespace(inputs=(signal,)), "base_link", lambda: None, prefix)
    return topics, topics._subscriptions[0], log, lambda frame, x=0.2: input_message(signal, [x, 0.1, 0.3], frame, wire.time_of(0))


def test_the_frames_of_a_robot_with_a_prefix_have_it_too():
    """On commit a229d9e a goal in base_link, which may be another robot's, was taken, and one in left_base_link refused."""
    topics, receive, log, goal = heard_inputs("left_")
    receive(goal("base_link"))
    assert log == ["input 'goal' refused: its frame must be 'left_base_link', got 'base_link'; there is no previous value"]
    receive(goal("left_base_link"))
    assert not topics.missing
    sent = input_message(
        Signal("goal", "input", ("x", "y", "z"), "m", (-1.0,) * 3, (1.0,) * 3), [0.1] * 3, "base_link", wire.time_of(0), "left_"
    )
    assert sent.header.frame_id == "left_base_link"


def test_an_input_that_is_refused_at_10_hz_is_refused_in_one_line():
    _, receive, log, goal = heard_inputs()
    for x in range(40):
        receive(goal("base_link", 2.0 + x))
    assert len(log) == 1
    receive(goal("map"))
    receive(goal("base_link"))
    receive(goal("base_link", 9.0))
    assert len(log) == 3


def test_what_is_said_again_with_other_numbers_is_the_same():
    assert without_numbers("the robot moves at 0.31 rad/s") == without_numbers("the robot moves at 2 rad/s")
    assert without_numbers("joint 'wrist_1_joint' is missing") != without_numbers("joint 'wrist_2_joint' is missing")


def test_physical_parameters_are_read_and_bad_ones_named():
    assert parse_physical(["payload:=1.5", ""]) == {"payload": 1.5}
    with pytest.raises(ValueError, match=r"list of name:=value with a number, got 'payload=1.5'"):
        parse_physical(["payload=1.5"])
