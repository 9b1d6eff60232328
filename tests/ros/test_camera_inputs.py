"""Which pictures a policy may see: their form, freshness, rate and calibration, without nodes."""

import dataclasses
import json
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("cv2")

import cv2
from builtin_interfaces.msg import Time
from ros_policies import seeing
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from isthmus.cadence import Cadence
from isthmus.records import Measurement
from isthmus.robot import Camera, RosCamera, load_robot
from isthmus.signals import CameraSpec
from isthmus_ros.policy.camera_inputs import CameraInputs
from isthmus_ros.policy.reports import cadence_report
from isthmus_ros.recording.recorded import recorded_topics
from isthmus_ros.robot_sim.cameras import camera_information, compressed_message, image_message
from isthmus_sim.tasks import get_task

BLIND = get_task("reach").contract
CONTRACT = seeing(BLIND).contract
ROBOT = load_robot("ur5e")
PERIOD = 0.05  # s between two pictures of the tests below
PATIENCE = 0.5


class FakeNode:
    """Keeps what subscribes; its clock is that of the cameras."""

    def __init__(self, clock):
        self.received, self.clock = {}, clock

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.clock()))

    def create_subscription(self, kind, topic, callback, quality):
        assert kind is (CameraInfo if topic.endswith("/camera_info") else CompressedImage if topic.endswith("/compressed") else Image)
        self.received[topic] = callback
        return topic

    def destroy_subscription(self, topic):
        del self.received[topic]


class Seen:
    """CameraInputs with a clock that the test turns."""

    def __init__(self, monkeypatch, robot=ROBOT, contract=CONTRACT, namespace="/", **options):
        self.now, self.stamp, self.late, self.camera = 100.0, 0, 0.0, robot.cameras[0]
        monkeypatch.setattr("isthmus_ros.policy.camera_inputs.steady", lambda: self.now)
        self.node = FakeNode(lambda: self.stamp + round(1e9 * self.late))
        self.inputs = CameraInputs(self.node, contract, robot, namespace, PATIENCE, **options)

    def picture(self, value, encoding="rgb8", shape=(84, 84), *, new=True, topic="/wrist/image_raw"):
        self.stamp += new
        pixels = np.full((*shape, {"mono8": 1}.get(encoding, 3)), value, dtype=np.uint8)
        self.node.received[topic](image_message(self.camera, self.stamp, pixels, encoding))

    def fault(self, moved=0.0):
        measurement = Measurement(np.ones(1), ROBOT.joint_names, ROBOT.home[None] + moved, np.zeros((1, 6)))
        return self.inputs.fault(measurement)


def test_a_picture_is_what_the_camera_took(monkeypatch):
    seen = Seen(monkeypatch)
    assert seen.inputs.images() == {}
    assert seen.inputs.problems() == ["no picture was received on /wrist/image_raw"]
    seen.picture(7)
    assert seen.inputs.problems() == []
    assert (seen.inputs.images()["wrist"] == np.full((1, 84, 84, 3), 7)).all()
    seen.inputs.close()
    assert not seen.node.received


@pytest.mark.parametrize(
    ("encoding", "shape", "sentence"),
    [
        ("bgr8", (84, 84), "84 × 84 bgr8"),
        ("rgba8", (84, 84), "84 × 84 rgba8"),
        ("mono8", (84, 84), "84 × 84 mono8"),
        ("mono16", (84, 84), "84 × 84 mono16"),
        ("rgb8", (42, 84), "42 × 84 rgb8"),
    ],
)
def test_pictures_of_another_form_are_refused_and_never_seen(encoding, shape, sentence, monkeypatch):
    seen = Seen(monkeypatch)
    seen.picture(7, encoding, shape)
    wrong = f"pictures on /wrist/image_raw are {sentence}, they must be 84 × 84 rgb8"
    assert seen.inputs.problems() == [wrong]
    assert seen.inputs.images() == {}
    seen.picture(8)
    assert seen.inputs.problems() == []
    seen.picture(9, encoding, shape)
    assert seen.fault() == wrong
    assert (seen.inputs.images()["wrist"] == 8).all()


