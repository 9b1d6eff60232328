"""`isthmus new`: a package that trains at once."""

import shutil
import sys
from pathlib import Path

import pytest

from isthmus.artifact import Artifact

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
