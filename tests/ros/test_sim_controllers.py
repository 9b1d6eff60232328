import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Twist, TwistStamped
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from isthmus.robot import load_robot
from isthmus.spline import Spline
from isthmus_ros.robot_sim.commands import forward_values, listening, trajectory_points
from isthmus_ros.robot_sim.controllers import HeldCommand, Points, TrajectoryFollower

ROBOT, PERIOD = load_robot("ur5e"), 0.01
JOINTS = ROBOT.joint_names
HOME = np.zeros(6)


def held(mode, time_out=0.5):
    controller = HeldCommand(ROBOT, JOINTS, mode, time_out)
    controller.rest(HOME, 0.0)
    return controller


def follower(mode="position"):
    controller = TrajectoryFollower(6, mode)
    controller.rest(HOME, 0.0)
    return controller


def braking(speed, seconds, count=20):
    """Points of a joint that moves at a speed and brakes evenly to rest."""
    times = np.linspace(seconds / count, seconds, count)
    share = times / seconds
    velocity = speed * (1 - share)
    position = speed * (times - seconds * share**2 / 2)
    return Points(times, np.outer(position, np.ones(6)), np.outer(velocity, np.ones(6)))


def steps(controller, seconds, scaling=1.0, begin=0.0):
    times = begin + np.arange(1, round(seconds / PERIOD) + 1) * PERIOD
    return np.array([controller.command(now, PERIOD, scaling) for now in times])


def test_held_velocity_becomes_zero_after_the_time_out_and_never_without_one():
    for time_out, ends in ((0.5, True), (0.0, False)):
        controller = held("velocity", time_out)
        controller.receive(np.full(6, 0.4), 1.0)
        np.testing.assert_array_equal(controller.command(1.49, PERIOD, 1.0), 0.4)
        np.testing.assert_array_equal(controller.command(1.51, PERIOD, 1.0), 0.0 if ends else 0.4)


def test_held_effort_is_left_to_the_brakes_before_its_first_message_and_after_the_time_out():
    controller = held("effort")
    assert controller.command(0.9, PERIOD, 1.0) is None
    controller.receive(np.full(6, 0.4), 1.0)
    np.testing.assert_array_equal(controller.command(1.49, PERIOD, 0.5), 0.4)
    assert controller.command(1.51, PERIOD, 1.0) is None


def test_held_position_stays_where_it_was_sent():
    controller = held("position")
    np.testing.assert_array_equal(controller.command(0.0, PERIOD, 1.0), HOME)
    controller.receive(np.full(6, 0.2), 1.0)
    np.testing.assert_array_equal(controller.command(99.0, PERIOD, 1.0), 0.2)


def test_speed_scaling_slows_held_commands():
    controller = held("velocity")
    controller.receive(np.full(6, 0.4), 0.0)
    np.testing.assert_array_equal(controller.command(0.1, PERIOD, 0.5), 0.2)
    controller = held("position")
    controller.receive(np.full(6, 1.0), 0.0)
    moved = steps(controller, 0.1, 0.5)
    np.testing.assert_allclose(moved[-1], 0.5 * ROBOT.limits().velocity[0] * 0.1)


def test_controllers_that_rest_have_forgotten_their_commands():
    controller = held("velocity")
    controller.receive(np.full(6, 0.4), 0.0)
    controller.rest(HOME, 0.1)
    np.testing.assert_array_equal(controller.command(0.2, PERIOD, 1.0), 0.0)
    controller = follower()
    controller.receive(braking(1.0, 0.5), 0.0)
    controller.rest(np.full(6, 0.1), 0.1)
    np.testing.assert_array_equal(steps(controller, 0.3, begin=0.1)[-1], 0.1)


@given(speed=st.floats(-2, 2), seconds=st.floats(0.1, 1.0))
def test_trajectory_that_ends_on_a_braking_tail_ends_at_rest_without_its_sender(speed, seconds):
    points = braking(speed, seconds)
    controller = follower()
    positions = steps_after(controller, points, 1.5)
    np.testing.assert_allclose(positions[-1], points.positions[-1])
    np.testing.assert_allclose(positions[-2], positions[-1])


