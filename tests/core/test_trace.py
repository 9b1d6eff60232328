import array
import importlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.reader import read_ros2_messages

from isthmus.contract import Contract
from isthmus.limits import Limits
from isthmus.messages import SCHEMAS, nanoseconds, seconds
from isthmus.records import Command, Measurement
from isthmus.signals import CameraSpec, Signal
from isthmus.trace import TraceStep, TraceWriter, read_trace, row_of

JOINTS = ("one", "two")
INF = float("inf")
LIMITS = Limits(JOINTS, (-INF,) * 2, (INF,) * 2, (1.0,) * 2, (INF,) * 2, (9.0,) * 2, (5.0,) * 2)
CAMERA = CameraSpec(height=2, width=3)
files = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
any_float = st.floats(allow_nan=False)


def signal(name, source, elements, unit, **options):
    return Signal(name, source, elements, unit, (-INF,) * len(elements), (INF,) * len(elements), **options)


CONTRACT = Contract(
    robot="pendulum",
    task="test",
    observation=(
        signal("angles", "joint_position", JOINTS, "rad", history=3),
        signal("speeds", "joint_velocity", JOINTS, "rad/s", dtype="float64"),
        signal("goal", "input", ("x", "y", "z"), "m"),
        signal("weight", "input", ("weight",), "1"),
        Signal("wrist", "image", (), "1", (), (), dtype="uint8", camera=CAMERA),
    ),
    action=Signal("action", "joint_velocity", JOINTS, "rad/s", (-1.0,) * 2, (1.0,) * 2),
    limits=LIMITS,
    control_period=0.05,
    horizon=2,
)


def step(number, values=None, **changes):
    """One period whose every array is cut out of `values` `[12]`."""
    values = np.arange(12.0) + number if values is None else values
    measurement = Measurement(
        stamp=np.array([number * 0.05]),
        joints=JOINTS,
        position=values[None, 0:2],
        velocity=values[None, 2:4],
        effort=values[None, 4:6],
        poses={"tool": values[None, 0:7]},
        twists={"tool": values[None, 1:7]},
        wrenches={"sensor": values[None, 2:8]},
        images={"wrist": np.full((1, 2, 3, 3), number, dtype=np.uint8)},
    )
    with np.errstate(over="ignore"):
        angles = values[None, 0:6].reshape(1, 3, 2).astype(np.float32)
    fields = {
        "measurement": measurement,
        "command": Command("velocity", JOINTS, values[None, 8:10]),
        "executed": Command("velocity", JOINTS, values[None, 10:12]),
        "inputs": {"goal": values[None, 0:3], "weight": values[None, 3:4]},
        "observation": {"angles": angles, "speeds": values[None, None, 2:4], "wrist": measurement.images["wrist"][:, None]},
        "action": values[None, 8:12].reshape(1, 2, 2),
    }
    return TraceStep(**{**fields, **changes})


def write(path, steps, metadata=None):
    with TraceWriter(path, CONTRACT, metadata or {}) as writer:
        for one in steps:
            writer.record(one)
    return path


def trace_or_refusal(path):
    try:
        return read_trace(path)
    except ValueError as error:
        return error


@files
@given(values=arrays(np.float64, st.tuples(st.integers(1, 5), st.just(12)), elements=any_float))
def test_every_value_is_recovered_bit_for_bit(tmp_path, values):
    steps = [step(number, row) for number, row in enumerate(values)]
    trace = read_trace(write(tmp_path / "run.mcap", steps))

    def same(found, name, of=lambda item: item):
        expected = np.concatenate([of(one) for one in steps])
        assert found.dtype == expected.dtype, name
        assert found.tobytes() == expected.tobytes(), name

    assert trace.complete
    assert trace.joints == JOINTS
    for name in ("position", "velocity", "effort"):
        same(getattr(trace, name), name, lambda one, name=name: getattr(one.measurement, name))
    for group in ("poses", "twists", "wrenches", "images"):
        for name, found in getattr(trace, group).items():
            same(found, name, lambda one, group=group, name=name: getattr(one.measurement, group)[name])
    same(trace.command, "command", lambda one: one.command.values)
    same(trace.executed, "executed", lambda one: one.executed.values)
    same(trace.actions, "actions", lambda one: one.action)
    assert set(trace.observations) == {"angles", "speeds"}
    for name, found in trace.observations.items():
        same(found, name, lambda one, name=name: one.observation[name])
    for name, found in trace.inputs.items():
        same(found, name, lambda one, name=name: one.inputs[name])


