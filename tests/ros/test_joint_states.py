"""Joint states of several publishers, and of any content, without DDS. On 0188891 a gripper's message hid the arm, and its joints were missing."""

import dataclasses
import itertools
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from isthmus.kinematics import Kinematics
from isthmus.limits import Box
from isthmus.robot import load_robot
from isthmus_ros.common import checks, states
from isthmus_ros.common.attributed import Said
from isthmus_ros.common.doubled import DoubledJoints
from isthmus_ros.common.joined import JoinedStates
from isthmus_ros.common.odometry import OdometryInput
from isthmus_ros.common.states import StateTopic

ROBOT, BASE = load_robot("ur5e"), load_robot("diffbot")
ARM = list(ROBOT.joint_names)
PERIOD, ALLOWED = 0.05, 0.085


def state(names=ARM, value=0.1, stamp=0.0, **fields):
    message = JointState(name=list(names), **{"position": [value] * len(names), "velocity": [0.0] * len(names), **fields})
    message.header.stamp = Time(sec=int(stamp // 1), nanosec=round(stamp % 1 * 1e9))
    return message


class Bench:
    """A StateTopic whose clocks and publishers are ours."""

    def __init__(self, monkeypatch, robot=ROBOT, **options):
        self.now = 100.0
        monkeypatch.setattr(states, "steady", lambda: self.now)
        node = SimpleNamespace(
            get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=round(self.now * 1e9))),
            create_subscription=lambda kind, topic, callback, quality: callback,
            count_publishers=lambda topic: 1,
            resolve_topic_name=lambda topic: topic,
        )
        self.topic = StateTopic(node, robot, PERIOD, **{"realtime": True, **options})
        self.hear = self.topic._subscriptions[0]

    def says(self, names=ARM, value=0.1, late=0.0, **fields):
        self.hear(state(names, value, self.now - late, **fields))

    def problems(self):
        return checks.state_problems(self.topic)


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_a_grippers_own_messages_change_nothing(bench):
    bench.says(value=0.3)
    before = bench.topic.stamp
    for _ in range(3):
        bench.now += 0.01
        bench.says(["finger_left", "finger_right"], 9.0)
        assert bench.problems() == []
        assert bench.topic.stamp == before
        np.testing.assert_array_equal(bench.topic.read().position, [[0.3] * 6])


def test_joints_split_over_publishers_are_joined_and_the_oldest_counts(bench):
    bench.says(ARM[:3], 0.1)
    assert bench.topic.missing == tuple(ARM[3:])
    assert bench.problems() == [f"joint {ARM[3]!r} is missing in /joint_states"]
    bench.now += 0.02
    bench.says(ARM[5:2:-1], 0.2)
    assert bench.problems() == []
    assert bench.topic.age == pytest.approx(0.02)
    assert bench.topic.stamp == 100_000_000_000
    assert bench.topic.read().stamp == 100.0
    np.testing.assert_array_equal(bench.topic.read().position, [[0.1, 0.1, 0.1, 0.2, 0.2, 0.2]])


def test_a_publisher_that_dies_shows_beside_one_that_goes_on(bench):
    bench.says()
    for _ in range(10):
        bench.now += 0.01
        bench.says(ARM[3:])
    assert bench.topic.age == pytest.approx(0.1)
    assert bench.topic.missing == tuple(ARM[:3])
    assert np.isnan(bench.topic.read().position).tolist() == [[True] * 3 + [False] * 3]
    assert bench.topic.stamp == 100_000_000_000


def test_a_robot_that_oscillated_until_just_now_is_neither_armed_nor_reset(bench):
    """On fcddd72 it was, and stopped in the next moment for what was still remembered."""
    for count in range(200):
        bench.now += 0.005
        bench.says(velocity=[(-1.0) ** count] * 6)
    assert bench.problems() == ["shoulder_pan_joint oscillates"]
    for _ in range(1000):
        bench.now += 0.005
        bench.says()
    assert bench.problems() == []


def test_an_arm_outside_its_box_is_not_armed(bench):
    """Joint limits alone were looked at."""
    at = Kinematics(ROBOT.urdf_path).positions(ARM, ROBOT.home[None], ROBOT.workspace_points)
    places = np.concatenate([*at.values()])
    low, high = places.min(axis=0), places.max(axis=0)
    bench.says(position=ROBOT.home.tolist())

    def problems(low, high):
        return checks.arming_problems(bench.topic, dataclasses.replace(ROBOT.limits(), workspace=Box(tuple(low), tuple(high))))

    assert problems(low - 0.05, high + 0.05) == []
    assert problems(low + 0.009, high + 0.05) == []  # the guard may leave it there
    for axis, bound in itertools.product(range(3), ("low", "high")):
        told = problems(low - 0.05 + 0.07 * np.eye(3)[axis] * (bound == "low"), high + 0.05 - 0.07 * np.eye(3)[axis] * (bound == "high"))
        assert told
        assert all(re.fullmatch(r"\w+ is at \(.*\) m in base_link, outside the workspace box \(.*\) m … \(.*\) m", line) for line in told)
        name = told[0].partition(" ")[0]
        x, y, z = at[name][0]
        assert f"{name} is at ({x:.4g}, {y:.4g}, {z:.4g}) m" in told[0]


