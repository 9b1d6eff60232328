"""Recordings: whole, readable by others, and without any effect on the robot, whatever happens to the recorder or its disk."""

import contextlib
import importlib
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from bags import messages_of
from diagnostic_msgs.msg import DiagnosticArray
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from rclpy.serialization import serialize_message
from ros_bench import bench
from ros_policies import resolved_rate
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus.messages import SCHEMAS
from isthmus.robot import load_robot
from isthmus_evidence.runs import read_run
from isthmus_ros.common import wire
from isthmus_ros.common.definitions import definition_of, type_name
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.recording.bag import Bag, BagTopic
from isthmus_ros.recording.bag_thread import BagThread
from isthmus_ros.recording.recorded import recorded_topics
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
GOAL = [0.3, -0.3, 0.3]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(CONTRACT).save(path)
    return path


@pytest.mark.parametrize("name", SCHEMAS)
def test_definitions_taken_from_classes_are_those_of_traces(name):
    package, _, message = name.partition("/msg/")
    kind = getattr(importlib.import_module(f"{package}.msg"), message)
    assert type_name(kind) == name
    assert definition_of(kind) == SCHEMAS[name]


def state(stamp):
    message = JointState(name=["a", "b"], position=[float(stamp), -1.5])
    message.header.stamp = wire.time_of(stamp)
    return message


def topic(name, kind, latched=False):
    return BagTopic(name, type_name(kind), definition_of(kind), latched)


TOPICS = [topic("/joint_states", JointState), topic("/emergency_stop", Bool, latched=True), topic("/clock", Clock)]


def test_a_bag_is_one_for_rosbag2(tmp_path):
    rosbags = pytest.importorskip("rosbags.rosbag2")
    bag = Bag(tmp_path / "new/bag", TOPICS, {"robot": "ur5e"})
    sent = [(0, 5 + index, serialize_message(state(index))) for index in range(20)] + [(1, 30, serialize_message(Bool(data=True)))]
    for entry in sent:
        bag.write(*entry)
    bag.close()
    with rosbags.Reader(tmp_path / "new/bag") as reader:
        assert reader.message_count == 21
        assert (reader.start_time, reader.end_time) == (5, 31)
        assert {name: (found.msgtype, found.msgcount) for name, found in reader.topics.items()} == {
            "/joint_states": ("sensor_msgs/msg/JointState", 20),
            "/emergency_stop": ("std_msgs/msg/Bool", 1),
            "/clock": ("rosgraph_msgs/msg/Clock", 0),
        }
        names = {found.name: index for index, found in enumerate(TOPICS)}
        assert [(names[where.topic], stamp, bytes(content)) for where, stamp, content in reader.messages()] == sent
        durability = {where.topic: [profile.durability.name for profile in where.ext.offered_qos_profiles] for where in reader.connections}
    assert durability == {"/joint_states": [], "/emergency_stop": ["TRANSIENT_LOCAL"], "/clock": []}


def test_a_bag_explains_itself_to_readers_without_ros(tmp_path):
    from mcap_ros2.decoder import DecoderFactory

    bag = Bag(tmp_path / "bag", TOPICS, {"robot": "ur5e"})
    bag.write(0, 1, serialize_message(state(7)))
    bag.close()
    with (tmp_path / "bag/bag_0.mcap").open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        ((_, channel, _, decoded),) = reader.iter_decoded_messages()
        assert [(record.name, record.metadata) for record in reader.iter_metadata()] == [("isthmus.recording", {"robot": "ur5e"})]
    assert channel.topic == "/joint_states"
    assert list(decoded.position) == [7.0, -1.5]


def test_a_bag_of_runs_is_a_rung_of_the_ladder(tmp_path):
    topics = [topic("/guard/status", DiagnosticArray, latched=True), topic("/policy/status", DiagnosticArray, latched=True)]
    known = {"robot": "ur5e", "simulated": "false", "missing_evidence": ""}
    bag = Bag(tmp_path / "bag", topics, known)

    def say(index, second, **values):
        bag.write(index, second * 10**9, serialize_message(wire.diagnostics(wire.time_of(second), 0, "", "", "ur5e", values)))

    say(0, 1, rung="pass", rate_scale="0.25")
    for number in ("1", "2"):
        say(1, 2 * int(number), policy="run", policy_digest="abc", motion=number, stop_sequence="-1")
        say(1, 2 * int(number) + 1, policy="idle", motion=number, stop_sequence="-1" if number == "1" else "40")
    bag.close()
    digest, found = read_run(tmp_path / "bag")
    assert (digest, found["rung"], found["runs"], found["seconds"], found["rate_scale"]) == ("abc", "reduced-rate", 2, 4.0, 0.25)
    assert found["stopped"]["rate"] == 0.5


def test_an_existing_recording_is_not_touched(tmp_path):
    Bag(tmp_path / "bag", TOPICS, {}).close()
    with pytest.raises(FileExistsError):
        Bag(tmp_path / "bag", TOPICS, {})


