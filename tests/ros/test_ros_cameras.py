"""A policy that sees, over real topics: its pictures are those that the robot takes, and a camera that shows nothing new ends the motion."""

import shutil
import time
from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("cv2")

from ros_bench import Late, bench
from ros_policies import resolved_rate, seeing
from sensor_msgs.msg import CompressedImage, Image, JointState

from isthmus.robot import load_robot
from isthmus.trace import read_trace
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.robot_sim.cameras import compressed_message
from isthmus_sim.tasks import get_task

BLIND = get_task("reach").contract
CONTRACT = seeing(BLIND).contract
ROBOT = load_robot("ur5e")
GOAL = [0.3, -0.3, 0.3]
PATIENCE = 0.5


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    seeing(BLIND).save(path)
    return path


SIMULATOR = {"camera_rate": 10.0}


def brought_up(nodes):
    assert nodes.configure()
    nodes.activate()
    nodes.reach_for(CONTRACT, GOAL)
    nodes.arm()


def begin(nodes, seconds=10.0):
    """Start; tried again until the first picture has come."""
    refusals = []

    def started():
        try:
            return bool(nodes.link.trigger("policy/start"))
        except RosError as error:
            refusals.append(str(error))
            return False

    nodes.wait(started, f"start, refused with {refusals}", seconds)


@pytest.mark.ros
@pytest.mark.parametrize("fault", ["freeze_images:=true", "silent_cameras:=true"])
def test_a_camera_that_freezes_or_falls_silent_in_motion_is_a_hold_and_then_a_stop(fault, policy):
    """Rows 62 and 63."""
    with bench(policy, clock="wall", simulator=SIMULATOR, camera_timeout=PATIENCE) as nodes:
        brought_up(nodes)
        begin(nodes)
        nodes.in_motion(0.2)
        nodes.link.spin(PATIENCE)
        nodes.punctual()
        if nodes.link.status["rung"] not in ("pass", "clamp"):  # pictures that this computer draws too slowly are a fault too
            raise Late
        nodes.fault(fault)
        rungs, causes = [], []

        def note():
            rungs.append(nodes.link.status["rung"])
            causes.append(nodes.link.status.get("withheld", ""))
            return rungs[-1] == "stop" and nodes.link.status["policy"] == "idle"

        nodes.wait(note, "a stop")
        assert "hold" in rungs, rungs
        assert rungs.index("hold") < rungs.index("stop")
        assert any("/wrist/image_raw" in cause for cause in causes), set(causes)
        assert nodes.speed < ROBOT.monitors.standstill
        nodes.fault()
        with pytest.raises(RosError, match=r"stopped|not armed"):  # latched, though pictures come again
            nodes.link.trigger("policy/start")


@pytest.mark.ros
def test_a_camera_that_comes_back_in_time_lets_the_policy_go_on(policy):
    """A hold lasts for 0.5 s, of which five good commands take half."""
    with bench(policy, clock="wall", simulator={"camera_rate": 20.0}, camera_timeout=PATIENCE) as nodes:
        brought_up(nodes)
        begin(nodes)
        nodes.in_motion(0.2)
        nodes.fault("silent_cameras:=true")
        nodes.wait(lambda: nodes.link.status.get("withheld"), "a hold")
        held = time.monotonic()
        nodes.fault()
        if time.monotonic() - held > 0.1:
            raise Late
        over = ("pass", "clamp", "stop")
        nodes.wait(lambda: nodes.link.status["rung"] in over and not nodes.link.status["withheld"], "the end of the hold")
        if nodes.link.status["rung"] == "stop":  # the hold was seen, or the next picture came, too late for half a second
            raise Late
        nodes.link.spin(0.5)
        nodes.punctual()
        assert (nodes.link.status["policy"], nodes.link.status["stop_sequence"]) == ("run", "-1")


@pytest.mark.ros
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("image_scale:=0.5", "pictures on /wrist/image_raw are 42 × 42 rgb8, they must be 84 × 84 rgb8"),
        ("image_bgr:=true", "pictures on /wrist/image_raw are 84 × 84 bgr8, they must be 84 × 84 rgb8"),
        ("silent_cameras:=true", "no picture was received on /wrist/image_raw"),
    ],
)
def test_wrong_pictures_refuse_the_start(fault, sentence, policy):
    """Row 64, and a camera that has never sent anything."""
    with bench(policy, clock="wall", simulator={**SIMULATOR, "fault": [fault]}, camera_timeout=PATIENCE) as nodes:
        asked = []
        nodes.link._node.create_subscription(JointState, "guard/command", asked.append, 100)
        brought_up(nodes)
        nodes.link.spin(1.0)
        nodes.punctual()
        assert sentence in nodes.start_refusal()
        assert not asked
        assert not any(any(message.velocity) for message in nodes.link.executed.values())  # an armed guard sends the robot's rest
        nodes.fault()
        begin(nodes)
        nodes.wait(lambda: asked, "commands")