def test_set_points_pass_through_the_points_and_keep_their_speed():
    points = braking(1.0, 0.5, count=5)
    positions = steps_after(follower(), points, 0.6)
    np.testing.assert_allclose(positions[[9, 19, 29, 39, 49], 0], points.positions[:, 0], atol=1e-9)
    speed = np.gradient(positions[10:50, 0], PERIOD)
    expected = 1.0 - (np.arange(11, 51) * PERIOD) / 0.5
    np.testing.assert_allclose(speed[1:-1], expected[1:-1], atol=0.01)


def test_velocity_drives_get_the_change_of_the_same_set_point():
    points = braking(1.0, 0.5)
    positions = steps_after(follower("position"), points, 0.8)
    velocities = steps_after(follower("velocity"), points, 0.8)
    np.testing.assert_allclose(np.cumsum(velocities, axis=0) * PERIOD, positions, atol=1e-12)


def test_velocities_alone_are_integrated():
    points = braking(1.0, 0.5)
    alone = Points(points.times, None, points.velocities)
    velocities = steps_after(follower("velocity"), alone, 0.8)
    np.testing.assert_allclose(velocities[20, 0], 1 - 0.205 / 0.5, atol=1e-6)
    np.testing.assert_array_equal(velocities[-1], 0.0)


def test_new_trajectory_replaces_the_old_one_where_the_set_point_is():
    controller = follower()
    controller.receive(Points(np.array([1.0]), np.full((1, 6), 1.0), None), 0.0)
    before = steps(controller, 0.5)
    controller.receive(Points(np.array([0.1]), np.full((1, 6), 0.2), None), 0.5)
    after = steps(controller, 0.2, begin=0.5)
    assert before[-1, 0] == pytest.approx(0.5)
    assert abs(after[0, 0] - before[-1, 0]) < 0.05
    np.testing.assert_allclose(after[-1], 0.2)


