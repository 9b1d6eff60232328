"""`isthmus demo`: what it refuses, the commands that it names, and what is left when a stage fails."""

import shlex
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pybullet")  # says when it was built as it is imported

from isthmus.artifact import Artifact
from isthmus_cli.demo import command as module
from isthmus_cli.demo import identified as stage
from isthmus_cli.demo.explained import explain_gap, gap_text
from isthmus_cli.demo.facts import EPISODE_SEED, ROBOT, demo_facts
from isthmus_evidence.asid.real import Real, explore
from isthmus_evidence.reports.report import write_report
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.tasks import get_task


def test_the_commands_of_the_report_are_commands(monkeypatch):
    from isthmus_cli.eval.command import Eval
    from isthmus_cli.gap import Gap
    from isthmus_cli.identify.command import Identify
    from isthmus_cli.main import main
    from isthmus_cli.train.sac import TrainSac

    ran = []
    for command in (Eval, TrainSac, Identify, Gap):
        monkeypatch.setattr(command, "run", lambda self: ran.append(self) or 0)
    commands = demo_facts(get_task("reach"), 200, 7, Path("runs/a b"), 3, 2, identified=True)["commands"]
    for command in commands.values():
        assert main(shlex.split(command)[1:]) == 0
    train, *evaluations, identify, simulated, compared = ran
    assert (identify.target, identify.log) == ("reach", ((Path("runs/a b/traces/excitation-000.mcap"),),))
    assert (train.task, train.config.steps, train.seed, train.out) == ("reach", 200, 7, Path("runs/a b/train"))
    assert [(found.plant, found.episodes) for found in evaluations] == [
        ("mujoco", 3),
        ("pybullet", 3),
        ("ros", 2),
        ("mujoco", 1),
        ("pybullet", 1),
    ]
    assert {found.policy for found in evaluations} == {Path("runs/a b/train/policy.isthmus")}
    assert {found.seed for found in evaluations} == {EPISODE_SEED}
    assert (compared.first, compared.second) == (simulated.record, evaluations[2].record)
    assert (evaluations[2].clock, evaluations[2].parameters) == ("wall", ("payload=1.0", "joint_damping=2.0"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "0"), "steps must be >= 1, got 0"),
        (("--ros-episodes", "0"), "ros_episodes must be >= 1, got 0"),
        (("--task", "reech"), "unknown task 'reech'; did you mean 'reach'? Known: "),
    ],
)
def test_demo_refuses_before_anything_starts(refuse, tmp_path, words, sentence):
    assert sentence in refuse("demo", "--out", tmp_path / "demo", *words)
    assert not (tmp_path / "demo").exists()


@pytest.fixture
def untrained(policies, monkeypatch):
    """A demo whose training is over at once."""

    def train(task, steps, seed, out):
        out.mkdir()
        shutil.copy(policies / "reach.isthmus", out / "policy.isthmus")
        return "untrained"

    monkeypatch.setattr(module, "_train", train)


def test_a_failed_run_over_ros_still_leaves_a_report(untrained, isthmus, tmp_path, monkeypatch):
    coordinator = pytest.importorskip("isthmus_ros.evaluation.coordinator")

    def fail(*_, **__):
        raise coordinator.RosError("sim_node ended with exit code 1: no joint states")

    monkeypatch.setattr(coordinator, "evaluate_over_ros", fail)
    (tmp_path / "hero.png").write_bytes(b"old")
    code, out, error = isthmus("demo", "--out", tmp_path, "--episodes", "1", "--ros-episodes", "1")
    assert code == 2
    assert error == "isthmus: the run over ROS 2 failed: sim_node ended with exit code 1: no joint states\n"
    assert [line[:3] for line in out.splitlines() if line[1:2] == "/"] == ["1/7", "2/7", "3/7", "4/7", "5/7"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not evaluated: ROS 2." in page
    assert page.count("<img ") == 12
    assert not (tmp_path / "hero.png").exists()


def test_a_robot_is_identified_from_its_excitation(tmp_path, monkeypatch):
    played = {}

    def play(task, excitation, recordings, seeds, *, seconds, clock, parameters):
        played.update(clock=clock, parameters=parameters)
        recordings.parent.mkdir()
        file = recordings.with_name("excitation-000.mcap")
        explore(
            Real("pybullet", parameters), task, Artifact.load(excitation), file, seeds[0], round(seconds / task.contract.control_period)
        )
        return [file]

    monkeypatch.setattr(stage, "play_over_ros", play)
    assert stage.can_be_identified(get_task("reach"))
    assert not stage.can_be_identified(get_task("push"))  # the puck would be in the way
    facts = stage.identify_robot(get_task("reach"), tmp_path)
    assert played == {"clock": "wall", "parameters": {"payload": 1.0, "joint_damping": 2.0}}
    for name, far in (("payload", 0.05), ("joint_damping", 0.2)):
        found = facts["parameters"][name]
        assert found["value"] == pytest.approx(found["true"], abs=far)
        assert found["interval"][0] <= found["true"] <= found["interval"][1]
    before, after = facts["prediction"]["0.5 s"]["tool_mm"]
    assert after < before
    assert "true 1" in stage.identified_text(facts)
    assert (tmp_path / "calibration.yaml").exists() == (not facts["objections"])
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What the robot carries" in page
    assert "<td>payload</td>" in page


def test_payload_and_damping_are_named_before_calibration_and_nothing_after(tmp_path):
    task, policy = get_task("reach"), Artifact.load(Path(module.__file__).parents[1] / "reach.isthmus").policy()
    robot = tmp_path / "traces" / "robot"
    evaluate_task(task, policy, "pybullet", episodes=3, seed=EPISODE_SEED, parameters=ROBOT, record=robot)
    told = explain_gap(task, policy, tmp_path, 3, {"payload": 1.0, "joint_damping": 2.0})
    before, after = ([cause for cause in told[when]["causes"] if cause["named"]] for when in ("before", "after"))
    assert [cause["cause"] for cause in before] == ["payload", "friction"]
    assert before[0]["value"] == pytest.approx(1.0, abs=0.05)
    assert before[1]["value"] == pytest.approx(2.0, abs=0.1)
    assert after == []
    assert gap_text(told).endswith("after calibration: no cause")
    write_report(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Why simulation and robot differ" in page
    assert f"<td>{before[0]['claim']}</td>" in page
    for when in told:
        assert f'href="gap/{when}/report.html"' in page
        assert (tmp_path / "gap" / when / "report.html").exists()