@given(number=st.integers(0, 10**7))
def test_stamps_are_kept_to_the_nanosecond(number):
    time = nanoseconds(number * 0.05)
    assert time == number * 50_000_000
    assert seconds(time) == pytest.approx(number * 0.05, rel=4e-16)
    assert nanoseconds(seconds(time)) == time


@given(stamp=st.floats(2**23, 2**31, exclude_max=True))
def test_stamps_coarser_than_a_nanosecond_are_exact(stamp):
    assert seconds(nanoseconds(stamp)) == stamp


def test_decisions_are_indexed_by_period_and_inputs_hold_their_value(tmp_path):
    idle = {"observation": None, "action": None}
    goal = np.array([[1.0, 2.0, 3.0]])
    steps = [
        step(0, inputs={}, **idle),
        step(1, inputs={"goal": goal}),
        step(2, inputs={"goal": goal}, **idle),
        step(3, inputs={"goal": goal + 1}),
    ]
    trace = read_trace(write(tmp_path / "run.mcap", steps))
    np.testing.assert_array_equal(trace.decisions, [1, 3])
    assert trace.observations["angles"].shape == (2, 3, 2)
    np.testing.assert_array_equal(trace.inputs["goal"], [[np.nan] * 3, goal[0], goal[0], goal[0] + 1])


def test_rungs_are_written_when_they_change_or_are_not_pass(tmp_path):
    rungs = [0, 0, 1, 1, 0, 2, 3, 3]
    causes = ["", "", "speed", "speed", "", "no command", "gave up", "gave up"]
    path = write(
        tmp_path / "run.mcap", [step(n, rung=rung, cause=cause) for n, (rung, cause) in enumerate(zip(rungs, causes, strict=True))]
    )
    trace = read_trace(path)
    assert trace.rungs == ("pass", "pass", "clamp", "clamp", "pass", "hold", "stop", "stop")
    assert trace.causes == tuple(causes)
    status = [found.ros_msg.status[0] for found in read_ros2_messages(path, topics="/guard/status")]
    assert [(one.level, one.message) for one in status] == [
        (0, "pass"), (1, "speed"), (1, "speed"), (0, "pass"), (2, "no command"), (2, "gave up"), (2, "gave up"),
    ]  # fmt: skip


def test_missing_command_and_unmeasured_effort_are_empty(tmp_path):
    unmeasured = Measurement(np.zeros(1), JOINTS, np.zeros((1, 2)), np.zeros((1, 2)))
    trace = read_trace(write(tmp_path / "run.mcap", [step(0, measurement=unmeasured, command=None)]))
    assert trace.effort is None
    assert np.isnan(trace.command).all()
    assert not np.isnan(trace.executed).any()


def test_commands_are_bound_by_joint_name(tmp_path):
    swapped = Command("velocity", ("two", "one"), np.array([[2.0, 1.0]]))
    trace = read_trace(write(tmp_path / "run.mcap", [step(0, executed=swapped)]))
    np.testing.assert_array_equal(trace.executed, [[1.0, 2.0]])


def test_contract_and_metadata_travel_inside(tmp_path):
    with TraceWriter(tmp_path / "run.mcap", CONTRACT, {"plant": "mujoco", "seed": "7"}) as writer:
        writer.record(step(0))
        writer.conclude({"success": "true"})
    trace = read_trace(tmp_path / "run.mcap")
    assert trace.contract.digest() == CONTRACT.digest()
    assert trace.metadata == {"plant": "mujoco", "seed": "7", "success": "true"}


