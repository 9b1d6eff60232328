"""Recordings that went through another tool: read by their sequence numbers, or refused by file and period; never shifted in silence."""

import dataclasses
import random

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from sample_contract import make_contract

from isthmus.messages import SCHEMAS
from isthmus.records import Command, Measurement
from isthmus.trace import TraceStep, TraceWriter, read_trace

PERIODS = 12
STATE = "sensor_msgs/msg/JointState"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A recording of twelve periods, with a decision in every fourth one, and one clamp."""
    contract = make_contract()
    joints = contract.action.elements
    path = tmp_path_factory.mktemp("original") / "run.mcap"
    with TraceWriter(path, contract, {"seed": "0"}) as writer:
        for number in range(PERIODS):
            values = np.full((1, len(joints)), 0.1 * number)
            decides = number % 4 == 0
            writer.record(
                TraceStep(
                    measurement=Measurement(np.array([0.05 * number]), joints, values, values + 1),
                    command=Command(contract.mode, joints, values + 2),
                    executed=Command(contract.mode, joints, values + 3),
                    rung=1 if number == 5 else 0,
                    cause="too fast" if number == 5 else "",
                    action=np.full((1, contract.horizon, len(joints)), float(number)) if decides else None,
                )
            )
        writer.conclude({"return": "1.0", "steps": str(PERIODS)})
    return path


def rewritten(source, target, change, prefix=""):
    """A copy by a plain MCAP writer, of the messages that `change` gives: (topic, message) pairs, in their order."""
    reader = make_reader(source.open("rb"))
    summary = reader.get_summary()
    found = [(channel.topic, message) for _, channel, message in reader.iter_messages(log_time_order=False)]
    before, *after = reader.iter_metadata()
    with target.open("wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD)
        writer.start()
        writer.add_metadata(before.name, before.metadata)
        schemas = {number: writer.register_schema(one.name, one.encoding, one.data) for number, one in summary.schemas.items()}
        channels = {
            one.topic: writer.register_channel(prefix + one.topic, one.message_encoding, schemas[one.schema_id])
            for one in summary.channels.values()
        }
        for topic, message in change(found):
            writer.add_message(channels[topic], message.log_time, message.data, message.publish_time, message.sequence)
        for one in after:
            writer.add_metadata(one.name, one.metadata)
        writer.finish()
    return target


def shuffled(found):
    return random.Random(0).sample(found, len(found))


ORDERS = {
    "by topic": lambda found: sorted(found, key=lambda one: one[0]),
    "by topic, backwards": lambda found: sorted(found, key=lambda one: one[0], reverse=True),
    "reversed": lambda found: found[::-1],
    "doubled": lambda found: [one for one in found for _ in range(2)],
    "twice after another": lambda found: found * 2,
    "by time, ties by topic": lambda found: sorted(found, key=lambda one: (one[1].log_time, one[0])),
    "shuffled": shuffled,
    "logged at other times": lambda found: [(topic, dataclasses.replace(one, log_time=7 * n)) for n, (topic, one) in enumerate(found)],
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_in_the_file_changes_nothing(tmp_path, original, order):
    expected, found = read_trace(original), read_trace(rewritten(original, tmp_path / "run.mcap", ORDERS[order]))
    for name in ("stamps", "position", "velocity", "command", "executed", "decisions", "actions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.rungs, found.causes, found.metadata) == (expected.rungs, expected.causes, expected.metadata)
    assert found.rungs[5] == "clamp"


def halves(found, second=slice(1, None), every=1):
    """The joint states as of two publishers: the second has its own joints, and speaks in every n-th period."""
    from mcap_ros2._dynamic import generate_dynamic, serialize_dynamic

    decode = generate_dynamic(STATE, SCHEMAS[STATE])[STATE]
    encode = serialize_dynamic(STATE, SCHEMAS[STATE])[STATE]
    for topic, one in found:
        if topic != "/joint_states":
            yield topic, one
            continue
        for names in (slice(1), second):
            if names == slice(1) or one.sequence % every == 0:
                said = decode(one.data)
                for field in ("name", "position", "velocity", "effort"):
                    setattr(said, field, list(getattr(said, field))[names])
                yield topic, dataclasses.replace(one, data=encode(said))


@pytest.mark.parametrize("order", ["by topic", "doubled", "shuffled"])
def test_joint_states_of_several_publishers_are_joined(tmp_path, original, order):
    """On commit a229d9e such a file was refused."""
    expected = read_trace(original)
    found = read_trace(rewritten(original, tmp_path / "run.mcap", lambda found: ORDERS[order](list(halves(found)))))
    columns = [found.joints.index(joint) for joint in expected.joints]
    assert found.effort is None
    for name in ("position", "velocity"):
        np.testing.assert_array_equal(getattr(found, name)[:, columns], getattr(expected, name))
    np.testing.assert_array_equal(found.stamps, expected.stamps)


def test_a_joint_that_is_not_named_in_a_period_keeps_its_value(tmp_path, original):
    expected = read_trace(original)
    found = read_trace(rewritten(original, tmp_path / "run.mcap", lambda found: halves(found, every=5)))
    assert found.joints == expected.joints
    np.testing.assert_array_equal(found.position[:, 0], expected.position[:, 0])
    np.testing.assert_array_equal(found.position[:, 1:], expected.position[[step - step % 5 for step in range(PERIODS)], 1:])


def test_two_publishers_of_one_joint_are_refused_by_its_name(tmp_path, original):
    joint = read_trace(original).joints[0]
    path = rewritten(original, tmp_path / "run.mcap", lambda found: halves(found, slice(0, None)))
    with pytest.raises(ValueError, match=f"run.mcap: period 0 has two different messages of /joint_states, and both name joint '{joint}'"):
        read_trace(path)


def counted_anew(found):
    counts = dict.fromkeys((topic for topic, _ in found), -1)
    for topic, one in found:
        counts[topic] += 1
        yield topic, dataclasses.replace(one, sequence=counts[topic])


CHANGES = {
    "without sequence numbers": (
        lambda found: [(topic, dataclasses.replace(one, sequence=0)) for topic, one in found],
        "period 0 has two different messages of /joint_states",
    ),
    "counted anew by topic": (counted_anew, "it is of period 5, but its sequence number is 1"),
    "actions counted anew": (
        lambda found: [
            (topic, new if topic == "/policy/action" else one) for (topic, one), (_, new) in zip(found, counted_anew(found), strict=True)
        ],
        "the message of /policy/action of period 1 has another time than that of /joint_states",
    ),
    "without a state": (
        lambda found: [(topic, one) for topic, one in found if (topic, one.sequence) != ("/joint_states", 6)],
        "period 6 has a message of /guard/command and none of /joint_states",
    ),
    "two states of one number": (
        lambda found: [(topic, dataclasses.replace(one, sequence=8) if topic == "/joint_states" else one) for topic, one in found],
        "period 8 has two different messages of /joint_states",
    ),
    "without a period in the middle": (
        lambda found: [(topic, one) for topic, one in found if one.sequence != 5],
        "period 5 is missing, and period 11 is there",
    ),
    "without its beginning": (lambda found: [(topic, one) for topic, one in found if one.sequence >= 5], "period 0 is missing"),
}


def test_topics_of_other_names_are_refused(tmp_path, original):
    """On commit eb2221f it was an episode of no periods."""
    path = rewritten(original, tmp_path / "run.mcap", lambda found: found, prefix="/robot1")
    with pytest.raises(ValueError, match=r"run\.mcap has \d+ messages and none of /joint_states"):
        read_trace(path)


def test_what_another_tool_cut_off_at_the_end_is_known(tmp_path, original):
    assert read_trace(original).complete
    found = read_trace(rewritten(original, tmp_path / "run.mcap", lambda found: [one for one in found if one[1].sequence < 7]))
    assert (len(found), found.complete) == (7, False)


@pytest.mark.parametrize("change", CHANGES)
def test_what_cannot_be_bound_is_refused_by_file_and_period(tmp_path, original, change):
    alter, sentence = CHANGES[change]
    with pytest.raises(ValueError, match=r"other\.mcap") as refusal:
        read_trace(rewritten(original, tmp_path / "other.mcap", alter))
    assert sentence in str(refusal.value)


def test_a_reordered_file_that_was_cut_off_is_refused(tmp_path, original):
    path = rewritten(original, tmp_path / "cut.mcap", lambda found: found[::-1])
    path.write_bytes(path.read_bytes()[:-8])  # without its footer
    with pytest.raises(ValueError, match=r"cut\.mcap was cut off, and period \d+ comes after period 11: what is missing cannot be told"):
        read_trace(path)
