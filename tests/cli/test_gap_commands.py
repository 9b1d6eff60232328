"""`isthmus gap`, `replay`, `motions`, `doctor --log` and `--cadence`, as they are typed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from mcap_ros2.writer import Writer

from isthmus import messages
from isthmus.trace import read_trace
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence.gap.planted import record_episodes
from isthmus_sim.identification.bag_commands import ARRAY, DEFINITIONS
from isthmus_sim.tasks import get_task

TASK = replace(get_task("reach"), episode_steps=15)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A policy file, and recordings of it with and without a fault of what it sees."""
    root = tmp_path_factory.mktemp("gap")
    artifact = scripted_artifact(TASK.contract)
    artifact.save(root / "reach.isthmus")
    record_episodes(TASK, artifact.policy(), "mujoco", range(2), root / "clean")
    record_episodes(TASK, artifact.policy(), "mujoco", range(2), root / "stale", "stale history")
    return root


def test_gap_writes_a_page_and_names_what_was_done_to_observations(isthmus, files, tmp_path):
    code, out, _ = isthmus("gap", files / "clean", files / "stale", "--policy", files / "reach.isthmus", "--out", tmp_path)
    assert code == 0
    assert "stale history" in out
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stale history" in page
    assert json.loads((tmp_path / "gap.json").read_text(encoding="utf-8"))["causes"][0]["cause"] == "stale history"


def test_doctor_names_the_first_period_that_differs(isthmus, files):
    code, out, _ = isthmus("doctor", files / "reach.isthmus", "--log", files / "stale")
    assert code == 1
    assert "observation joint_position: differs first in mujoco-000000, control period 1: " in out
    assert "stale history" in out


def test_doctor_wants_a_policy_for_a_log(isthmus, files):
    code, _, err = isthmus("doctor", "--log", files / "clean")
    assert (code, err) == (2, "isthmus: --log goes with a policy file, which it is compared with\n")


def test_replay_has_the_exit_code_1_where_something_differs(isthmus, files, tmp_path):
    assert isthmus("replay", files / "clean", files / "reach.isthmus")[0] == 0
    code, out, _ = isthmus("replay", files / "stale", files / "reach.isthmus")
    assert code == 1
    assert "differs first in control period 1" in out
    assert isthmus("replay", files / "clean", "--against", "reach", "--plot", tmp_path / "apart.png")[0] == 0
    assert (tmp_path / "apart.png").is_file()
    code, _, err = isthmus("replay", files / "clean")
    assert (code, "name a policy file, or a task with --against" in err) == (2, True)


def test_recordings_of_one_file_name_are_told_apart(isthmus, files, tmp_path):
    for name, place in (("stale", "a"), ("clean", "b")):
        (tmp_path / place).mkdir()
        shutil.copy(files / name / "mujoco-000000.mcap", tmp_path / place)
    code, out, _ = isthmus("replay", tmp_path, files / "reach.isthmus")
    assert code == 1
    assert "a/mujoco-000000: observation" in out
    assert "1 of 2 recordings are what comes of them again" in out
    isthmus("replay", tmp_path, "--against", "reach", "--json", tmp_path / "apart.json")
    assert set(json.loads((tmp_path / "apart.json").read_text())["divergence"]) == {"a/mujoco-000000", "b/mujoco-000000"}


def test_motions_are_played_within_the_limits_and_recorded(isthmus, tmp_path):
    assert isthmus("motions", "pendulum", "--out", tmp_path / "none", "--duration", 4)[0] == 2  # it takes efforts, which would drift
    code, _, _ = isthmus("motions", "ur5e", "--out", tmp_path, "--duration", 4, "--period", 0.05)
    assert code == 0
    names = {"step", "chirp", "prbs", "hold", "cruise", "backlash"}
    assert {file.stem for file in tmp_path.glob("*.isthmus")} == names
    traces = {file.stem: read_trace(file) for file in (tmp_path / "mujoco").glob("*.mcap")}
    assert set(traces) == names
    assert all(set(trace.rungs) == {"pass"} for trace in traces.values())
    # At the beginning the servos give way to gravity.
    assert abs(traces["hold"].velocity[20:]).max() < 0.01 < abs(traces["step"].velocity[20:]).max()


def test_a_cadence_becomes_the_delay_of_commands(read_json, isthmus, files, tmp_path):
    cadence = {"work_ms": {"min": 10.0, "p50": 10.0, "p99": 10.0, "p99.9": 10.0, "max": 10.0}}
    (tmp_path / "robot.json").write_text(json.dumps({"cadence": cadence}), encoding="utf-8")
    words = ("eval", files / "reach.isthmus", "--episodes", 1, "--json", "-")
    found = read_json(*words, "--cadence", tmp_path / "robot.json")
    assert found["per_episode"][0]["parameters"]["action_delay"] == pytest.approx(0.01)
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    code, _, err = isthmus(*words, "--cadence", tmp_path / "other.json")
    assert (code, "has no times 'work_ms'" in err) == (2, True)


VELOCITIES = "/cell/velocity_commands"


def as_a_bag_of_others(trace, path):
    """What somebody's recorder has of an episode: joint states, and the numbers that a controller was sent."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        writer = Writer(stream)
        state = writer.register_msgdef("sensor_msgs/msg/JointState", messages.SCHEMAS["sensor_msgs/msg/JointState"])
        told = writer.register_msgdef(ARRAY, DEFINITIONS[ARRAY])
        for row, stamp in enumerate((trace.stamps * 1e9).astype(int).tolist()):
            measured = {"position": trace.position[[row]], "velocity": trace.velocity[[row]]}
            joints = messages.joint_state(messages.header(stamp), trace.joints, **measured)
            values = messages.multi_array(np.asarray(trace.executed[row], dtype=float), "")
            for topic, kind, message in (("/joint_states", state, joints), (VELOCITIES, told, values)):
                writer.write_message(topic, kind, message, log_time=stamp, publish_time=stamp)
        writer.finish()


@pytest.fixture(scope="module")
def bags(tmp_path_factory):
    """Of a robot, and of one with a joint that turns the other way."""
    root, task = tmp_path_factory.mktemp("bags"), replace(get_task("reach"), episode_steps=40)
    policy = scripted_artifact(task.contract).policy()
    for name, fault in (("one", ""), ("other", "sign")):
        record_episodes(task, policy, "mujoco", range(2), root / "traces" / name, fault)
        for file in sorted((root / "traces" / name).glob("*.mcap")):
            as_a_bag_of_others(read_trace(file), root / name / file.name)
    return root


def test_bags_of_others_are_compared_by_the_topic_of_their_commands(read_json, isthmus, bags):
    words = ("gap", bags / "one", bags / "other", "--robot", "ur5e")
    found = read_json(*words, "--commands", VELOCITIES, "--json", "-")
    assert found["causes"][0]["cause"] == "sign"
    code, _, err = isthmus(*words, "--commands", "/elsewhere")
    assert (code, f"has no commands on /elsewhere; there are: {VELOCITIES}" in err) == (2, True)


def test_the_commands_of_a_bag_of_others_are_given_to_a_simulator(read_json, bags):
    """It does what was recorded, and not what a robot did whose joint turns the other way."""
    farthest = {}
    for name in ("one", "other"):
        apart = read_json("replay", bags / name, "--against", "reach", "--commands", VELOCITIES, "--json", "-")["divergence"]
        farthest[name] = [max(joint["rms"] for joint in one["position"].values()) for one in apart.values()]
    assert max(farthest["one"]) < 0.01
    assert min(farthest["other"]) > 0.05