def test_a_plain_reader_finds_standard_messages(tmp_path):
    path = write(tmp_path / "run.mcap", [step(0), step(1)])
    found = {message.channel.topic: message for message in read_ros2_messages(path)}  # the newest of each topic
    types = {topic: message.schema.name for topic, message in found.items()}
    assert types == {
        "/joint_states": "sensor_msgs/msg/JointState",
        "/poses/tool": "geometry_msgs/msg/PoseStamped",
        "/twists/tool": "geometry_msgs/msg/TwistStamped",
        "/wrenches/sensor": "geometry_msgs/msg/WrenchStamped",
        "/camera/wrist/image_raw": "sensor_msgs/msg/Image",
        "/guard/command": "sensor_msgs/msg/JointState",
        "/guard/executed": "sensor_msgs/msg/JointState",
        "/guard/status": "diagnostic_msgs/msg/DiagnosticArray",
        "/policy/input/goal": "geometry_msgs/msg/PointStamped",
        "/policy/input/weight": "std_msgs/msg/Float64MultiArray",
        "/policy/observation/angles": "std_msgs/msg/Float64MultiArray",
        "/policy/observation/speeds": "std_msgs/msg/Float64MultiArray",
        "/policy/action": "std_msgs/msg/Float64MultiArray",
    }
    executed = found["/guard/executed"].ros_msg
    assert executed.header.frame_id == f"{CONTRACT.digest()[:12]}:1"
    assert (executed.position, executed.velocity, executed.effort) == ([], [11.0, 12.0], [])
    assert found["/joint_states"].log_time_ns == 50_000_000
    assert [(axis.label, axis.size, axis.stride) for axis in found["/policy/observation/angles"].ros_msg.layout.dim] == [
        ("history", 3, 6),
        ("elements", 2, 2),
    ]


def plain(value):
    """Nested lists of numbers and strings of a decoded message; ROS has bytes for `byte` and its own array types."""
    fields = getattr(value, "get_fields_and_field_types", lambda: getattr(value, "__slots__", ()))()
    if fields:
        return [plain(getattr(value, name)) for name in fields]
    if isinstance(value, bytes) and len(value) == 1:
        return value[0]
    return [plain(item) for item in value] if isinstance(value, (list, tuple, bytes, memoryview, array.array, np.ndarray)) else value


