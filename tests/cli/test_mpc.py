"""`isthmus mpc`: a controller as a policy file, and what it cannot be written for."""

import pytest

pytest.importorskip("casadi")
pytest.importorskip("mujoco")

from isthmus.artifact import Artifact
from isthmus_cli.main import main
from isthmus_sim.tasks import get_task


def test_a_file_for_an_analytic_model_plans(tmp_path, capsys):
    path = str(tmp_path / "new" / "mpc.isthmus")
    assert main(["mpc", "stl:ship-safe", "--out", path, "--budget", "0.3"]) == 0
    assert main(["eval", path, "--episodes", "2", "--replan", "10"]) == 0
    assert "executed satisfies the specification" in " ".join(capsys.readouterr().out.split())


def test_a_file_for_an_engine_task_has_the_tasks_specification_and_a_fitted_model(tmp_path):
    path = tmp_path / "mpc.isthmus"
    assert main(["mpc", "navigate", "--out", str(path)]) == 0
    artifact = Artifact.load(path)
    assert artifact.kind == "mpc"
    assert artifact.specification == get_task("navigate").specification
    assert artifact.contract.horizon == 100
    assert b'"travel"' in artifact.members["mpc.json"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mpc", "reach"], "no model to plan on for task 'reach'; Known: dodge, navigate, stl:arm"),
        (["mpc", "navigate", "--plant", "gazebo"], "unknown plant 'gazebo'"),
        (["mpc", "stl:maze", "--budget", "0"], "budget must be > 0, got 0"),
        (
            ["train", "sac", "stl:maze"],
            "'stl:maze' is an analytic model without a robot, which plans are made for: isthmus train npc stl:maze",
        ),
        (["train", "npc", "navigate", "--plant", "gazebo"], "unknown plant 'gazebo'"),
    ],
)
def test_what_the_user_got_wrong(words, sentence, capsys):
    assert main(words) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_monitoring_goes_with_ros(tmp_path, capsys):
    assert main(["script", "navigate", "--out", str(tmp_path / "p.isthmus")]) == 0
    assert main(["eval", str(tmp_path / "p.isthmus"), "--monitor"]) == 2
    assert "--clock, --engine, --attach and --monitor go with --plant ros, got --plant mujoco" in capsys.readouterr().err


def test_inspect_shows_what_the_task_asks(tmp_path, capsys):
    assert main(["script", "navigate", "--out", str(tmp_path / "p.isthmus")]) == 0
    assert main(["inspect", str(tmp_path / "p.isthmus")]) == 0
    assert "specification of the task: always[0,20] (gap > 0.005)" in capsys.readouterr().out
