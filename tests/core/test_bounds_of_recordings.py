"""A small recording cannot ask for much memory: each one here took gigabytes at commit 0188891, or told the reader what it was not."""

import contextlib
import functools
import itertools
import struct
import zlib

import lz4.frame
import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType, Writer
from sample_contract import make_contract
from small_process import opened

from isthmus import messages
from isthmus.trace import read_trace


@contextlib.contextmanager
def recording(path, compression=CompressionType.ZSTD):
    """A recording that has begun: `write(topic, kind, content, definition)` appends a message."""
    contract = make_contract()
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=10**6, compression=compression)
        writer.start()
        writer.add_metadata("isthmus.contract", {"json": contract.to_json().decode(), "digest": contract.digest()})

        @functools.cache
        def channel(topic, kind, definition):
            return writer.register_channel(topic, "cdr", writer.register_schema(kind, "ros2msg", definition.encode()))

        periods = itertools.count()
        period = 0

        def write(topic, kind, content, definition=None):
            nonlocal period
            if topic == "/joint_states":
                period = next(periods)
            writer.add_message(channel(topic, kind, definition or messages.SCHEMAS[kind]), 0, content, 0, period)

        yield write
        writer.finish()


def serialised(kind, message):
    from mcap_ros2._dynamic import serialize_dynamic

    return serialize_dynamic(kind, messages.SCHEMAS[kind])[kind](message)


STATE = messages.joint_state(messages.header(0), ("elbow_joint",), position=np.zeros((1, 1)))
BLACK = messages.image(messages.header(0), np.zeros((5000, 5000, 1), dtype=np.uint8))
PASS = messages.diagnostics(messages.header(0), 0, "guard", "pass", {"rung": "pass", "cause": ""})


STATES = ("/joint_states", "sensor_msgs/msg/JointState", serialised("sensor_msgs/msg/JointState", STATE))
CAMERA = ("/camera/eye/image_raw", "sensor_msgs/msg/Image", serialised("sensor_msgs/msg/Image", BLACK))
STATUS = ("/guard/status", "diagnostic_msgs/msg/DiagnosticArray", serialised("diagnostic_msgs/msg/DiagnosticArray", PASS))


def test_a_recording_that_unpacks_to_too_much_is_refused(tmp_path):
    with recording(tmp_path / "bomb.mcap") as write:
        for _ in range(80):
            write(*STATES)
            write(*CAMERA)
    assert (tmp_path / "bomb.mcap").stat().st_size < 200_000
    assert "bomb.mcap has 0." in (said := opened(tmp_path / "bomb.mcap"))
    assert "MB and unpacks to more than 5" in said


def test_one_large_message_does_not_make_a_large_array(tmp_path):
    """An array over all periods is as large as its largest message times their number."""
    with recording(tmp_path / "bomb.mcap") as write:
        for number in range(100):
            write(*STATES)
            write(*STATUS)
            if not number:
                write(*CAMERA)
    assert "and unpacks to more than 5" in opened(tmp_path / "bomb.mcap")


def chunk(content, size, compression):
    """A chunk record that says that it has `size` bytes."""
    packed = zstandard.compress(content) if compression == b"zstd" else lz4.frame.compress(content) if compression == b"lz4" else content
    body = struct.pack("<QQQI", 0, 0, size, zlib.crc32(content)) + struct.pack("<I", len(compression)) + compression
    body += struct.pack("<Q", len(packed)) + packed
    return b"\x06" + struct.pack("<Q", len(body)) + body


