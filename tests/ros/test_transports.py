"""Messages of each transport: where a motion begins, how it ends, what is in which field; nothing of it needs a node."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.records import Command
from isthmus.robot import load_robot
from isthmus.trajectory import Reference
from isthmus_ros.common import wire
from isthmus_ros.common.joined import travelled
from isthmus_ros.guard.transports import keeps_moving, make_transport, transport_of
from isthmus_ros.robot_sim.commands import trajectory_points
from isthmus_ros.robot_sim.controllers import TrajectoryFollower
from isthmus_sim.plants.base import wheel_speeds

ROBOT, PERIOD = load_robot("ur5e"), 0.05
speeds = arrays(np.float64, 6, elements=st.floats(-3, 3))


def sent(name, robot=ROBOT):
    """A transport, and the messages that it publishes."""
    messages = []
    node = SimpleNamespace(create_publisher=lambda *_: SimpleNamespace(publish=messages.append))
    return make_transport(node, name, "/commands", robot, robot.limits(), PERIOD), messages


def ask(transport, mode, values, now=0.0, *, position=ROBOT.home, braking=False):
    command = Command(mode, ROBOT.joint_names, np.asarray(values)[None])
    transport.send(command, position=lambda: np.asarray(position)[None], now=now, braking=braking, time=Time(sec=3))


def seconds(message):
    return [point.time_from_start.sec + 1e-9 * point.time_from_start.nanosec for point in message.points]


def test_a_robot_without_forward_controllers_takes_trajectories_alone():
    fr3 = load_robot("fr3").ros
    for mode in ("position", "velocity"):
        assert transport_of("", fr3, mode) == ("trajectory", "joint_trajectory_controller/joint_trajectory")
        with pytest.raises(ValueError, match=f"no topic for transport forward_{mode}"):
            transport_of(f"forward_{mode}", fr3, mode)


@settings(max_examples=30)
@given(asked=st.lists(speeds, min_size=2, max_size=5), gaps=st.lists(st.floats(0.005, 0.2), min_size=5, max_size=5))
def test_trajectories_begin_where_the_last_one_is_and_end_at_rest(asked, gaps):
    transport, messages = sent("trajectory")
    transport.begin()
    robot, now = TrajectoryFollower(6, "position"), 0.0
    robot.rest(ROBOT.home, now)
    for values, gap in zip(asked, gaps, strict=False):
        count = len(messages)
        ask(transport, "velocity", values, now)
        message, points = messages[-1], trajectory_points(messages[-1], ROBOT.joint_names)
        ready = seconds(messages[0])[0]
        assert len(messages) == count + (not count or now >= ready)
        if len(messages) == count:
            now += gap
            continue
        place = robot.command(now, PERIOD, 1.0)
        robot.receive(points, now)
        assert seconds(message)[0] == (0.0 if count else ready)
        if count:
            np.testing.assert_allclose(message.points[0].positions, place, atol=1e-9)
        assert (np.diff(seconds(message)) > 0).all()
        np.testing.assert_array_equal([message.points[-1].velocities, message.points[-1].accelerations], 0.0)
        assert message.header.stamp == Time()
        now += gap


def test_trajectory_of_a_held_arm_stays_at_one_point_though_the_arm_sags():
    transport, messages = sent("trajectory")
    for count, sag in enumerate((0.0, 0.01, 0.02)):
        ask(transport, "velocity", np.zeros(6), count * PERIOD, position=ROBOT.home + sag)
    ready = math.sqrt(10 / math.sqrt(3) * 0.02 / ROBOT.limits().acceleration[0])  # first of all the controller comes to the arm
    assert [seconds(message) for message in messages] == [[pytest.approx(ready)], [0.0]]  # in between it is left alone
    for message in messages:
        np.testing.assert_array_equal(message.points[0].positions, ROBOT.home)


def test_nothing_waits_in_stepped_time():
    node, messages = SimpleNamespace(create_publisher=lambda *_: SimpleNamespace(publish=messages.append)), []
    transport = make_transport(node, "trajectory", "/commands", ROBOT, ROBOT.limits(), PERIOD, realtime=False)
    for count in range(2):
        ask(transport, "velocity", np.full(6, 0.1), count * PERIOD)
    assert [seconds(message)[0] for message in messages] == [0.0, 0.0]
    moved = np.subtract(messages[1].points[0].positions, ROBOT.home)
    np.testing.assert_allclose(moved, 0.1 * PERIOD / 2, rtol=0.05)  # the first command is followed from its moment on


def test_set_points_are_followed_in_half_a_period_and_velocities_at_once():
    ends = {}
    for mode, values in (("position", ROBOT.home + 0.01), ("velocity", np.full(6, 0.01))):
        transport, messages = sent("trajectory")
        for now in (-1.0, 0.0, PERIOD, 2 * PERIOD):
            ask(transport, mode, ROBOT.home if now < 0 and mode == "position" else values if now >= 0 else np.zeros(6), now)
        ends[mode] = np.subtract(messages[-1].points[-1].positions, ROBOT.home)
    np.testing.assert_allclose(ends["position"], 0.01, atol=1e-9)
    assert (ends["velocity"] < 0.002).all()


def test_times_of_points_are_whole_seconds_and_nanoseconds():
    node, messages = SimpleNamespace(create_publisher=lambda *_: SimpleNamespace(publish=messages.append)), []
    limits = dataclasses.replace(ROBOT.limits(), stop_acceleration=(0.2,) * 6)
    transport, plan = make_transport(node, "trajectory", "/commands", ROBOT, limits, PERIOD), Reference(limits, PERIOD)
    plan.begin(ROBOT.home, 0.0)
    for count in range(8):
        ask(transport, "velocity", np.full(6, 0.5), count * PERIOD)
        plan.follow("velocity", np.full(6, 0.5), count * PERIOD, braking=False)
    times = [point.time_from_start for point in messages[-1].points]
    assert [time.sec * 10**9 + time.nanosec for time in times] == [round(time * 1e9) for time in plan.spline.times]
    assert [time.sec for time in times] == [0, 0, 0, 2, 2]  # 0.5 rad/s at 0.2 rad/s²


def test_trajectories_begin_where_the_robot_is_after_arming():
    transport, messages = sent("trajectory")
    ask(transport, "position", ROBOT.home)
    transport.begin()
    ask(transport, "position", ROBOT.home + 0.3, 5.0, position=ROBOT.home + 0.3)
    (point,) = messages[-1].points
    np.testing.assert_array_equal(point.positions, ROBOT.home + 0.3)


def test_nothing_is_sent_before_a_position_is_known_to_begin_at():
    transport, messages = sent("trajectory")
    ask(transport, "velocity", np.full(6, 0.1), position=np.full(6, np.nan))
    assert not messages
    ask(transport, "velocity", np.zeros(6), PERIOD)
    np.testing.assert_array_equal(messages[0].points[0].positions, ROBOT.home)


def test_a_braking_guard_is_obeyed_at_once_and_joints_are_bound_by_name():
    transport, messages = sent("trajectory")
    back = ROBOT.joint_names[::-1]
    for now, speed, braking in ((-1.0, 0.0, False), (0.0, 1.0, False), (PERIOD, 1.0, True)):
        command = Command("velocity", back, speed * np.array([[0.5, 0, 0, 0, 0, 0.1]]))
        transport.send(command, position=lambda: ROBOT.home[None, ::-1], now=now, braking=braking, time=Time())
    _, first, last = messages
    np.testing.assert_array_equal(first.points[0].positions, ROBOT.home)
    np.testing.assert_allclose(last.points[0].velocities, [0.1, 0, 0, 0, 0, 0.5], atol=1e-9)
    braking = ROBOT.limits().stop_acceleration[0]
    np.testing.assert_allclose(last.points[0].accelerations, [-braking, 0, 0, 0, 0, -braking])
    assert seconds(last)[-1] == pytest.approx(0.5 / braking, abs=1e-3)


def test_twists_are_stamped_and_in_the_frame_of_the_base():
    base = load_robot("diffbot")
    transport, messages = sent("cmd_vel", base)
    command = Command("twist", ("wz", "vx"), np.array([[0.5, 0.2]]))
    transport.send(command, position=lambda: np.zeros((1, 2)), now=0.0, braking=False, time=Time(sec=3))
    (message,) = messages
    assert (message.twist.linear.x, message.twist.angular.z) == (0.2, 0.5)
    assert (message.header.frame_id, message.header.stamp.sec) == ("base_link", 3)


@given(twist=arrays(np.float64, (1, 2), elements=st.floats(-2, 2)))
def test_wheels_tell_what_the_base_did(twist):
    base = load_robot("diffbot").base
    np.testing.assert_allclose(travelled(base, wheel_speeds(base, twist)), twist, atol=1e-12)


def test_transport_is_the_profiles_own_unless_it_cannot_carry_the_mode():
    assert transport_of("", ROBOT.ros, "velocity") == ("trajectory", "scaled_joint_trajectory_controller/joint_trajectory")
    assert transport_of("", ROBOT.ros, "effort") == ("forward_effort", "forward_effort_controller/commands")
    assert transport_of("", load_robot("diffbot").ros, "twist") == ("cmd_vel", "cmd_vel")
    assert [name for name in ("trajectory", "forward_position", "forward_velocity", "forward_effort", "cmd_vel") if keeps_moving(name)] == [
        "forward_velocity",
        "forward_effort",
    ]
    with pytest.raises(ValueError, match="did you mean 'trajectory'"):
        transport_of("trajectry", ROBOT.ros, "velocity")
    with pytest.raises(
        ValueError, match="transport forward_effort does not carry velocity commands; these do: forward_velocity, trajectory"
    ):
        transport_of("forward_effort", ROBOT.ros, "velocity")
    with pytest.raises(ValueError, match="no topic for transport trajectory"):
        transport_of("trajectory", load_robot("quadruped").ros, "position")


@pytest.mark.parametrize(
    ("name", "mode"), [("forward_position", "position"), ("forward_velocity", "velocity"), ("forward_effort", "effort")]
)
def test_forward_controllers_get_numbers_in_their_own_order_and_remember_no_motion(name, mode):
    own = dataclasses.replace(ROBOT, ros=dataclasses.replace(ROBOT.ros, command_joints=ROBOT.joint_names[::-1]))
    for robot, expected in ((ROBOT, [0, 1, 2, 3, 4, 5]), (own, [5, 4, 3, 2, 1, 0])):
        transport, messages = sent(name, robot)
        transport.begin()
        ask(transport, mode, np.arange(6.0))
        assert list(messages[0].data) == expected
        assert transport.place(ROBOT.joint_names, 0.0) is None


def test_where_an_arm_is_told_to_be_is_known_by_name_and_not_before_a_motion_begins():
    transport, _ = sent("trajectory")
    back = ROBOT.joint_names[::-1]
    assert transport.place(back, 0.0) is None
    ask(transport, "velocity", np.zeros(6))
    np.testing.assert_array_equal(transport.place(back, 1.0), ROBOT.home[None, ::-1])
    transport.begin()
    assert transport.place(back, 1.0) is None
    assert sent("cmd_vel", load_robot("diffbot"))[0].place(("vx", "wz"), 0.0) is None


@pytest.mark.parametrize(
    ("name", "kind"), [("trajectory", JointTrajectory), ("forward_velocity", Float64MultiArray), ("cmd_vel", TwistStamped)]
)
def test_a_transport_publishes_on_its_topic_and_takes_its_publisher_along(name, kind):
    made, destroyed = [], []
    node = SimpleNamespace(create_publisher=lambda *given: made.append(given) or given, destroy_publisher=destroyed.append)
    robot = load_robot("diffbot" if name == "cmd_vel" else "ur5e")
    transport = make_transport(node, name, "/arm/commands", robot, robot.limits(), PERIOD, "left_")
    assert made == [(kind, "/arm/commands", wire.COMMAND)]
    transport.close()
    assert destroyed == made == [transport.publisher]


def test_a_prefix_is_that_of_the_robots_joints_and_of_nothing_else():
    messages = []
    node = SimpleNamespace(create_publisher=lambda *_: SimpleNamespace(publish=messages.append))
    ask(make_transport(node, "trajectory", "/commands", ROBOT, ROBOT.limits(), PERIOD, "left_"), "velocity", np.zeros(6))
    assert messages[0].joint_names == ["left_" + joint for joint in ROBOT.joint_names]
    ask(make_transport(node, "trajectory", "/commands", ROBOT, ROBOT.limits(), PERIOD), "velocity", np.zeros(6))
    assert messages[1].joint_names == list(ROBOT.joint_names)


def test_a_transport_that_has_no_topic_of_its_own_takes_that_of_the_mode_and_a_trajectory_does_not():
    plain = dataclasses.replace(ROBOT.ros, transports={}, transport="")
    assert transport_of("", plain, "position") == ("forward_position", "forward_position_controller/commands")
    with pytest.raises(ValueError, match=r"^the robot's profile has no topic for transport trajectory; put it into ros.transports$"):
        transport_of("trajectory", plain, "position")
    with pytest.raises(ValueError, match=r"^unknown transport 'teleport'"):
        transport_of("teleport", plain, "position")
