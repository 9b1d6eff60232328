"""`isthmus new`: a package that trains at once."""

import errno
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from isthmus.artifact import Artifact
from isthmus.kinematics import Kinematics
from isthmus.robot import load_robot
from isthmus_sim.tasks.reach import reach_of

URDF = Path(__file__).parents[2] / "examples" / "my_lab" / "my_lab" / "robots" / "desk_arm" / "desk_arm.urdf"
SMALL = ("--steps", 120, "--learning-starts", 100, "--evaluate-every", 120, "--hidden", 8, "--batch-size", 8)


def test_a_new_package_trains_at_once(isthmus, package, tmp_path):
    code, out, error = isthmus("new", "my_bench", "--robot", URDF, "--out", tmp_path)
    assert code == 0, error
    assert "isthmus train sac desk-arm-reach\n" in out
    assert "tool_frame: tool0 is a guess" in out
    source = tmp_path / "my_bench"
    assert sorted(file.name for file in source.iterdir()) == ["my_bench", "pyproject.toml"]
    (info := source / "my_bench-0.1.0.dist-info").mkdir()  # as pip would write them
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-bench\nVersion: 0.1.0\n")
    offers = "[isthmus.robots]\ndesk_arm = my_bench.robots\n[isthmus.tasks]\ndesk-arm-reach = my_bench.tasks:desk_arm_reach\n"
    (info / "entry_points.txt").write_text(offers)
    for line in offers.splitlines():
        assert line.partition(" = ")[2] in (source / "pyproject.toml").read_text()
    package(source)
    try:
        code, _, error = isthmus("train", "sac", "desk-arm-reach", *SMALL, "--out", tmp_path / "run")
        assert code == 0, error
        contract = Artifact.load(tmp_path / "run" / "policy.isthmus").contract
        assert (contract.task, contract.robot) == ("desk-arm-reach", "desk_arm")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_bench"]:
            del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "robot", "sentence"),
    [
        ("My-Bench", URDF, "the name of a package is lower-case letters"),
        ("numpy", URDF, "Python has 'numpy' already, and the new package would take its place"),
        ("isthmus_sim", URDF, "Python has 'isthmus_sim' already"),
        ("pyyaml", URDF, "Python has 'pyyaml' already"),  # whose module is yaml
        ("class", URDF, "Python has 'class' already"),
        ("taken", URDF, "taken already; choose another name"),
        ("fresh", URDF.parent, "is a folder; --robot is a URDF or MJCF file"),
        ("fresh", URDF.with_name("nowhere.urdf"), "No such file or directory"),
        ("fresh", URDF.with_name("robot.yaml"), ""),
    ],
)
def test_what_cannot_be_leaves_nothing(refuse, tmp_path, name, robot, sentence):
    (tmp_path / "taken").mkdir()
    assert sentence in refuse("new", name, "--robot", robot, "--out", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_a_robot_that_is_no_arm_is_refused(refuse, tmp_path):
    robots = Path(__file__).parents[2] / "core" / "isthmus" / "robots"
    shutil.copy(next((robots / "diffbot").glob("*.urdf")), tmp_path / "cart.urdf")
    refuse("new", "mine", "--robot", tmp_path / "cart.urdf", "--out", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["cart.urdf"]


def link(name, mass=0.3):
    inertia = '<inertia ixx="0.001" iyy="0.001" izz="0.001" ixy="0" ixz="0" iyz="0"/>'
    return f'<link name="{name}"><inertial><origin xyz="0.1 0 0"/><mass value="{mass}"/>{inertia}</inertial></link>'


def chain(*joints, mass=0.3, effort=50, tip="0.25 0 0"):
    """Links behind each other; a joint is its type, axis, place and limit to both sides."""
    parts = ['<robot name="given"><link name="link0"/>']
    for number, (kind, axis, place, end) in enumerate(joints, 1):
        limit = f'<limit lower="{-end}" upper="{end}" effort="{effort}" velocity="2"/>'
        ends = f'<parent link="link{number - 1}"/><child link="link{number}"/>'
        parts.append(f'<joint name="joint{number}" type="{kind}"><origin xyz="{place}"/>{ends}<axis xyz="{axis}"/>{limit}</joint>')
        parts.append(link(f"link{number}", mass))
    ends = f'<parent link="link{len(joints)}"/><child link="tip"/>'
    parts.append(f'<joint name="weld" type="fixed"><origin xyz="{tip}"/>{ends}</joint><link name="tip"/></robot>')
    return "".join(parts)


YAW, PITCH = ("revolute", "0 0 1", "0 0 0.1", 2.5), ("revolute", "0 1 0", "0.25 0 0", 2.5)
ODD_ARMS = {
    "slider": chain(("prismatic", "1 0 0", "0 0 0.1", 0.3)),
    "scara": chain(YAW, ("revolute", "0 0 1", "0.3 0 0", 2.5), ("prismatic", "0 0 -1", "0.25 0 0", 0.08), YAW, tip="0 0 -0.05"),
    "planar": chain(YAW, ("revolute", "0 0 1", "0.3 0 0", 2.5)),
    "pan_tilt": chain(YAW, ("revolute", "0 1 0", "0 0 0.05", 1.0), tip="0.06 0 0"),
    "yaw_pitch_pitch": chain(YAW, ("revolute", "0 1 0", "0 0 0.1", 1.5), PITCH),
    "two_pitches": chain(("revolute", "0 1 0", "0 0 0.1", 2.5), PITCH),
    "hanging": chain(YAW, ("revolute", "0 1 0", "0 0 -0.2", 1.5), ("revolute", "0 1 0", "0 0 -0.3", 2.5), tip="0 0 -0.3"),
}


@pytest.mark.parametrize("name", ODD_ARMS)
def test_goals_of_any_arm_are_places_that_its_tool_gets_to(isthmus, tmp_path, name):
    (tmp_path / f"{name}.urdf").write_text(ODD_ARMS[name])
    code, _, error = isthmus("new", "my_bench", "--robot", tmp_path / f"{name}.urdf", "--out", tmp_path)
    assert code == 0, error
    robot = load_robot(name, [tmp_path / "my_bench" / "my_bench" / "robots"])
    task = reach_of(robot, f"{name.replace('_', '-')}-reach")
    goals = task.start([np.random.default_rng(seed) for seed in range(30)]).inputs["goal"]
    low, high = np.array([joint.position for joint in robot.joints]).T
    kinematics, generator = Kinematics(robot.urdf_path), np.random.default_rng(1)

    def away(poses):
        return np.linalg.norm(kinematics.positions(robot.joint_names, poses, ("tip",))["tip"] - goals, axis=1)

    best = np.tile(robot.home, (len(goals), 1))
    for step in range(2500):  # of poses within the limits, by a search that knows nothing of how the goals were drawn
        near = best + 0.5 ** (step // 100 - 19) * generator.uniform(low - high, high - low, best.shape) / 2
        tried = generator.uniform(low, high, best.shape) if step < 2000 else np.clip(near, low, high)
        best = np.where((away(tried) < away(best))[:, None], tried, best)
    assert away(best).max() < 0.02
    assert np.median(np.linalg.norm(goals - goals.mean(axis=0), axis=1)) > 0.01  # and not all in one place
    assert (goals >= task.contract.signal("goal").low).all()
    assert (goals <= task.contract.signal("goal").high).all()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            chain(YAW, ("revolute", "0 1 0", "0 0 0.05", 1.0), tip="0 0 0"),
            "no joint moves tool_frame 'tip' of robot 'odd' from its place; name",
        ),
        (chain(PITCH, mass=5, effort=0.5), "the motors of robot 'odd' hold no pose around home: joint 'joint1' needs"),
    ],
)
def test_an_arm_without_goals_is_refused_with_a_way_out(refuse, tmp_path, text, sentence):
    (tmp_path / "odd.urdf").write_text(text)
    assert sentence in refuse("new", "mine", "--robot", tmp_path / "odd.urdf", "--out", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["odd.urdf"]


@pytest.mark.parametrize("command", [("new", "mine", "--robot"), ("robots", "import", "mine")])
def test_a_full_disk_is_told_with_the_file_that_did_not_fit(refuse, tmp_path, monkeypatch, command):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(Path, "write_text", full)
    told = refuse(*command, URDF, "--out", tmp_path)
    assert "No space left on device" in told
    assert "desk_arm.urdf" in told or "mine.urdf" in told
    assert list(tmp_path.iterdir()) == []
