"""Commands of ros2_control in bags of others: arrays in the order of a profile, and trajectories."""

import numpy as np
import pytest
from mcap_ros2.writer import Writer

from isthmus import messages
from isthmus.robot import load_robot
from isthmus_sim.identification.bag_commands import ARRAY, DEFINITIONS, TRAJECTORY, CommandTopics
from isthmus_sim.identification.bags import read_bag

STATE = "sensor_msgs/msg/JointState"
ROBOT = load_robot("ur5e")
JOINTS = tuple(sorted(ROBOT.joint_names))  # as the driver sends them
VELOCITY, PLANS = "/left/forward_velocity_controller/commands", "/scaled_joint_trajectory_controller/joint_trajectory"
BEGIN = 10**9


def write(path, commands, topic, kind, joints=JOINTS):
    """A second at 100 Hz, each joint where its place in the alphabet says, and commands: ns after the beginning, and message."""
    with path.open("wb") as stream:
        writer = Writer(stream)
        state, told = writer.register_msgdef(STATE, messages.SCHEMAS[STATE]), writer.register_msgdef(kind, DEFINITIONS[kind])
        for index in range(101):
            stamp = BEGIN + index * 10**7
            message = messages.joint_state(messages.header(stamp), joints, position=np.arange(float(len(joints)))[None])
            writer.write_message("/joint_states", state, message, log_time=stamp, publish_time=stamp)
        for after, message in commands:
            writer.write_message(topic, told, message, log_time=BEGIN + after, publish_time=BEGIN + after)
        writer.finish()
    return path


def plan(*points, joints=("elbow_joint", "wrist_3_joint"), stamp=0):
    """A trajectory of ages, positions and, maybe, velocities."""
    rows = [
        {
            "positions": places,
            "velocities": speeds,
            "accelerations": [],
            "effort": [],
            "time_from_start": {"sec": int(age), "nanosec": round(age % 1 * 1e9)},
        }
        for age, places, speeds in ((*point, [])[:3] for point in points)
    ]
    return {"header": messages.header(stamp), "joint_names": list(joints), "points": rows}


def array(*values):
    return messages.multi_array(np.array(values), "")


def test_arrays_are_bound_in_the_order_of_the_profile(tmp_path):
    rows = [(index * 2 * 10**7, array(*(10.0 * np.arange(6) + index))) for index in range(50)]
    file = write(tmp_path / "ur.mcap", rows, VELOCITY, ARRAY)
    for topics in (
        CommandTopics(robot=ROBOT),
        CommandTopics("forward_velocity_controller/commands", ROBOT),
        CommandTopics(VELOCITY, ROBOT),
    ):
        log = read_bag(file, topics)
        assert (log.mode, log.joints) == ("velocity", ROBOT.joint_names)
        np.testing.assert_allclose(log.command, 10.0 * np.arange(6) + np.arange(50)[:, None])
        np.testing.assert_allclose(log.command_time, 0.02 * np.arange(50), atol=1e-9)
        assert log.position[0].tolist() == [JOINTS.index(joint) for joint in ROBOT.joint_names]
    assert read_bag(file).mode == ""


def test_what_a_topic_does_not_say_is_asked_for(tmp_path):
    file = write(tmp_path / "ur.mcap", [(0, array(*range(6)))], VELOCITY, ARRAY)
    with pytest.raises(ValueError, match=f"has no commands on /other; there are: {VELOCITY}"):
        read_bag(file, CommandTopics("/other"))
    with pytest.raises(ValueError, match="does not name its joints; --robot tells their order"):
        read_bag(file, CommandTopics(VELOCITY))
    unsaid = write(tmp_path / "unsaid.mcap", [(0, array(*range(6)))], "/told", ARRAY)
    with pytest.raises(ValueError, match="neither --robot nor its name tell what /told commands; valid: position, velocity, effort"):
        read_bag(unsaid, CommandTopics("/told", ROBOT))
    with pytest.raises(ValueError, match="has 5 values for 6 joints"):
        read_bag(write(tmp_path / "few.mcap", [(0, array(*range(5)))], VELOCITY, ARRAY), CommandTopics(robot=ROBOT))


def test_a_trajectory_is_what_its_controller_makes_of_it(tmp_path):
    """From where the joints are, through the points, until the next one comes; joints that it does not name are left out."""
    first = plan((0.4, [1.0, 9.0]), (0.8, [3.0, 9.0]))
    second = plan((0.2, [9.0, 1.5]), joints=("wrist_3_joint", "elbow_joint"))
    file = write(tmp_path / "ur.mcap", [(0, first), (6 * 10**8, second)], PLANS, TRAJECTORY)
    log = read_bag(file, CommandTopics(robot=ROBOT))
    assert (log.mode, log.joints) == ("position", ("elbow_joint", "wrist_3_joint"))
    assert "commands no shoulder_lift_joint" in log.remarks[0]
    elbow = np.interp([0.2, 0.4, 0.5, 0.599, 0.7, 0.8, 1.0], log.command_time, log.command[:, 0])
    np.testing.assert_allclose(elbow, [0.5, 1.0, 1.5, 1.95, 1.75, 1.5, 1.5], atol=0.06)  # it is measured at 0
    assert log.command[-1].tolist() == [1.5, 9.0]
    assert (np.diff(log.command_time) > 0).all()


def test_joints_that_the_model_does_not_have_are_left_out_of_plans(tmp_path):
    plans = [(0, plan((0.5, [0.7, 1.0, 9.0]), joints=("finger", "elbow_joint", "wrist_3_joint")))]
    file = write(tmp_path / "ur.mcap", plans, PLANS, TRAJECTORY, (*JOINTS, "finger"))
    log = read_bag(file, CommandTopics(robot=ROBOT), ROBOT.joint_names)
    assert (log.mode, log.joints) == ("position", ("elbow_joint", "wrist_3_joint"))
    assert log.command[-1].tolist() == [1.0, 9.0]
    assert log.remarks[0] == "left out, because the model has no such joint: finger"
    alone = write(tmp_path / "gripper.mcap", [(0, plan((0.5, [0.7]), joints=("finger",)))], PLANS, TRAJECTORY, (*JOINTS, "finger"))
    with pytest.raises(ValueError, match="commands finger, which the log does not have"):
        read_bag(alone, CommandTopics(robot=ROBOT), ROBOT.joint_names)


def test_velocities_of_points_make_it_cubic(tmp_path):
    file = write(tmp_path / "ur.mcap", [(0, plan((0.0, [0.0, 5.0], [0.0, 0.0]), (0.8, [1.0, 5.0], [0.0, 0.0])))], PLANS, TRAJECTORY)
    log = read_bag(file, CommandTopics(PLANS))
    assert np.interp(0.2, log.command_time, log.command[:, 0]) == pytest.approx(3 / 16 - 2 / 64, abs=1e-3)
    bad = write(tmp_path / "bad.mcap", [(0, plan((0.4, [1.0]), (0.2, [1.0]), joints=("elbow_joint",)))], PLANS, TRAJECTORY)
    with pytest.raises(ValueError, match="whose times do not increase"):
        read_bag(bad, CommandTopics(PLANS))
    empty = write(tmp_path / "empty.mcap", [(0, plan())], PLANS, TRAJECTORY)
    with pytest.raises(ValueError, match="has no trajectory with points"):
        read_bag(empty, CommandTopics(PLANS))
