"""What several publishers have said of one robot, asked for by time: an arm and its gripper, each with its own rate. No DDS.

On commit a229d9e a joint state that names half of the joints hid the other half.
"""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from isthmus.records import Measurement
from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_ros.common.history import StateHistory
from isthmus_ros.evaluation.link import Link
from isthmus_ros.monitoring.monitor_node import _follow
from isthmus_ros.monitoring.watch import RunWatch
from isthmus_ros.robot_sim.topics import odometry_message
from isthmus_sim.tasks import get_task

ROBOT, BASE = load_robot("ur5e"), load_robot("diffbot")
ARM = list(ROBOT.joint_names)
CONTRACT = get_task("reach").contract
PERIOD = round(CONTRACT.control_period * 1e9)


def state(stamp, names=ARM, value=0.1, **fields):
    message = JointState(name=list(names), **{"position": [value] * len(names), "velocity": [0.0] * len(names), **fields})
    message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
    return message


def test_each_joint_has_the_newest_of_what_was_said_about_it_until_then():
    history = StateHistory(ROBOT)
    for stamp in (0, 100):
        history.add(state(stamp * 10**6, ARM[3:], stamp / 1000))
    for stamp in range(0, 120, 10):
        history.add(state(stamp * 10**6, ARM[2::-1], stamp / 1000 + 1))
        history.add(state(stamp * 10**6, ["finger_left", "finger_right"], 9.0))
    for time, arm, wrist in [(0, 1.0, 0.0), (55, 1.05, 0.0), (100, 1.1, 0.1), (500, 1.11, 0.1)]:
        np.testing.assert_array_equal(history.at(time * 10**6).position, [[arm] * 3 + [wrist] * 3])
        assert history.at(time * 10**6).poses.keys() == {ROBOT.tool_frame}
    assert history.unheard(100 * 10**6) == ""
    assert history.unheard(105 * 10**6) == "joint 'wrist_1_joint'"
    assert history.unheard(10**9) == "the robot's state"


def test_what_came_later_counts_only_for_joints_of_which_nothing_came_before():
    history = StateHistory(ROBOT, states=[state(5 * PERIOD, ARM, 0.5), state(PERIOD, ARM[:3], 0.1)])
    np.testing.assert_array_equal(history.at(2 * PERIOD).position, [[0.1] * 3 + [0.5] * 3])


def test_a_driver_that_names_its_joints_in_another_order_since_it_was_reloaded_is_not_waited_for():
    history = StateHistory(ROBOT, states=[state(PERIOD, ARM), state(2 * PERIOD, ARM[::-1]), state(3 * PERIOD, [*ARM[::-1], "finger"])])
    assert history.unheard(3 * PERIOD) == ""
    for stamp in range(100, 3000):
        history.add(state(stamp * PERIOD, random.Random(stamp).sample(ARM, 3)))
    history.forget(2999 * PERIOD)
    assert sum(len(said.stamps) for said in history._states.values()) < 100


def test_two_publishers_may_use_the_same_stamp():
    link = Link.__new__(Link)
    link.states, link.heard = {}, 0.0
    for stamp in (10, 20):
        for names, value in ((ARM[:3], 0.1), (ARM[3:], 0.2), (ARM[:3], 0.9)):  # the third repeats the first
            link._receive_state(state(stamp * PERIOD, names, value + stamp))
    history = StateHistory(ROBOT, states=link.states.values())
    np.testing.assert_allclose(history.at(20 * PERIOD).position, [[20.1] * 3 + [20.2] * 3])
    np.testing.assert_allclose(history.at(10 * PERIOD).position, [[10.1] * 3 + [10.2] * 3])


def test_odometry_is_that_of_the_base_whatever_its_frames_are_prefixed_with():
    message = Odometry(child_frame_id="left_base_link")
    message.pose.pose.position.x = 2.0
    history = StateHistory(BASE, "left_", [state(10, ["left_" + wheel for wheel in BASE.base.wheels])], [message])
    assert history.at(10).poses["base_link"][0, 0] == 2.0


def test_a_simulated_base_says_its_frames_with_the_prefix():
    measured = Measurement(np.zeros(1), BASE.joint_names, np.zeros((1, 2)), np.zeros((1, 2)))
    measured.poses, measured.twists = {"base_link": np.array([[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0]])}, {"base_link": np.zeros((1, 6))}
    message = odometry_message(10, measured, BASE.base_frame, "base_link", "left_")
    assert (message.header.frame_id, message.child_frame_id) == (f"left_{BASE.base_frame}", "left_base_link")
    history = StateHistory(BASE, "left_", [state(10, ["left_" + wheel for wheel in BASE.base.wheels])], [message])
    np.testing.assert_array_equal(history.at(10).poses["base_link"], measured.poses["base_link"])