def test_a_joint_that_is_named_twice_is_not_known(bench):
    """The last of its values counted."""
    bench.says([*ARM, ARM[2]])
    assert "is missing or not finite" in bench.problems()[0]


def test_if_all_are_silent_none_is_missing(bench):
    bench.says()
    bench.now += 1
    assert bench.topic.missing == ()
    assert bench.problems() == ["the joint state on /joint_states is 1.00 s old, 0.09 s are allowed"]


def test_frozen_stamps_of_the_arm_show_beside_a_gripper(monkeypatch):
    bench = Bench(monkeypatch, load_robot("ur5e_gripper"))
    robot = bench.topic.robot.joint_names
    stamps = []
    for count in range(5):
        bench.says(robot[:6], late=0.01 * count)
        bench.says(robot[6:])
        stamps.append(bench.topic.stamp)
        bench.now += 0.01
    assert len(set(stamps)) == 1


def test_in_stepped_time_each_message_says_all(monkeypatch):
    bench = Bench(monkeypatch, realtime=False)
    bench.says(value=0.1)
    bench.says(ARM[1:], value=0.2)
    assert bench.topic.missing == (ARM[0],)
    assert np.isnan(bench.topic.read().position[0, 0])
    assert bench.topic.delay == 0.0


def test_a_state_that_is_not_one_control_period_later_is_not_of_a_stepped_robot(monkeypatch):
    bench = Bench(monkeypatch, realtime=False)
    for passed in (PERIOD, 0.002):
        bench.says()
        bench.topic.read()
        bench.now += passed
        bench.says()
        if passed == PERIOD:
            bench.topic.advance()
    with pytest.raises(RuntimeError, match=r"stamped 0.002000 s later, the control period is 0.050000 s: this robot is not stepped"):
        bench.topic.advance()


@pytest.mark.parametrize(("late", "delay"), [(0.03, 0.03), (-0.03, 0.0), (0.5, 0.5)])
def test_the_delay_of_a_state_is_known(bench, late, delay):
    bench.says(late=late)
    assert bench.topic.delay == pytest.approx(delay)
    assert bool(bench.topic.fault()) == (late > ALLOWED)


def test_one_stamp_far_ahead_is_a_fault_once_and_does_not_hide_those_that_follow(bench):
    """On 04e0de3 no stamp was judged any more until the hour had passed."""
    ahead = "is stamped 0.200 s ahead of this node's clock"

    def said(late=0.0):
        bench.now += 0.01
        bench.says(late=late)
        return bench.topic.fault()

    assert [said(), said(), bool(said(-3600.0)), said(), said()] == ["", "", True, "", ""]
    assert ahead in said(-0.2)
    assert ahead in said(-0.2)
    assert said() == ""  # backwards: left to the guard's own monitors


def test_a_constant_offset_is_no_delay_if_clocks_are_compared_relatively(monkeypatch):
    bench = Bench(monkeypatch, stamp_check="relative")
    bench.says(ARM[:3], late=50.0)
    bench.says(ARM[3:], late=-20.0)
    bench.topic.synchronise()
    assert bench.topic.delay_problem() == ""
    bench.now += 0.05
    bench.says(ARM[:3], late=50.04)
    bench.says(ARM[3:], late=-20.0)
    assert bench.topic.delay == pytest.approx(0.04)
    bench.says(ARM[3:], late=-19.5)
    assert "was 0.500 s old when it arrived" in bench.topic.fault()


names = st.lists(st.sampled_from([*ARM, "finger", "", "ž", "\N{SNOWMAN}" * 9]), max_size=9)
numbers = st.lists(st.one_of(st.floats(width=64), st.just(math.nan)), max_size=9)
times = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, 2**32 - 1))


@settings(max_examples=300)
@given(data=st.data(), realtime=st.booleans(), relative=st.booleans())
def test_no_content_of_a_message_raises(data, realtime, relative):
    with pytest.MonkeyPatch.context() as patch:
        bench = Bench(patch, realtime=realtime, stamp_check="relative" if relative else "absolute")
        bench.topic.synchronise()
        for _ in range(data.draw(st.integers(1, 4))):
            fields = {field: data.draw(numbers) for field in ("position", "velocity", "effort")}
            message = JointState(name=data.draw(names), **fields)
            message.header.stamp = data.draw(times)
            bench.hear(message)
            bench.now += data.draw(st.floats(0, 1))
        measured = bench.topic.read()
        assert measured.position.shape == measured.velocity.shape == (1, 6)
        assert bench.topic.delay >= 0
        assert isinstance(bench.topic.fault(), str)
        bench.topic.synchronise()
        assert all(isinstance(problem, str) for problem in [*bench.problems(), *bench.topic.missing])