@pytest.mark.parametrize("compression", [b"zstd", b"lz4", b""])
@pytest.mark.parametrize("complete", [True, False])
def test_a_chunk_that_lies_about_its_size_is_refused(tmp_path, compression, complete):
    path = tmp_path / "bomb.mcap"
    with recording(path):
        pass
    whole = path.read_bytes()
    message = b"\x05" + struct.pack("<Q", 900 * 10**6) + bytes(900 * 10**6) if compression else bytes(2000)
    end = whole.index(b"\x0f" + struct.pack("<Q", 4))  # the end of the data
    path.write_bytes(whole[:end] + chunk(message, 1000, compression) + (whole[end:] if complete else b""))
    said = opened(path)
    assert ("a chunk does not have the 1000 bytes that it says it has" in said) if complete else (said == "read 0\n")
    path.write_bytes(whole[:end] + chunk(message, 900 * 10**6, compression) + whole[end:])
    assert "has a chunk that unpacks to 900 MB; at most 128 MB are read at once" in opened(path)


def test_what_other_writers_compress_is_read(tmp_path):
    for compression in (CompressionType.LZ4, CompressionType.NONE):
        with recording(tmp_path / "run.mcap", compression) as write:
            write(*STATES)
            write(*STATUS)
        assert opened(tmp_path / "run.mcap") == "read 1\n"


def test_definitions_in_a_recording_do_not_count(tmp_path):
    """A type without fields takes no bytes, so four of them can stand for any number."""
    endless = f"Nothing[] layout\n{'=' * 80}\nMSG: std_msgs/Nothing\nuint8[0] nothing"
    with recording(tmp_path / "bomb.mcap") as write:
        write("/policy/action", "std_msgs/msg/Float64MultiArray", b"\0\1\0\0" + struct.pack("<I", 10**8), endless)
    assert "a message of /policy/action cannot be read" in opened(tmp_path / "bomb.mcap")


def test_a_message_of_many_small_parts_is_refused(tmp_path):
    with recording(tmp_path / "bomb.mcap") as write:
        write(*STATES[:2], serialised(STATES[1], STATE | {"name": [""] * 10**6}))
    assert "a message of /joint_states has 8000044 bytes; at most 4000000 are allowed" in opened(tmp_path / "bomb.mcap")


def test_a_recording_without_a_status_is_refused(tmp_path):
    with recording(tmp_path / "run.mcap") as write:
        write(*STATES)
    assert "run.mcap was not written by isthmus: it does not begin with a message of /guard/status" in opened(tmp_path / "run.mcap")


def array(*shape):
    """A message of numbers."""
    kind = "std_msgs/msg/Float64MultiArray"
    return kind, serialised(kind, messages.multi_array(np.zeros(shape), *"abc"[: len(shape)]))


def status(**values):
    """What a guard says."""
    return STATUS[0], STATUS[1], serialised(STATUS[1], messages.diagnostics(messages.header(0), 0, "guard", "pass", values))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ([STATES, status(cause="")], "a message of /guard/status cannot be read: 'rung'"),
        ([STATES, status(rung="pass")], "a message of /guard/status cannot be read: 'cause'"),
        ([STATES, status(rung="\x1b[2J", cause="")], "a message of /guard/status cannot be read"),
        ([STATES, STATUS, ("/camera/eye/image_raw", *array(1, 1))], "a message of /camera/eye/image_raw cannot be read"),
        ([STATES, STATUS, ("/policy/observation/nothing", *array(1, 1))], "was not written by isthmus: unknown signal 'nothing'"),
        (
            [STATES, STATUS, ("/policy/action", *array(1, 6)), STATES, STATUS, ("/policy/action", *array(2, 6))],
            "was not written by isthmus: could not broadcast",
        ),
        ([("/joint_states", *array(1, 1)), STATUS], "a message of /joint_states cannot be read"),
        ([("/joint_states", "my/msg/Other", b"", "uint8 nothing"), STATES, STATUS], "a message of /joint_states is of another type"),
    ],
)
def test_what_isthmus_did_not_write_is_refused_in_one_sentence(tmp_path, written, sentence):
    """Some of it raised KeyError or TypeError."""
    with recording(tmp_path / "run.mcap") as write:
        for message in written:
            write(*message)
    with pytest.raises(ValueError, match=r"run\.mcap") as refusal:
        read_trace(tmp_path / "run.mcap")
    assert sentence in str(refusal.value)