@pytest.mark.ros
def test_the_policy_sees_what_the_camera_takes(policy, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("trace") / "trace"
    with bench(policy, clock="wall", simulator=SIMULATOR, camera_timeout=PATIENCE, record=str(prefix)) as nodes:
        pictures = []
        nodes.link._node.create_subscription(Image, "/wrist/image_raw", pictures.append, 100)
        brought_up(nodes)
        begin(nodes)
        nodes.in_motion(0.2)
        nodes.link.spin(1.0)
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
    trace = read_trace(prefix.with_name("trace-000.mcap"))
    taken = {bytes(picture.data) for picture in pictures}
    seen = [trace.images["wrist"][step].tobytes() for step in trace.decisions]
    assert len(set(seen) & taken) > 5  # not all: the first was taken before this test listened, and pictures may be lost on the way to it
    decisions = seeing(BLIND).policy()
    for index, step in enumerate(trace.decisions):
        observation = {name: values[index][None] for name, values in trace.observations.items()}
        action = decisions.act({**observation, "wrist": trace.images["wrist"][step][None, None]}).actions[0]
        np.testing.assert_array_equal(action.astype(np.float32), trace.actions[index].astype(np.float32))


@pytest.mark.ros
def test_a_policy_that_sees_is_not_run_in_stepped_time(policy):
    with bench(policy) as nodes:
        assert not nodes.configure()
        assert "a policy that sees needs clock:=wall" in nodes.policy.complaint


def test_the_picture_matters():
    """Else the test above could not fail for a policy that is given another one."""
    policy = seeing(BLIND).policy()
    observation = {signal.name: np.zeros((1, 1, *signal.shape), dtype=signal.dtype) for signal in CONTRACT.observation}
    dark = policy.act(observation).actions
    bright = policy.act({**observation, "wrist": np.full((1, 1, 84, 84, 3), 255, dtype=np.uint8)}).actions
    np.testing.assert_allclose((bright - dark)[0, 0], [0, 0, 0, 0, 0, 0.2], atol=1e-6)
    assert resolved_rate(BLIND).contract.digest() != CONTRACT.digest()


@pytest.mark.ros
def test_a_policy_runs_from_compressed_pictures(policy, tmp_path_factory):
    """What a republisher makes of the camera's pictures, as image_transport does, drives the policy, and silence of it is a hold."""
    robots = tmp_path_factory.mktemp("robots")
    shutil.copytree(files("isthmus") / "robots" / "ur5e", robots / "ur5e")
    profile = robots / "ur5e" / "robot.yaml"
    profile.write_text(profile.read_text().replace("\nros:", "\nros:\n  cameras: {wrist: {topic: wrist/image_raw/compressed}}\n", 1))
    prefix = robots / "trace"
    parameters = {"camera_timeout": PATIENCE, "record": str(prefix), "robots_dir": str(robots)}
    with bench(policy, clock="wall", simulator=SIMULATOR, **parameters) as nodes:
        pictures = []
        publisher = nodes.link._node.create_publisher(CompressedImage, "/wrist/image_raw/compressed", 10)

        def compress(message):
            pixels = np.frombuffer(message.data, dtype=np.uint8).reshape(84, 84, 3)
            packed = compressed_message(ROBOT.cameras[0], 0, pixels, "rgb8")
            packed.header = message.header
            publisher.publish(packed)
            pictures.append(pixels.tobytes())

        nodes.link._node.create_subscription(Image, "/wrist/image_raw", compress, 100)
        brought_up(nodes)
        begin(nodes)
        nodes.in_motion(0.2)
        nodes.link.spin(1.0)
        nodes.punctual()
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
    trace = read_trace(prefix.with_name("trace-000.mcap"))
    seen = {trace.images["wrist"][step].tobytes() for step in trace.decisions}
    assert len(seen & set(pictures)) > 5
    assert seen <= set(pictures)