def test_ros_itself_understands_the_bytes(tmp_path):
    serialization = pytest.importorskip("rclpy.serialization")
    path = write(tmp_path / "run.mcap", [step(0), step(1, rung=1, cause="too fast", command=None)])
    seen = set()
    with path.open("rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        for schema, channel, message, decoded in reader.iter_decoded_messages():
            package, _, kind = schema.name.split("/")
            message_class = getattr(importlib.import_module(f"{package}.msg"), kind)
            assert plain(serialization.deserialize_message(message.data, message_class)) == plain(decoded), channel.topic
            seen.add(kind)
    assert seen == {name.split("/")[-1] for name in SCHEMAS}


@files
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_cut_off_file_is_readable_as_far_as_it_goes(tmp_path, part):
    steps = [step(number, np.random.default_rng(number).normal(size=12)) for number in range(150)]
    path = tmp_path / "run.mcap"
    if not path.exists():
        write(path, steps)
    content = path.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(content[: int(part * len(content))])
    trace = trace_or_refusal(cut)
    if isinstance(trace, ValueError):
        assert re.search(r"cut\.mcap (does not begin with the metadata|is not a readable MCAP)", str(trace))
        assert len(cut.read_bytes()) < 10_000  # before the first period
        return
    assert not trace.complete
    np.testing.assert_array_equal(trace.position.reshape(-1, 2), np.concatenate([one.measurement.position for one in steps])[: len(trace)])
    assert not np.isnan(trace.executed).any()


def test_a_killed_writer_loses_only_the_open_chunk(tmp_path):
    writer = TraceWriter(tmp_path / "run.mcap", CONTRACT, {})
    for number in range(200):
        writer.record(step(number, np.random.default_rng(number).normal(size=12)))
    shutil.copy(tmp_path / "run.mcap", tmp_path / "killed.mcap")  # what the operating system has when the process dies here
    writer.close()
    trace = read_trace(tmp_path / "killed.mcap")
    assert not trace.complete
    assert 100 < len(trace) < 200
    assert len(read_trace(tmp_path / "run.mcap")) == 200


def test_an_episode_that_ends_in_an_exception_is_complete(tmp_path):
    def episode():
        with TraceWriter(tmp_path / "run.mcap", CONTRACT, {}) as writer:
            writer.record(step(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        episode()
    assert read_trace(tmp_path / "run.mcap").complete


def test_an_empty_episode_has_no_periods(tmp_path):
    trace = read_trace(write(tmp_path / "run.mcap", []))
    assert len(trace) == 0
    assert trace.command.shape == (0, 2)


def test_row_of_cuts_one_row_out_of_a_batch():
    batch = Measurement(
        np.arange(3.0), JOINTS, np.arange(6.0).reshape(3, 2), np.zeros((3, 2)), poses={"tool": np.arange(21.0).reshape(3, 7)}
    )
    row = row_of(batch, 2)
    assert row.batch == 1
    np.testing.assert_array_equal(row.position, [[4, 5]])
    np.testing.assert_array_equal(row.poses["tool"], [np.arange(14, 21)])
    np.testing.assert_array_equal(row_of(Command("velocity", JOINTS, batch.position), 1).values, [[2, 3]])
    np.testing.assert_array_equal(row_of({"goal": batch.position}, 0)["goal"], [[0, 1]])


def test_refusals_name_the_bad_value(tmp_path):
    path = tmp_path / "run.mcap"
    batch = Measurement(np.zeros(2), JOINTS, np.zeros((2, 2)), np.zeros((2, 2)))
    backwards = Measurement(np.array([-1.0]), JOINTS, np.zeros((1, 2)), np.zeros((1, 2)))
    with TraceWriter(path, CONTRACT, {}) as writer:
        with pytest.raises(ValueError, match="a trace holds one row, the measurement has 2; take one with row_of"):
            writer.record(step(0, measurement=batch))
        with pytest.raises(ValueError, match=r"stamp must be from 0 s to 2147483648 s, got -1.0 s"):
            writer.record(step(0, measurement=backwards))
        writer.record(step(0))
    changed = tmp_path / "changed.mcap"
    changed.write_bytes(path.read_bytes().replace(b'"horizon":2', b'"horizon":3'))
    with pytest.raises(ValueError, match="the contract does not have the digest that stands beside it"):
        read_trace(changed)
    changed.write_bytes(b"no such thing" * 10)
    with pytest.raises(ValueError, match="not a readable MCAP file: not a valid MCAP file, invalid magic"):
        read_trace(changed)


@files
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_damaged_file_is_refused_or_the_damage_is_harmless(tmp_path, place, bit):
    steps = [step(number, np.random.default_rng(number).normal(size=12)) for number in range(50)]
    path = tmp_path / "run.mcap"
    if not path.exists():
        write(path, steps)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    damaged = tmp_path / "damaged.mcap"
    damaged.write_bytes(content)
    trace = trace_or_refusal(damaged)
    if isinstance(trace, ValueError):
        assert "damaged.mcap" in str(trace)
    elif trace.complete:
        np.testing.assert_array_equal(trace.position, np.concatenate([one.measurement.position for one in steps]))


def test_mcap_is_loaded_only_when_used():
    code = "import isthmus.trace, isthmus.replay, sys; assert not [name for name in sys.modules if name.startswith('mcap')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_person_asked_for_is_marked(tmp_path):
    steps = [step(number, corrected=number in (1, 2)) for number in range(4)]
    trace = read_trace(write(tmp_path / "run.mcap", steps))
    assert trace.corrected.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(trace.command, np.concatenate([one.command.values for one in steps]))
    assert set(trace.observations) == {"angles", "speeds"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_file_whose_footer_is_interrupted_is_removed(tmp_path, monkeypatch, error):
    path = tmp_path / "half.mcap"
    writer = TraceWriter(path, CONTRACT, {})

    def finish():
        raise error

    writer.record(step(0))
    monkeypatch.setattr(writer._writer, "finish", finish)
    with pytest.raises(error), writer:
        pass
    assert not list(tmp_path.iterdir())