PAN = f"joint_position.{ARM[0]}"
TURN = f"joint_position.{ARM[5]}"


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), gripper=st.booleans())
def test_a_run_of_a_robot_with_two_publishers_is_watched_as_of_one(seed, gripper):
    """Whatever comes first, the samples are those of a robot that says all in one message."""
    choose = random.Random(seed)
    values = [(choose.uniform(-1, 1), choose.uniform(-1, 1)) for _ in range(9)]
    asked = Specification("always[0,0.3] (pan + turn >= -3)", {"pan": PAN, "turn": TURN})
    topics = [
        [("state", tick, ARM[:3], pan) for tick, (pan, _) in enumerate(values)],
        [("state", tick, ARM[3:], turn) for tick, (_, turn) in enumerate(values)],
        [("state", tick, ["finger"], 7.0) for tick in range(9) if gripper],
        [("executed", tick) for tick in range(9)],
    ]
    watch = RunWatch(asked, CONTRACT, ROBOT, dict)
    watch.follow(1, 7, -1)
    while any(topics):
        match choose.choice([topic for topic in topics if topic]).pop(0):
            case ("state", tick, names, value):
                watch.history.add(state(tick * PERIOD, names, value))
            case ("executed", tick):
                watch.execute(7 + tick, tick * PERIOD)
        watch.advance()
    assert watch.problem == ""
    assert watch.verdict.low == watch.verdict.high == pytest.approx(min(pan + turn for pan, turn in values[1:8]) + 3)


def test_a_joint_that_nobody_names_is_told_by_its_name():
    watch = RunWatch(Specification("always[0,9] (pan >= -3)", {"pan": PAN}), CONTRACT, ROBOT, dict)
    watch.follow(1, 7, -1)
    for tick in range(40):
        watch.history.add(state(tick * PERIOD, ARM[:5]))
        watch.execute(7 + tick, tick * PERIOD)
        watch.advance()
    assert watch.problem == "joint 'wrist_3_joint' has been missing for 1 s of the run"


def test_a_run_is_given_up_once_and_the_next_begins_anew():
    watch = RunWatch(Specification("always[0,9] (pan >= -3)", {"pan": PAN}), CONTRACT, ROBOT, dict)
    assert not watch.give_up("two publishers")
    watch.follow(1, 7, -1)
    assert watch.give_up("two publishers")
    assert not watch.give_up("two publishers")
    assert watch.problem == "two publishers"
    watch.follow(2, 90, -1)
    assert watch.problem == ""


numbers = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, math.nan]))
FORMULAS = [
    "tool0.z / abs(joint_velocity.wrist_3_joint) >= 0.1",
    "hypot(tool0.x, joint_position.elbow_joint) <= 1 / (joint_position.elbow_joint - joint_position.wrist_1_joint)",
    "joint_position.elbow_joint * joint_velocity.elbow_joint - joint_velocity.wrist_1_joint >= 0",
]


@settings(max_examples=150)
@given(data=st.data(), formula=st.sampled_from(FORMULAS))
def test_no_value_of_a_signal_ends_the_watcher(data, formula):
    watch = RunWatch(Specification(f"always[0,0.3] ({formula})"), CONTRACT, ROBOT, dict)
    watch.follow(1, 7, -1)
    for tick in range(9):
        fields = {field: data.draw(st.lists(numbers, min_size=0 if tick == 4 else 6, max_size=6)) for field in ("position", "velocity")}
        watch.history.add(state(tick * PERIOD, **fields))
        watch.execute(7 + tick, tick * PERIOD)
        watch.advance()
    assert watch.problem or watch.finished or watch.verdict.low <= watch.verdict.high


@given(
    st.dictionaries(st.sampled_from(["run_sequence", "policy", "motion", "sequence"]), st.sampled_from(["", "idle", "-1", "7", "x", "1e9"]))
)
def test_nor_does_what_others_say_on_the_status_topics(values):
    told = []
    status = DiagnosticStatus(name="policy", values=[KeyValue(key=key, value=value) for key, value in values.items()])
    _follow(SimpleNamespace(follow=lambda *numbers: told.append(numbers)), DiagnosticArray(status=[status]))
    assert all(type(number) is int for numbers in told for number in numbers)