class SlowBag:
    """A bag whose disk does not answer before it is told to."""

    size, free = 0, 10**12

    def __init__(self):
        self.count, self.answer, self.closed = 0, threading.Event(), False

    def write(self, topic, stamp, content):
        self.answer.wait()
        self.count += 1

    def flush(self):
        pass

    def close(self):
        self.closed = True


def test_a_slow_disk_costs_messages_and_no_waiting():
    bag = SlowBag()
    thread = BagThread(bag, queue=10_000, max_size=0, min_free=0)
    began = time.monotonic()
    for stamp in range(1000):
        thread.put(0, stamp, bytes(800))
    assert time.monotonic() - began < 1.0  # of messages that took no time each; the disk would have taken for ever
    assert thread.dropped == 990
    assert thread.queued == 10_000
    assert not thread.close(0.1)
    bag.answer.set()
    assert thread.close(10.0)
    assert (bag.count, bag.closed, thread.queued, thread.failure) == (10, True, 0, "")


def test_a_full_disk_ends_the_recording_with_the_kernels_own_words(tmp_path, monkeypatch):
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: opened(Path("/dev/full") if path.suffix == ".mcap" else path, *how, **more)
    )
    thread = BagThread(Bag(tmp_path / "bag", TOPICS, {}), queue=10**7, max_size=0, min_free=0)
    for stamp in range(2000):
        thread.put(0, stamp, np.random.default_rng(stamp).bytes(1000))
    assert thread.close(10.0)
    assert "No space left on device" in thread.failure


@pytest.mark.parametrize(
    ("limits", "cause"),
    [({"max_size": 20_000, "min_free": 0}, r"max_size allows 20000"), ({"max_size": 0, "min_free": 10**18}, r"min_free is 10+$")],
)
def test_a_recording_ends_at_its_bounds_and_stays_readable(limits, cause, tmp_path):
    pytest.importorskip("rosbags")
    from rosbags.rosbag2 import Reader

    thread = BagThread(Bag(tmp_path / "bag", TOPICS, {}), queue=10**7, **limits)
    end = time.monotonic() + 10
    while not thread.failure and time.monotonic() < end:
        thread.put(0, time.time_ns(), np.random.default_rng().bytes(1000))
        time.sleep(0.002)
    assert thread.close(10.0)
    with pytest.raises(AssertionError, match=cause):
        raise AssertionError(thread.failure)
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == thread.written > 0


def test_every_word_between_policy_guard_and_robot_is_recorded():
    found = {topic.name: type_name(topic.kind) for topic in recorded_topics(load_robot("ur5e"), CONTRACT, "/arm", clock=True)}
    assert found == {
        "guard/command": "sensor_msgs/msg/JointState",
        "guard/executed": "sensor_msgs/msg/JointState",
        "guard/status": "diagnostic_msgs/msg/DiagnosticArray",
        "policy/status": "diagnostic_msgs/msg/DiagnosticArray",
        "monitor/status": "diagnostic_msgs/msg/DiagnosticArray",
        "policy/shadow": "sensor_msgs/msg/JointState",
        "policy/correction": "sensor_msgs/msg/JointState",
        "policy/input/goal": "geometry_msgs/msg/PointStamped",
        "emergency_stop": "std_msgs/msg/Bool",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
        "/clock": "rosgraph_msgs/msg/Clock",
        "/arm/joint_states": "sensor_msgs/msg/JointState",
        "/arm/forward_velocity_controller/commands": "std_msgs/msg/Float64MultiArray",
        "/arm/scaled_joint_trajectory_controller/joint_trajectory": "trajectory_msgs/msg/JointTrajectory",
        "/arm/speed_scaling_state_broadcaster/speed_scaling": "std_msgs/msg/Float64",
        "/arm/io_and_status_controller/robot_program_running": "std_msgs/msg/Bool",
    }


def test_the_pictures_that_a_policy_sees_are_recorded():
    contract = get_task("peg").contract
    names = {topic.name for topic in recorded_topics(load_robot("ur5e"), contract, "/", clock=False)}
    cameras = [signal.name for signal in contract.observation if signal.source == "image"]
    assert cameras
    assert {f"/{camera}/image_raw" for camera in cameras} < names


@contextlib.contextmanager
def moving(policy, **recording):
    """A simulated arm that reaches for a goal far away, guarded in a process of its own and recorded."""
    with bench(policy, clock="wall", simulator={}, recording=recording) as nodes:
        recorder = nodes.nodes["record_node"]
        nodes.wait(lambda: "recording " in recorder.log or recorder.exit_code is not None, "recording")
        assert nodes.configure()
        nodes.activate()
        nodes.reach_for(CONTRACT, GOAL)
        nodes.arm()
        nodes.link.forget()
        nodes.start()
        nodes.wait(lambda: nodes.link.status["policy"] == "run" and len(nodes.link.executed) > 20, "motion")
        yield nodes


