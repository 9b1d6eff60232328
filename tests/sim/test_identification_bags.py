"""Joint states in MCAP files of isthmus and of others, bound by name."""

import numpy as np
import pytest
from mcap_ros2.writer import Writer

from isthmus import messages
from isthmus_sim.identification.bags import read_bag

STATE = "sensor_msgs/msg/JointState"


def write(path, states=None, commands=None, topic="/robot/joint_states"):
    with path.open("wb") as stream:
        writer = Writer(stream)
        schema = writer.register_msgdef(STATE, messages.SCHEMAS[STATE])
        for name, rows in ((topic, states), ("/guard/executed", commands)):
            for stamp, joints, fields in rows or []:
                message = messages.joint_state(
                    messages.header(stamp), joints, **{key: np.array([values]) for key, values in fields.items()}
                )
                writer.write_message(name, schema, message, log_time=stamp, publish_time=stamp)
        writer.finish()
    return path


def state(index, joints=("b", "a"), **more):
    values = {"a": np.sin(0.1 * index), "b": 0.1 * index}
    return 10**9 + index * 10**7, joints, {"position": [values[joint] for joint in joints], **more}


def test_joints_are_bound_by_name_whatever_their_order(tmp_path):
    states = [state(index, ("b", "a") if index % 2 else ("a", "b"), effort=[1.0, 2.0]) for index in range(50)]
    commands = [(10**9 + index * 2 * 10**7, ("a", "b"), {"velocity": [index, -index]}) for index in range(25)]
    log = read_bag(write(tmp_path / "log.mcap", states, commands))
    assert log.joints == ("a", "b")
    np.testing.assert_allclose(log.position[:, 0], np.sin(0.1 * np.arange(50)))
    np.testing.assert_allclose(log.time, 0.01 * np.arange(50), atol=1e-9)
    assert log.mode == "velocity"
    np.testing.assert_allclose(log.command[:, 1], -np.arange(25))
    assert log.effort is not None
    assert log.effort[1].tolist() == [2.0, 1.0]  # the message had them the other way round
    assert len(log.digest) == 64


def test_few_stamps_that_go_back_are_left_out_and_many_refused(tmp_path):
    states = [state(index) for index in range(60)]
    log = read_bag(write(tmp_path / "few.mcap", [*states[:30], states[10], *states[30:]]))
    assert len(log.time) == 60
    assert "1 messages were left out" in log.remarks[0]
    with pytest.raises(ValueError, match="60 of 60 stamps of joint states repeat or go back"):
        read_bag(write(tmp_path / "many.mcap", [*states, *states]))


def test_a_state_that_is_said_again_while_time_stands_still_counts_once(tmp_path):
    log = read_bag(write(tmp_path / "log.mcap", [*[state(0)] * 80, *(state(index) for index in range(1, 60)), *[state(59)] * 80]))
    assert len(log.time) == 60


def test_a_file_without_joint_states_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no topic that ends in joint_states"):
        read_bag(write(tmp_path / "none.mcap", [state(0)], topic="/other"))


def test_joints_that_the_model_does_not_have_are_left_out(tmp_path):
    gripper = [(10**9 + 5 * 10**6 + index * 10**7, ("finger",), {"position": [0.1]}) for index in range(50)]
    states = sorted([*gripper, *(state(index) for index in range(50))])
    log = read_bag(write(tmp_path / "log.mcap", states))
    assert set(log.joints) == {"a", "b"}  # a broadcaster of the gripper speaks first or last, and of one joint only
    wide = [(stamp, (*joints, "finger"), {"position": [*fields["position"], 0.1]}) for stamp, joints, fields in map(state, range(50))]
    log = read_bag(write(tmp_path / "wide.mcap", wide, [(10**9, ("a", "b"), {"velocity": [1.0, 2.0]})]), joints=("a", "b"))
    assert (log.joints, log.mode) == (("b", "a"), "velocity")
    assert log.command.tolist() == [[2.0, 1.0]]
    assert log.remarks == ("left out, because the model has no such joint: finger",)


def test_efforts_without_a_value_for_each_joint_are_none(tmp_path):
    assert read_bag(write(tmp_path / "log.mcap", [state(index, effort=[1.0]) for index in range(50)])).effort is None


def test_a_folder_holds_one_recording_whose_files_follow_each_other(tmp_path):
    bag = tmp_path / "free" / "2026-11-30"
    bag.mkdir(parents=True)
    (bag / "metadata.yaml").write_text("")
    for part in range(11):
        write(bag / f"bag_{part}.mcap", [state(index) for index in range(20 * part, 20 * part + 20)])
    log = read_bag(tmp_path / "free")
    np.testing.assert_allclose(log.time, 0.01 * np.arange(220), atol=1e-9)
    assert log.name == str(tmp_path / "free")
    write(tmp_path / "free" / "other.mcap", [state(index) for index in range(20)])
    with pytest.raises(ValueError, match=r"free holds 2 recordings \(2026-11-30, other\.mcap, …\): give one of them"):
        read_bag(tmp_path / "free")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none holds 0 recordings: no file ends in \.mcap"):
        read_bag(tmp_path / "none")
