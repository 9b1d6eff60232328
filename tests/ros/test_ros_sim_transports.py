import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Twist, TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from sim_bench import pan, sim_bench
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from isthmus.robot import load_robot
from isthmus_ros.common import wire

pytestmark = pytest.mark.ros

ROBOT = load_robot("ur5e")
TRAJECTORY, POSITION = f"/{ROBOT.ros.transports['trajectory']}", f"/{ROBOT.ros.command_topics['position']}"


def braking_tail(joints, start, speed, seconds, prefix=""):
    """A trajectory that moves the first joint at a speed and brakes it evenly to rest."""
    points = []
    for share in np.linspace(0, 1, 11)[1:]:
        moved, left = speed * seconds * (share - share**2 / 2), speed * (1 - share)
        point = JointTrajectoryPoint(positions=[start[0] + moved, *start[1:]], velocities=[left, *[0.0] * (len(start) - 1)])
        point.time_from_start = Duration(sec=0, nanosec=round(share * seconds * 1e9))
        points.append(point)
    return JointTrajectory(joint_names=[prefix + joint for joint in joints], points=points)


@pytest.mark.parametrize("task", ["reach", "reach-position"])
def test_trajectory_ends_at_rest_on_its_tail_in_velocity_and_position_mode(task):
    with sim_bench(task=task, transport="trajectory", joint_prefix="left_") as arm:
        names = tuple(f"left_{joint}" for joint in ROBOT.joint_names)
        start = wire.column(arm.fresh(), "position", names)[0]
        tail = braking_tail(reversed(ROBOT.joint_names), start[::-1], 0.0, 0.8, "left_")
        for point in tail.points:  # the last named is the first joint of the robot
            point.positions[-1], point.velocities[-1] = point.positions[-1] + 0.2, 0.0
        arm.connected(JointTrajectory, TRAJECTORY).publish(tail)
        arm.wait(lambda: abs(arm.position(names[0]) - start[0]) > 0.1, "motion")
        arm.wait(lambda: abs(arm.speed(names[0])) < 0.01, "standstill")
        assert arm.position(names[0]) == pytest.approx(start[0] + 0.2, abs=0.02)
        arm.connected(JointTrajectory, TRAJECTORY).publish(braking_tail(["left_a"], [0.0], 0.1, 0.5))
        arm.wait(lambda: "command ignored: a trajectory must name the joints" in arm.process.log, "the complaint")


def test_forward_velocity_without_a_time_out_goes_on_after_its_sender():
    with sim_bench(command_timeout=0.0, transport="forward_velocity") as arm:
        arm.wait(lambda: arm.speed() > 0.35, "motion", every=lambda: arm.command(pan(0.4)))
        arm.spin(1.0)
        assert arm.speed() > 0.35


def test_forward_position_stays_at_the_last_set_point():
    with sim_bench(transport="forward_position", plant="mujoco") as arm:
        goal = ROBOT.home + 0.1 * pan(1.0)
        arm.wait(lambda: abs(arm.position() - goal[0]) < 0.01, "the set-point", every=lambda: arm.command(goal, POSITION))
        arm.spin(0.7)
        assert arm.position() == pytest.approx(goal[0], abs=0.01)


def test_base_drives_by_twists_and_says_odometry_and_wheel_angles():
    robot = load_robot("diffbot")
    with sim_bench(task="navigate", command_timeout=0.2) as base:
        odometry = []
        base.node.create_subscription(Odometry, "/odom", odometry.append, qos_profile_sensor_data)
        assert tuple(base.fresh().name) == robot.base.wheels
        wheel = robot.base.wheels[0]
        for kind, topic in ((TwistStamped, "/cmd_vel"), (Twist, "/cmd_vel_unstamped")):
            message = kind()
            getattr(message, "twist", message).linear.x = 0.2
            publisher = base.connected(kind, topic)
            expected = 0.2 / robot.base.wheel_radius
            base.wait(
                lambda expected=expected: abs(base.speed(wheel) - expected) < 0.5,
                "motion",
                every=lambda publisher=publisher, message=message: publisher.publish(message),
            )
            assert odometry[-1].twist.twist.linear.x == pytest.approx(0.2, abs=0.05)
            base.wait(lambda: abs(base.speed(wheel)) < 0.1, "the time-out")
        assert base.fault(f"nan_position:={wheel}", "runaway:=wz=0.5") == ""
        base.wait(lambda: odometry[-1].twist.twist.angular.z > 0.4 and np.isnan(base.position(wheel)), "faults of a base")
        assert odometry[-1].pose.pose.position.x - odometry[0].pose.pose.position.x > 0.02
        assert (odometry[-1].header.frame_id, odometry[-1].child_frame_id) == ("odom", "base_link")
        assert ("tf2_msgs is not installed" in base.process.log) != bool(base.node.count_publishers("/tf"))


