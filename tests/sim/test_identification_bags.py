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
    with pytest.raises(ValueError, match="stamps of joint states do not increase"):
        read_bag(write(tmp_path / "many.mcap", [*states, *states]))


def test_a_file_without_joint_states_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no topic that ends in joint_states"):
        read_bag(write(tmp_path / "none.mcap", [state(0)], topic="/other"))