def unharmed(nodes, since):
    """Whether the policy's commands have gone on since that sequence number, each passed by the guard but the surplus of a busy computer."""
    nodes.punctual()
    status = nodes.link.status
    assert (status["policy"], status["stop_sequence"]) == ("run", "-1"), status
    assert status["rung"] in ("pass", "clamp"), status
    sequences = sorted(sequence for sequence in nodes.link.executed if sequence >= since)
    assert sequences[-1] - sequences[0] + 1 - len(sequences) <= int(status.get("dropped.surplus", 0)), (sequences, status)
    assert len(sequences) > 20


@pytest.mark.ros
def test_a_recording_holds_what_was_seen_asked_and_executed(policy, tmp_path_factory):
    pytest.importorskip("rosbags")
    tmp_path = tmp_path_factory.mktemp("whole")
    with moving(policy, folder=str(tmp_path)) as nodes:
        nodes.link.spin(1.0)
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
        executed = dict(nodes.link.executed)
    (bag,) = tmp_path.iterdir()
    recorded = {wire.sequence_of(message): message for message in messages_of(bag, "guard/executed")}
    assert executed.keys() <= recorded.keys()
    assert all(recorded[sequence].velocity == message.velocity for sequence, message in executed.items())
    asked = {wire.sequence_of(message) for message in messages_of(bag, "guard/command")}
    assert {sequence for sequence in executed if sequence >= nodes.link.number("run_sequence")} <= asked
    sent = messages_of(bag, "forward_velocity_controller/commands")
    assert len(sent) >= len(executed)
    assert any(max(map(abs, message.data)) > 0.1 for message in sent)
    assert len(messages_of(bag, "joint_states")) > 100
    (goal,) = messages_of(bag, "policy/input/goal")
    assert [goal.point.x, goal.point.y, goal.point.z] == GOAL
    armed = [pair.value for message in messages_of(bag, "guard/status") for pair in message.status[0].values if pair.key == "armed"]
    assert {"true", "false"} <= set(armed)


@pytest.mark.ros
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_recorder_that_dies_or_freezes_changes_nothing(number, policy, tmp_path_factory):
    """Row 68."""
    tmp_path = tmp_path_factory.mktemp("killed")
    with moving(policy, folder=str(tmp_path)) as nodes:
        nodes.link.spin(1.5)  # more than a flush
        since = max(nodes.link.executed)
        if number == signal.SIGKILL:
            nodes.kill("record_node")
        else:
            nodes.nodes["record_node"].send(number)
        nodes.link.spin(2.0)
        unharmed(nodes, since)
        nodes.nodes["record_node"].send(signal.SIGCONT)
    (bag,) = tmp_path.iterdir()
    if number == signal.SIGKILL:
        (file,) = bag.glob("*.mcap")
        found = []
        with file.open("rb") as stream, contextlib.suppress(Exception):  # the file ends somewhere
            for record in StreamReader(stream).records:
                found.append(type(record).__name__)
        assert found.count("Message") > 50


def diagnosed(nodes, seconds=10.0):
    """The recorder's first diagnosis that is not in order."""
    found = []

    def keep(message):
        found.extend(status for status in message.status if status.name.endswith("record_node: recording") and status.level != b"\x00")

    subscription = nodes.link._node.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    nodes.wait(lambda: found, "diagnosis", seconds)
    nodes.link._node.destroy_subscription(subscription)
    return found[0]


@pytest.mark.ros
def test_a_recording_that_is_full_is_a_warning_and_nothing_else(policy, tmp_path_factory):
    """Row 69."""
    pytest.importorskip("rosbags")
    tmp_path = tmp_path_factory.mktemp("full")
    with moving(policy, folder=str(tmp_path), max_size=0.01) as nodes:
        since = max(nodes.link.executed)
        status = diagnosed(nodes)
        assert status.level == b"\x01"
        assert "recording has stopped" in status.message
        assert "max_size" in status.message
        nodes.link.spin(1.0)
        unharmed(nodes, since)
    (bag,) = tmp_path.iterdir()
    assert messages_of(bag, "joint_states")


@pytest.mark.ros
def test_a_recorder_is_nobody_who_could_obey(policy, tmp_path):
    """Row 44 with a recording: it subscribes the command topic, and arming is refused all the same."""
    with bench(policy, clock="wall", simulator={"fault": ["no_subscriber:=true"]}, recording={"folder": str(tmp_path)}) as nodes:
        recorder = nodes.nodes["record_node"]
        nodes.wait(lambda: "recording " in recorder.log, "recording")
        assert nodes.configure()
        nodes.activate()
        heard = "/forward_velocity_controller/commands"
        nodes.wait(lambda: nodes.link._node.count_subscribers(heard) == 1, "the recorder on the command topic")
        with pytest.raises(RosError, match="nobody subscribes /forward_velocity_controller/commands"):
            nodes.link.arm()
        nodes.fault()
        nodes.arm()


@pytest.mark.ros
def test_what_cannot_be_recorded_is_said_and_the_node_waits(tmp_path):
    with bench(tmp_path / "none", alone=True, recording={"folder": str(tmp_path)}) as nodes:
        recorder = nodes.nodes["record_node"]
        nodes.wait(lambda: "cannot configure" in recorder.log, "complaint")
        assert "cannot be read: No such file" in recorder.complaint
        assert recorder.exit_code is None