def test_a_camera_may_be_silent_for_a_while(monkeypatch):
    seen = Seen(monkeypatch)
    seen.picture(7)
    seen.now += 0.9 * PATIENCE
    assert seen.fault() == ""
    seen.now += 0.2 * PATIENCE
    assert seen.fault() == "the last picture on /wrist/image_raw came 0.55 s ago, 0.5 s are allowed"
    seen.picture(9, new=False)  # the stamp has not advanced
    assert "came 0.55 s ago" in seen.fault()
    seen.picture(9)
    assert seen.fault() == ""


@pytest.mark.parametrize("latency", [0.0, 0.2])
def test_a_picture_that_is_older_than_the_camera_takes_to_send_it_is_refused(latency, monkeypatch):
    spec = dataclasses.replace(ROBOT.cameras[0].spec, latency=latency)
    robot = dataclasses.replace(ROBOT, cameras=(dataclasses.replace(ROBOT.cameras[0], spec=spec), *ROBOT.cameras[1:]))
    seen = Seen(monkeypatch, robot)
    seen.late = 0.9 * (PATIENCE + latency)
    seen.picture(7)
    assert seen.inputs.problems() == []
    assert seen.fault() == ""
    seen.late = 1.1 * (PATIENCE + latency)
    seen.picture(8)
    old = f"the picture on /wrist/image_raw was {seen.late:.3f} s old when it arrived, {PATIENCE + latency:.3f} s are allowed"
    assert seen.inputs.problems() == [old]
    assert seen.fault() == old
    seen.late = -1.0
    seen.picture(9)
    assert "is stamped 1.000 s ahead of this node's clock" in seen.fault()
    seen.late = 0.0
    seen.picture(10)
    assert seen.fault() == ""
    assert list(seen.inputs.ages) == pytest.approx([0.9 * (PATIENCE + latency), 1.1 * (PATIENCE + latency), -1.0, 0.0])


def test_the_cadence_report_tells_how_old_pictures_were_at_the_decisions(monkeypatch):
    seen = Seen(monkeypatch)
    seen.late = 0.02
    seen.picture(7)
    seen.now += 0.03  # until the decision
    seen.fault()
    motion = SimpleNamespace(state="run", runner=SimpleNamespace(cadence=Cadence(PERIOD, realtime=True)))
    bound = SimpleNamespace(cameras=seen.inputs, setup=SimpleNamespace(digest="0123", robot=ROBOT))
    (status,) = cadence_report(motion, bound, "policy_node", Time()).status
    told = {pair.key: pair.value for pair in status.values}
    assert json.loads(told["cadence"])["picture_age_ms"]["p50"] == pytest.approx(50.0)
    assert float(told["picture_age_ms.p99"]) == pytest.approx(50.0)
    bound.cameras = None
    (status,) = cadence_report(motion, bound, "policy_node", Time()).status
    assert not any("picture_age_ms" in pair.key + pair.value for pair in status.values)


def test_the_stamps_of_a_camera_with_a_clock_of_its_own_are_not_judged(monkeypatch):
    seen = Seen(monkeypatch, stamp_check="relative")
    seen.late = 3600.0
    seen.picture(7)
    assert seen.inputs.problems() == []
    assert seen.fault() == ""


def test_the_same_picture_is_frozen_only_once_the_robot_has_moved(monkeypatch):
    seen = Seen(monkeypatch)
    for _ in range(40):  # two seconds at rest
        seen.picture(7)
        assert seen.fault() == ""
        seen.now += PERIOD
    seen.picture(7)
    assert seen.fault(moved=0.5 * ROBOT.monitors.frozen_travel) == ""
    assert "have been the same for 2.00 s, though the robot has moved by 0.060 rad" in seen.fault(moved=2 * ROBOT.monitors.frozen_travel)
    seen.picture(8)
    assert seen.fault(moved=2 * ROBOT.monitors.frozen_travel) == ""


def test_a_robot_that_moves_under_a_live_camera_is_no_fault(monkeypatch):
    seen = Seen(monkeypatch)
    for step in range(60):
        seen.picture(step)
        assert seen.fault(moved=0.1 * step) == ""
        seen.now += PERIOD