def test_trajectory_takes_longer_below_full_speed():
    controller = follower()
    controller.receive(Points(np.array([1.0]), np.full((1, 6), 1.0), None), 0.0)
    assert steps(controller, 1.0, 0.5)[-1, 0] == pytest.approx(0.5)
    assert steps(controller, 1.0, 0.0, begin=1.0)[-1, 0] == pytest.approx(0.5)
    assert steps(controller, 0.5, begin=2.0)[-1, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("mode", ["position", "velocity"])
def test_newest_set_point_is_where_the_first_way_ends(mode):
    points = braking(1.0, 0.5)
    for began in (0.0, points.times[0]):  # with a first point at time 0, and without one
        controller = follower(mode)
        controller.receive(dataclasses.replace(points, times=points.times - began), 0.0)
        field = getattr(points, {"position": "positions", "velocity": "velocities"}[mode])
        np.testing.assert_array_equal(controller.newest, field[1 if began else 0])


def test_a_first_point_at_time_0_is_where_the_motion_begins_wherever_the_set_point_is():
    controller = follower()
    controller.receive(Points(np.array([0.0, 1.0]), np.array([[0.5] * 6, [1.5] * 6]), None), 0.0)
    np.testing.assert_allclose(steps(controller, 1.1)[[0, 49, -1], 0], [0.51, 1.0, 1.5])


def test_accelerations_are_kept_at_both_ends_and_from_the_set_point_on():
    times, fields = np.array([0.2, 0.5]), [np.outer(row, np.ones(6)) for row in ([0.1, 0.4], [1.0, 1.0], [2.0, 0.0])]
    controller, before = follower(), [np.zeros(6)] * 3
    for now in (0.0, 0.1):  # the second begins in the middle of a way
        controller.receive(Points(times, *fields), now)
        way = Spline(np.r_[0.0, times], *(np.vstack([row, field]) for row, field in zip(before, fields, strict=True)))
        expected = [way.sample(count * PERIOD)[0] for count in range(1, 11)]
        np.testing.assert_allclose(steps(controller, 0.1, begin=now), expected, atol=1e-9)
        before = way.sample(0.1)


def steps_after(controller, points, seconds):
    controller.receive(points, 0.0)
    return steps(controller, seconds)


def trajectory(names, *points):
    made = []
    for time, fields in points:
        duration = Duration(sec=int(time), nanosec=round(time % 1 * 1e9))
        made.append(JointTrajectoryPoint(time_from_start=duration, **fields))
    return JointTrajectory(joint_names=names, points=made)


def test_trajectories_are_read_by_joint_name():
    points = trajectory_points(
        trajectory(["r_b", "r_a"], (0.5, {"positions": [2.0, 1.0]}), (1.25, {"positions": [4.0, 3.0]})), ("a", "b"), "r_"
    )
    np.testing.assert_array_equal(points.positions, [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(points.times, [0.5, 1.25])
    assert points.velocities is None
    fields = {"positions": [2.0, 1.0], "velocities": [4.0, 3.0], "accelerations": [6.0, 5.0]}
    np.testing.assert_array_equal(trajectory_points(trajectory(["b", "a"], (0.5, fields)), ("a", "b")).accelerations, [[5.0, 6.0]])


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (trajectory(["a"], (1.0, {"positions": [1.0]})), "must name the joints a, b, got a"),
        (trajectory(["a", "b"]), "no points"),
        (trajectory(["a", "b"], (1.0, {"positions": [1.0, 2.0]}), (1.0, {"positions": [1.0, 2.0]})), "must be >= 0 s and increase"),
        (trajectory(["a", "b"], (1.0, {"positions": [1.0]})), "positions of a trajectory must be 2 finite numbers per point"),
        (trajectory(["a", "b"], (1.0, {"velocities": [1.0, np.nan]})), "velocities of a trajectory must be 2 finite numbers"),
        (trajectory(["a", "b"], (1.0, {})), "neither positions nor velocities"),
        (trajectory(["a", "b"], (1.0, {"positions": [1.0, 2.0], "accelerations": [1.0, 2.0]})), "has accelerations but no velocities"),
    ],
)
def test_trajectories_that_cannot_be_followed_are_refused(message, complaint):
    with pytest.raises(ValueError, match=complaint):
        trajectory_points(message, ("a", "b"))


def test_forward_commands_and_twists_are_read():
    assert forward_values(Float64MultiArray(data=[1.0, 2.0]), ("a", "b")).tolist() == [1.0, 2.0]
    twist = Twist()
    twist.linear.x, twist.angular.z = 0.3, -0.5
    assert forward_values(twist, ("vx", "wz")).tolist() == [0.3, -0.5]
    assert forward_values(TwistStamped(twist=twist), ("vx", "wz")).tolist() == [0.3, -0.5]
    with pytest.raises(ValueError, match=r"it must be 2 finite numbers, got \[1.0\]"):
        forward_values(Float64MultiArray(data=[1.0]), ("a", "b"))


def test_transports_fit_the_robot_or_are_refused():
    topics = ROBOT.ros.command_topics
    assert listening("", ROBOT, "velocity") == ("forward_velocity", topics["velocity"], "velocity")
    assert listening("forward_position", ROBOT, "velocity") == ("forward_position", topics["position"], "position")
    assert listening("trajectory", ROBOT, "velocity") == ("trajectory", "scaled_joint_trajectory_controller/joint_trajectory", "velocity")
    assert listening("", load_robot("diffbot"), "twist") == ("cmd_vel", "cmd_vel", "twist")
    with pytest.raises(ValueError, match="unknown transport 'trajectry'; did you mean 'trajectory'"):
        listening("trajectry", ROBOT, "velocity")
    with pytest.raises(ValueError, match="transport trajectory does not carry effort commands"):
        listening("trajectory", ROBOT, "effort")
    with pytest.raises(ValueError, match="no topic for transport cmd_vel"):
        listening("cmd_vel", ROBOT, "velocity")
    with pytest.raises(
        ValueError, match="robot 'ur5e' takes no velocity commands, as transport forward_velocity brings; it takes: position"
    ):
        listening("forward_velocity", dataclasses.replace(ROBOT, command_modes=("position",)), "position")