@given(st.lists(st.tuples(st.permutations(range(6)), st.integers(1, 6)), min_size=1, max_size=80))
def test_each_joint_keeps_its_newest_value_whatever_the_order_of_names(said):
    joined, newest = JoinedStates(ROBOT), [math.nan] * 6
    for count, (order, some) in enumerate(said):
        named = order[:some]
        joined.add(JointState(name=[ARM[joint] for joint in named], position=[count + joint / 10 for joint in named]), float(count), 0)
        for joint in named:
            newest[joint] = count + joint / 10
    np.testing.assert_array_equal(joined.measurement(math.inf).position, [newest])
    assert len(joined._parts) <= 2 * 6 + 17


def odometry(x=0.0, stamp=100.0):
    message = Odometry()
    message.header.stamp = Time(sec=int(stamp), nanosec=round(stamp % 1 * 1e9))
    message.pose.pose.position.x = x
    return message


@pytest.mark.parametrize(
    ("message", "passed", "problem"),
    [
        (None, 0.0, "no odometry was received on /odom"),
        (odometry(), 0.0, ""),
        (odometry(), 0.2, "the odometry on /odom is 0.20 s old, 0.09 s are allowed"),
        (odometry(math.nan), 0.0, "the odometry on /odom is not finite"),
        (odometry(stamp=0.0), 0.0, "the odometry on /odom was 100.000 s old when it arrived, 0.085 s are allowed"),
        (odometry(stamp=101.0), 0.0, "the odometry on /odom is stamped 1.000 s ahead of this node's clock, 0.050 s are allowed"),
    ],
)
def test_odometry_that_cannot_be_believed_is_a_fault_and_refuses_arming(monkeypatch, message, passed, problem):
    bench = Bench(monkeypatch, BASE)
    bench.topic._odometry._clock = lambda: bench.now
    if message is not None:
        bench.topic._subscriptions[1](message)
    bench.now += passed
    bench.says(BASE.base.wheels)
    assert bench.topic.fault() == problem
    assert bench.problems() == ([problem] if problem else [])


def test_odometry_whose_stamps_freeze_is_a_fault_even_relatively():
    now = [100.0]
    heard = OdometryInput("/odom", ALLOWED, lambda: now[0])
    for _ in range(4):
        heard.receive(odometry(stamp=0.0), round(now[0] * 1e9))
        if now[0] == 100.0:
            heard.synchronise(relative=True)
            assert heard.problem() == ""
        now[0] += 0.03
    assert heard.problem() == "the odometry on /odom was 0.090 s old when it arrived, 0.085 s are allowed"


class Speakers:
    """Raw joint states of several publishers."""

    def __init__(self):
        self.now, self.waiting, self.there, self.closed = 0.0, [], {}, 0
        self.doubled = DoubledJoints("/joint_states", ARM, lambda: len(self.there), lambda: self, lambda: self.now)

    def says(self, node, joints):
        self.there[node.encode()] = node
        self.waiting.append(Said(node.encode(), 0, serialize_message(JointState(name=list(joints)))))

    def take(self):
        taken, self.waiting = self.waiting, []
        return taken

    def publishers(self):
        return self.there

    def close(self):
        self.closed += 1


def test_two_publishers_of_one_joint_are_named_both_and_those_of_different_joints_are_not():
    heard = Speakers()
    for _ in range(10):
        heard.says("/driver", ARM)
        heard.says("/gripper", ["finger"])
        heard.now += 0.2
        assert heard.doubled.look() == []
    heard.says("/driver", ARM)
    heard.says("/fake", ARM[3:])
    assert heard.doubled.look() == ["/driver and /fake both publish joint 'wrist_1_joint' on /joint_states; only one may"]
    heard.now += 1.1
    heard.says("/driver", ARM)
    heard.says("/fake", ARM[:3])  # on 2ac73ae only the newest message of each counted
    heard.says("/fake", ["finger"])
    assert heard.doubled.look() == ["/driver and /fake both publish joint 'elbow_joint' on /joint_states; only one may"]
    heard.now += 1.1  # who has been silent so long says nothing wrong
    heard.says("/driver", ARM)
    assert heard.doubled.look() == []
    heard.there = {b"/driver": "/driver"}
    assert heard.doubled.look() == []
    assert heard.closed == 1


def test_who_does_not_know_the_robots_names_looks_at_all():
    heard = Speakers()
    heard.doubled._joints = None
    for node in ("/one", "/other"):
        heard.says(node, ["left_finger"])
    assert heard.doubled.look() == ["/one and /other both publish joint 'left_finger' on /joint_states; only one may"]


def test_an_arm_outside_its_joint_limits_is_not_armed(bench):
    limits = ROBOT.limits()
    bench.says(position=ROBOT.home.tolist())
    assert checks.arming_problems(bench.topic, limits) == []
    low = (*limits.position_low[:2], ROBOT.home[2] + 0.1, *limits.position_low[3:])
    (told,) = checks.arming_problems(bench.topic, dataclasses.replace(limits, position_low=low))
    assert re.fullmatch(r"elbow_joint is at [\d.]+ rad, outside its limits [\d.]+ … [\d.]+", told)