def test_the_profile_tells_topic_size_and_encoding_of_raw_pictures(monkeypatch):
    raw = RosCamera("camera/color/image", 168, 168, "bgr8")
    robot = dataclasses.replace(ROBOT, ros=dataclasses.replace(ROBOT.ros, cameras={"wrist": raw}))
    seen = Seen(monkeypatch, robot, namespace="/arm")
    pixels = np.zeros((168, 168, 3), dtype=np.uint8)
    pixels[..., 0] = 200  # blue
    seen.node.received["/arm/camera/color/image"](image_message(seen.camera, 1, pixels, "bgr8"))
    assert seen.inputs.problems() == []
    assert seen.inputs.images()["wrist"][0, 0, 0].tolist() == [0, 0, 200]


def test_a_robot_whose_camera_gives_other_pictures_than_in_training_is_refused(monkeypatch):
    camera = dataclasses.replace(ROBOT.cameras[0], spec=CameraSpec(60, 80))
    with pytest.raises(ValueError, match=r"camera 'wrist' of the robot gives 60 × 80 rgb8, the policy needs 84 × 84 rgb8"):
        Seen(monkeypatch, dataclasses.replace(ROBOT, cameras=(camera,)))


def test_a_grey_camera_is_refused_by_a_policy_that_saw_colours(monkeypatch):
    robot = dataclasses.replace(ROBOT, ros=dataclasses.replace(ROBOT.ros, cameras={"wrist": RosCamera(encoding="mono8")}))
    with pytest.raises(
        ValueError, match=r"^camera 'wrist' of the robot sends mono8, which has no colours; the policy was trained with rgb8$"
    ):
        Seen(monkeypatch, robot)


def test_a_crop_needs_the_size_of_raw_pictures(monkeypatch):
    spec = CameraSpec(84, 84, crop=(10, 10, 100, 100))
    camera: Camera = dataclasses.replace(ROBOT.cameras[0], spec=spec)
    with pytest.raises(ValueError, match=r"camera 'wrist': crop .* leaves the raw picture .*ros.cameras in the robot's profile"):
        Seen(monkeypatch, dataclasses.replace(ROBOT, cameras=(camera,)))


def test_a_profile_cannot_describe_a_camera_that_the_robot_does_not_have():
    with pytest.raises(ValueError, match=r"ros.cameras names camera 'wirst'; did you mean 'wrist'"):
        dataclasses.replace(ROBOT, ros=dataclasses.replace(ROBOT.ros, cameras={"wirst": RosCamera()}))


COMPRESSED = dataclasses.replace(ROBOT, ros=dataclasses.replace(ROBOT.ros, cameras={"wrist": RosCamera("wrist/image_raw/compressed")}))


def compressed(seen, pixels, format="rgb8; png compressed bgr8", kind=".png"):
    """A CompressedImage of BGR pixels, as OpenCV writes it."""
    received(seen, cv2.imencode(kind, pixels)[1].tobytes(), format)


def received(seen, content, format="rgb8; png compressed bgr8"):
    """A CompressedImage with this content."""
    seen.stamp += 1
    message = CompressedImage(format=format)
    message.header.stamp.nanosec = seen.stamp
    message.data.frombytes(content)
    seen.node.received["/wrist/image_raw/compressed"](message)


