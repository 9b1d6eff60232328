import re
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ros_bench import Commander, bench, punctual
from ros_policies import resolved_rate

from isthmus.records import Command
from isthmus.robot import load_robot
from isthmus_ros.common.joined import travelled
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.guard.transports import keeps_moving, make_transport, transport_of
from isthmus_ros.robot_sim.commands import trajectory_points
from isthmus_ros.robot_sim.controllers import TrajectoryFollower
from isthmus_sim.episodes import episode_start
from isthmus_sim.plants.base import wheel_speeds
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

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


@given(asked=st.lists(speeds, min_size=2, max_size=5), gaps=st.lists(st.floats(0.005, 0.2), min_size=5, max_size=5))
def test_trajectories_begin_where_the_last_one_is_and_end_at_rest(asked, gaps):
    transport, messages = sent("trajectory")
    transport.begin()
    robot, now = TrajectoryFollower(6, "position"), 0.0
    robot.rest(ROBOT.home, now)
    for values, gap in zip(asked, gaps, strict=False):
        ask(transport, "velocity", values, now)
        message, points = messages[-1], trajectory_points(messages[-1], ROBOT.joint_names)
        place = robot.command(now, PERIOD, 1.0)
        robot.receive(points, now)
        if len(messages) > 1:
            assert seconds(message)[0] == 0
            np.testing.assert_allclose(message.points[0].positions, place, atol=1e-9)
        assert (np.diff(seconds(message)) > 0).all()
        np.testing.assert_array_equal([message.points[-1].velocities, message.points[-1].accelerations], 0.0)
        assert message.header.stamp == Time()
        now += gap


def test_trajectory_of_a_held_arm_stays_at_one_point_though_the_arm_sags():
    transport, messages = sent("trajectory")
    for count, sag in enumerate((0.0, 0.01, 0.02)):
        ask(transport, "velocity", np.zeros(6), count * PERIOD, position=ROBOT.home + sag)
    assert [seconds(message) for message in messages] == [[PERIOD], [0.0], [0.0]]  # first of all the controller comes to the arm
    for message in messages:
        np.testing.assert_array_equal(message.points[0].positions, ROBOT.home)


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
    for count, braking in enumerate((False, True)):
        command = Command("velocity", back, np.array([[0.5, 0, 0, 0, 0, 0.1]]))
        transport.send(command, position=lambda: ROBOT.home[None, ::-1], now=count * PERIOD, braking=braking, time=Time())
    first, last = messages
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


@pytest.fixture(scope="module")
def task():
    return get_task("reach")


@pytest.fixture(scope="module")
def policy_file(task, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(task.contract).save(path)
    return path


@punctual
def test_robot_stops_on_the_braking_tail_when_guard_and_policy_are_killed(task, policy_file):
    with bench(policy_file, clock="wall", simulator={"transport": "trajectory"}, guarding={"transport": "trajectory"}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))):
            nodes.in_motion(0.2)
            nodes.kill("guard_node")
            nodes.link.spin(0.5)
            assert nodes.speed < 0.02


@punctual
def test_forward_velocity_keeps_moving_until_the_policy_calls_the_stop_services(task, policy_file):
    goal = episode_start(task, [0]).inputs["goal"][0].tolist()
    with bench(policy_file, clock="wall", simulator={"command_timeout": 0.0}) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        nodes.reach_for(task.contract, goal)
        nodes.link.spin(0.3)
        try:
            nodes.start()
        except RosError:
            nodes.punctual()
            raise
        nodes.in_motion(0.1)
        nodes.kill("guard_node")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "the end of the motion")
        nodes.wait(lambda: "calling /io_and_status_controller/hand_back_control" in nodes.policy.log, "the line of the stop services")
        nodes.wait(lambda: nodes.speed < 0.02, "standstill", 3)


@punctual
def test_velocity_without_a_deadman_is_refused_on_a_forward_controller_only(policy_file):
    for transport, configures in (("forward_velocity", False), ("trajectory", True)):
        with bench(policy_file, clock="wall", guarding={"transport": transport, "accept_no_deadman": False}, alone=True) as nodes:
            assert nodes.configure() is configures
            if not configures:
                assert "give accept_no_deadman:=true" in nodes.guard.complaint


@punctual
def test_prefixed_joints_reach_the_robot(task, policy_file):
    named = {"joint_prefix": "left_", "transport": "trajectory"}
    with bench(policy_file, clock="wall", simulator=named, guarding=named, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))):
            nodes.in_motion(0.2)
        assert nodes.link.states[max(nodes.link.states)].name[0] == "left_shoulder_pan_joint"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("protective_stop:=1", "program does not run|speed is scaled to 0 of 100"), ("speed_scaling:=0.5", "speed is scaled to 50 of 100")],
)
@punctual
def test_robot_that_is_not_ready_refuses_arming_and_stops_in_motion(task, policy_file, fault, cause):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))) as commander:
            nodes.in_motion(0.2)
            nodes.fault(fault)
            nodes.wait(lambda: nodes.link.status["rung"] == "stop", "the stop")
            nodes.punctual()
            assert re.search(cause, nodes.link.status["cause"]), nodes.link.status["cause"]
            commander.pause()
            nodes.wait(lambda: nodes.link.status["armed"] == "false", "standstill")
        with pytest.raises(RosError, match=cause):
            nodes.link.trigger("guard/reset")


@punctual
def test_robot_that_moves_against_its_commands_is_stopped_by_its_driver(task, policy_file):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, task.contract, lambda count: np.full(6, 0.4 * np.sin(count / 8))) as commander:
            nodes.in_motion(0.2)
            nodes.fault("runaway:=elbow_joint=1.5")
            nodes.wait(lambda: nodes.link.status["rung"] == "stop", "the stop")
            nodes.wait(
                lambda: "a joint runs away from its command: calling /io_and_status_controller/hand_back_control" in nodes.guard.log,
                "the stop services",
            )
            commander.pause()


@punctual
def test_listener_with_another_quality_of_service_is_none(policy_file):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.fault("command_qos:=true")
        nodes.link.spin(0.5)
        with pytest.raises(RosError, match="with a matching QoS"):
            nodes.link.arm()