def test_cameras_are_published_with_their_calibration_and_their_faults():
    with sim_bench(camera_rate=20.0) as arm:
        pictures, calibrations = [], []
        arm.node.create_subscription(Image, "/wrist/image_raw", pictures.append, qos_profile_sensor_data)
        arm.node.create_subscription(CameraInfo, "/wrist/camera_info", calibrations.append, qos_profile_sensor_data)
        arm.wait(lambda: pictures and calibrations, "pictures")
        image, calibration = pictures[-1], calibrations[-1]
        assert (image.height, image.width, image.encoding, image.step, len(image.data)) == (84, 84, "rgb8", 252, 84 * 252)
        assert image.header.frame_id == calibration.header.frame_id == "wrist_optical_frame"
        assert len(set(image.data)) > 3
        assert calibration.k[0] == pytest.approx(0.5 * 84 / np.tan(0.5))
        assert arm.fault("image_scale:=0.5", "image_bgr:=true") == ""
        arm.wait(lambda: (pictures[-1].height, pictures[-1].width, pictures[-1].encoding) == (42, 42, "bgr8"), "wrong pictures")
        assert arm.fault("freeze_images:=true") == ""
        arm.wait(lambda: pictures[-1].height == 84, "frozen pictures")
        del pictures[:-1]
        arm.wait(
            lambda: len({bytes(p.data) for p in pictures[-4:]}) == 1 and len(pictures) > 8, "pictures", every=lambda: arm.command(pan(1.0))
        )
        assert len({wire.nanoseconds_of(p.header.stamp) for p in pictures}) == len(pictures)
        assert arm.fault("silent_cameras:=true") == ""
        arm.spin(0.2)
        pictures.clear()
        arm.spin(0.3)
        assert not pictures


def test_lifecycle_begins_and_ends_what_the_robot_says():
    with sim_bench(autostart=False) as arm:

        def change(transition):
            return arm.call(ChangeState, "sim_node/change_state", ChangeState.Request(transition=Transition(id=transition))).success

        assert not arm.trigger("sim_node/reset").success
        assert change(Transition.TRANSITION_CONFIGURE)
        arm.spin(0.3)
        assert not arm.states
        assert change(Transition.TRANSITION_ACTIVATE)
        arm.fresh()
        assert change(Transition.TRANSITION_DEACTIVATE)
        arm.spin(0.2)
        arm.forget()
        arm.spin(0.3)
        assert not arm.states
        assert change(Transition.TRANSITION_ACTIVATE)
        arm.fresh()
        assert change(Transition.TRANSITION_DEACTIVATE)
        assert change(Transition.TRANSITION_CLEANUP)
        arm.wait(lambda: not arm.node.count_publishers("/joint_states"), "clean topics")
        assert arm.fault("silent:=tru") == ""  # judged at configuration
        assert not change(Transition.TRANSITION_CONFIGURE)
        assert "fault silent must be true or false, got 'tru'" in arm.process.complaint
        assert not arm.node.count_publishers("/joint_states")
        assert arm.fault() == ""
        assert change(Transition.TRANSITION_CONFIGURE)
        assert change(Transition.TRANSITION_ACTIVATE)
        arm.fresh()
        arm.wait(lambda: arm.speed() > 0.35, "motion", every=lambda: arm.command(pan(0.4)))


def test_robot_in_stepped_time_follows_a_trajectory_once_what_was_executed_is_told():
    with sim_bench(transport="trajectory", clock="stepped") as arm:
        joints, period = ROBOT.joint_names, 0.05
        message = arm.fresh(1)
        executed = arm.connected(JointState, "/guard/executed")
        commands = arm.connected(JointTrajectory, TRAJECTORY)
        start = wire.column(message, "position", joints)[0]
        for _ in range(4):
            tail = braking_tail(joints, start, 0.3, 0.5)
            echo = JointState(name=list(joints), velocity=list(tail.points[0].velocities))
            echo.header.stamp = message.header.stamp
            arm.forget()
            commands.publish(tail)
            executed.publish(echo)
            before = wire.nanoseconds_of(message.header.stamp)
            arm.wait(lambda before=before: arm.states and wire.nanoseconds_of(arm.states[-1].header.stamp) > before, "the next state")
            message, start = arm.states[-1], tail.points[0].positions
            assert wire.nanoseconds_of(message.header.stamp) - before == round(period * 1e9)
        assert wire.column(message, "velocity", joints)[0, 0] == pytest.approx(0.27, abs=0.03)