def blue(shape=(84, 84)):
    pixels = np.zeros((*shape, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    return pixels


@pytest.mark.parametrize(("kind", "format"), [(".png", "rgb8; png compressed bgr8"), (".png", "png"), (".jpg", "jpeg")])
def test_a_compressed_picture_is_what_the_camera_took(kind, format, monkeypatch):
    seen = Seen(monkeypatch, COMPRESSED)
    compressed(seen, blue(), format, kind)
    assert seen.inputs.problems() == []
    np.testing.assert_allclose(seen.inputs.images()["wrist"][0, 40, 40], [0, 0, 200], atol=0 if kind == ".png" else 3)


def test_what_the_simulated_robot_compresses_comes_out_unchanged(monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (84, 84, 3), dtype=np.uint8)
    seen = Seen(monkeypatch, COMPRESSED)
    seen.node.received["/wrist/image_raw/compressed"](compressed_message(seen.camera, 1, picture, "rgb8"))
    assert seen.inputs.problems() == []
    np.testing.assert_array_equal(seen.inputs.images()["wrist"][0], picture)


@pytest.mark.parametrize(
    ("pixels", "format", "sentence"),
    [
        (blue((42, 84)), "png", "are 42 × 84 rgb8, they must be 84 × 84 rgb8"),
        (blue()[..., 0], "png", "are 84 × 84 mono8, they must be 84 × 84 rgb8"),
        (blue(), "yuv422; png compressed bgr8", "are 84 × 84 yuv422, they must be 84 × 84 rgb8"),
        (blue(), "rgb8; png compressed rgb8", "are stored as rgb8 (rgb8; png compressed rgb8), they must be stored as bgr8"),
        (blue().astype(np.uint16), "png", "cannot be read: a compressed picture must have 8 bits per channel, got 16"),
    ],
)
def test_compressed_pictures_of_another_form_are_refused_and_never_seen(pixels, format, sentence, monkeypatch):
    seen = Seen(monkeypatch, COMPRESSED)
    compressed(seen, pixels, format)
    (problem,) = seen.inputs.problems()
    assert sentence in problem
    assert seen.fault() == problem
    assert seen.inputs.images() == {}


def test_bytes_that_are_no_picture_are_refused(monkeypatch):
    seen = Seen(monkeypatch, COMPRESSED)
    for content in (b"", b"no picture"):
        received(seen, content, "jpeg")
        assert f"cannot be read: {len(content)} bytes are no picture" in seen.inputs.problems()[0]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows, columns, pixels=b""):
    """A PNG with this size in its header, whatever is behind it."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def jpeg(rows, columns):
    """A JPEG whose header tells another size than its pixels have."""
    content = bytearray(cv2.imencode(".jpg", blue())[1].tobytes())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", rows, columns)
    return bytes(content)


def refuse(*arguments):
    raise cv2.error("out of memory")


def test_a_huge_picture_is_refused_by_its_header_alone_and_does_not_make_an_old_one_new(monkeypatch):
    seen = Seen(monkeypatch, COMPRESSED)
    compressed(seen, blue())
    assert seen.inputs.problems() == []
    monkeypatch.setattr(cv2, "imdecode", refuse)
    for content in (png(60000, 60000), jpeg(60000, 60000)):
        received(seen, content)
        for _ in range(3):
            assert seen.inputs.problems() == ["pictures on /wrist/image_raw/compressed are 60000 × 60000 rgb8, they must be 84 × 84 rgb8"]
            assert "60000 × 60000" in seen.fault()


@pytest.mark.parametrize("broken", ["decoder", "pipeline"])
def test_whatever_a_picture_breaks_is_a_problem_at_every_look_until_a_better_one_comes(broken, monkeypatch):
    seen = Seen(monkeypatch, COMPRESSED)
    compressed(seen, blue())
    assert seen.inputs.problems() == []
    with monkeypatch.context() as patch:
        patch.setattr(cv2, *{"decoder": ("imdecode", refuse), "pipeline": ("cvtColor", refuse)}[broken])
        compressed(seen, blue() + 1)
        for _ in range(3):
            (problem,) = seen.inputs.problems()
            assert "out of memory" in problem
            assert seen.fault() == problem
    compressed(seen, blue() + 2)
    assert seen.inputs.problems() == []


def test_a_recording_of_compressed_pictures_has_their_type_and_calibration():
    topics = {topic.name: topic.kind for topic in recorded_topics(COMPRESSED, CONTRACT, "/", clock=False)}
    assert topics["/wrist/image_raw/compressed"] is CompressedImage
    assert topics["/wrist/camera_info"] is CameraInfo
    assert "/wrist/image_raw" not in topics


def test_a_calibration_that_nothing_can_be_compared_with_ends_nothing(monkeypatch):
    """On 8ed61cf the first camera_info ended policy_node."""
    camera = dataclasses.replace(ROBOT.cameras[0], spec=dataclasses.replace(ROBOT.cameras[0].spec, crop=(10, 10, 64, 64), intrinsics=None))
    robot = dataclasses.replace(
        ROBOT, cameras=(camera,), ros=dataclasses.replace(ROBOT.ros, cameras={camera.name: RosCamera(height=84, width=84)})
    )
    seen = Seen(monkeypatch, robot)
    seen.picture(7)
    seen.node.received["/wrist/camera_info"](camera_information(ROBOT.cameras[0], 1))
    assert seen.inputs.problems() == []


def test_a_camera_with_another_calibration_than_in_training_is_refused(monkeypatch):
    seen = Seen(monkeypatch)
    seen.picture(7)
    seen.node.received["/wrist/camera_info"](camera_information(seen.camera, 1))
    assert seen.inputs.problems() == []
    other = dataclasses.replace(seen.camera, field_of_view=1.1 * seen.camera.field_of_view)
    seen.node.received["/wrist/camera_info"](camera_information(other, 1))
    (problem,) = seen.inputs.problems()
    assert problem.startswith("/wrist/camera_info has fx, fy, cx, cy = ")
    assert "px, they must be" in problem
    seen.node.received["/wrist/camera_info"](CameraInfo(height=84, width=84))  # a driver without a calibration
    assert seen.inputs.problems() == []
    larger = camera_information(seen.camera, 1)
    larger.height = larger.width = 168
    seen.node.received["/wrist/camera_info"](larger)
    assert seen.inputs.problems() == ["/wrist/camera_info is of pictures of 168 × 168, they must be 84 × 84"]


def test_distortion_that_the_profile_does_not_correct_is_refused(monkeypatch):
    spec = CameraSpec(84, 84, intrinsics=(90.0, 90.0, 41.5, 41.5), distortion=(0.1, -0.2, 0.0, 0.0, 0.0), crop=(0, 0, 84, 84))
    camera = dataclasses.replace(ROBOT.cameras[0], spec=spec)
    seen = Seen(monkeypatch, dataclasses.replace(ROBOT, cameras=(camera, *ROBOT.cameras[1:])))
    seen.picture(7)
    message = CameraInfo(height=84, width=84, d=[0.1, -0.2, 0.0, 0.0, 0.0], k=[90.0, 0.0, 41.5, 0.0, 90.0, 41.5, 0.0, 0.0, 1.0])
    seen.node.received["/wrist/camera_info"](message)
    assert seen.inputs.problems() == []
    message.d = [0.3, -0.2, 0.0, 0.0, 0.0]
    seen.node.received["/wrist/camera_info"](message)
    assert "has distortion [0.3, -0.2, 0.0, 0.0, 0.0], it must be [0.1, -0.2" in seen.inputs.problems()[0]


def test_a_robot_that_sees_with_other_intrinsics_than_in_training_is_refused(monkeypatch):
    def seeing_with(focal):
        spec = CameraSpec(84, 84, intrinsics=(focal, focal, 41.5, 41.5), crop=(0, 0, 84, 84))
        return spec, dataclasses.replace(ROBOT, cameras=(dataclasses.replace(ROBOT.cameras[0], spec=spec), *ROBOT.cameras[1:]))

    spec, _ = seeing_with(90.0)
    signals = [dataclasses.replace(signal, camera=spec) if signal.camera else signal for signal in CONTRACT.observation]
    contract = dataclasses.replace(CONTRACT, observation=tuple(signals))
    Seen(monkeypatch, seeing_with(91.0)[1], contract)
    with pytest.raises(ValueError, match=r"camera 'wrist' of the robot has fx, fy, cx, cy = 120.0.*they must be 90.0"):
        Seen(monkeypatch, seeing_with(120.0)[1], contract)


@pytest.mark.parametrize(("milliseconds", "refused"), [(25, False), (50, False), (100, True)])
def test_a_camera_that_is_slower_than_the_stack_of_pictures_is_refused(milliseconds, refused, monkeypatch):
    signals = [dataclasses.replace(signal, history=3) if signal.camera else signal for signal in CONTRACT.observation]
    stacked = dataclasses.replace(CONTRACT, observation=tuple(signals))
    assert stacked.control_period == 0.05
    seen = Seen(monkeypatch, contract=stacked)
    seen.picture(7)
    assert "1 pictures in a row were received on /wrist/image_raw" in seen.inputs.problems()[0]
    for value in range(12):
        seen.stamp += milliseconds * 10**6 - 1
        seen.picture(value)
    slow = ["pictures on /wrist/image_raw come at 10.0 Hz, the policy needs a new one at 20.0 Hz"]
    assert seen.inputs.problems() == (slow if refused else [])
