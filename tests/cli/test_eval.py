"""`isthmus eval`: what it writes, and what it refuses before anything moves."""

import json
import shutil

import pytest

from isthmus.artifact import Artifact
from isthmus.ladder import PARITY
from isthmus.robot import load_robot
from isthmus_controllers.tracking import tracking_artifact, tracking_contract
from isthmus_evidence import evaluation as module


@pytest.mark.parametrize("plant", ["mujoco", "pybullet"])
@pytest.mark.parametrize("name", ["pendulum", "reach"])
def test_json_has_the_agreed_form(isthmus, policies, tmp_path, name, plant):
    file = tmp_path / "new" / "result.json"
    code, out, _ = isthmus("eval", policies / f"{name}.isthmus", "--plant", plant, "--episodes", 3, "--seed", 4, "--json", file)
    assert code == 0
    assert "95 % interval" in out
    nothing = "0.0 (0.0 … 0.0) %"
    assert f"control periods that the guard clamped {nothing}, held {nothing}, stopped {nothing}" in out
    assert "per control period (rms) and reverse 0.00 (0.00 … 0.00) times per second" in out
    assert "peaks as shares of the limits: speed " in out
    assert "episodes ended by: time limit 3" in out
    result = json.loads(file.read_text())
    assert list(result) == [
        "task",
        "plant",
        "seed",
        "episodes",
        "return",
        "success",
        "ends",
        "motion",
        "cadence",
        "per_episode",
        "policy",
        "made",
    ]
    assert (result["task"], result["plant"], result["seed"], result["episodes"]) == (name, plant, 4, 3)
    assert result["return"]["low"] <= result["return"]["mean"] <= result["return"]["high"]
    assert result["success"]["low"] <= result["success"]["rate"] <= result["success"]["high"]
    assert result["cadence"]["period_ms"] == 50
    assert [episode["seed"] for episode in result["per_episode"]] == [4, 5, 6]
    for episode in result["per_episode"]:
        assert {"seed", "return", "success", "steps", "stopped_by_guard", "rungs"} <= episode.keys()
        assert sum(episode["rungs"].values()) == episode["steps"]


def test_json_on_stdout_is_alone_there(read_json, policies):
    assert read_json("eval", policies / "pendulum.isthmus", "--episodes", 1, "--json", "-")["episodes"] == 1


def test_parameters_change_the_episodes(read_json, policies):
    words = ("eval", policies / "pendulum.isthmus", "--episodes", 2, "--json", "-")
    plain, damped = read_json(*words), read_json(*words, "--parameters", "joint_damping=1.0", "payload=0.5")
    assert plain["return"]["mean"] != damped["return"]["mean"]


def test_evidence_is_stored_only_when_asked_for(isthmus, policies, tmp_path):
    file = tmp_path / "policy.isthmus"
    shutil.copy(policies / "pendulum.isthmus", file)
    isthmus("eval", file, "--episodes", 1)
    assert list(Artifact.load(file).evidence) == [PARITY]
    isthmus("eval", file, "--episodes", 1, "--evidence")
    evidence = Artifact.load(file).evidence
    assert list(evidence) == ["eval-mujoco", PARITY]
    assert evidence["eval-mujoco"]["made"]["date"]
    assert evidence["eval-mujoco"]["episodes"] == 1
    assert "per_episode" not in evidence["eval-mujoco"]


def test_film_and_chart_are_written(isthmus, policies, tmp_path):
    from PIL import Image

    film, chart = tmp_path / "film.gif", tmp_path / "chart.png"
    isthmus("eval", policies / "pendulum.isthmus", "--plant", "pybullet", "--episodes", 2, "--video", film, "--plot", chart)
    with Image.open(film) as opened:
        assert opened.n_frames > 1
    with Image.open(chart) as opened:
        assert opened.format == "PNG"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--plant isaac", "unknown plant 'isaac'; did you mean 'isaacgym'? Known: isaacgym, mujoco, pybullet, ros"),
        ("--task reech", "unknown task 'reech'; did you mean 'reach'? Known: "),
        ("--task reach", "another contract than task 'reach' (there): robot is 'pendulum' here, 'ur5e' there"),
        ("--episodes 0", "episodes must be >= 1, got 0"),
        ("--episodes many", "--episodes must be a whole number of at most 1e18, such as 100, 1e5 or 100_000, got 'many'"),
        ("--seed -1", "seed must be >= 0, got -1"),
        ("--replan 2", "replan must be in 1 … 1, got 2"),
        ("--replan 0", "replan must be in 1 … 1, got 0"),
        ("--video /proc/film.mp4", "/proc/film.mp4: No such file or directory"),
        ("--parameters paylod=1", "unknown parameter 'paylod'; did you mean 'payload'?"),
        ("--parameters payload", "a parameter is NAME=VALUE with a finite number, such as payload=1.5, got 'payload'"),
        ("--parameters payload=nan", "a parameter is NAME=VALUE with a finite number, such as payload=1.5, got 'payload=nan'"),
        ("--parameters payload=1_0", "a parameter is NAME=VALUE with a finite number, such as payload=1.5, got 'payload=1_0'"),
        ("--parameters payload=1 payload=2", "parameter 'payload' is given twice"),
        ("--parameters payload=99", "parameter 'payload' must be in 0 … 20 kg, got 99"),
        ("--video film.avi", "unknown video format '.avi'; Known: .gif, .mp4"),
        ("--plant ros --video film.gif", "--video is not available with --plant ros; it works with the simulators"),
        ("--plant ros --engine gazebo", "unknown engine 'gazebo'; Known: "),
    ],
)
def test_user_errors_are_one_sentence(refuse, policies, words, sentence):
    assert sentence in refuse("eval", policies / "pendulum.isthmus", *words.split())


def test_a_changed_contract_is_refused_with_the_difference(refuse, policies, tmp_path, monkeypatch):
    from dataclasses import replace

    task = module.get_task("pendulum")
    monkeypatch.setattr(module, "get_task", lambda name: replace(task, contract=replace(task.contract, control_period=0.02)))
    assert "control_period is 0.05 here, 0.02 there" in refuse("eval", policies / "pendulum.isthmus")


def test_damaged_files_are_refused_by_name(refuse, policies, tmp_path):
    content = bytearray((policies / "pendulum.isthmus").read_bytes())
    place = content.index(b'"control_period"')
    content[place + 1] ^= 1
    file = tmp_path / "damaged.isthmus"
    file.write_bytes(content)
    assert "contract.json" in refuse("eval", file)
    file.write_bytes(content[: len(content) // 2])
    assert str(file) in refuse("eval", file)
    assert "No such file" in refuse("eval", tmp_path / "nothing.isthmus")


def test_a_policy_of_no_known_task_is_refused(refuse, tmp_path):
    tracking_artifact(tracking_contract(load_robot("ur5e"), 0.05)).save(tmp_path / "tracker.isthmus")
    assert "unknown task 'tracking'" in refuse("eval", tmp_path / "tracker.isthmus")
