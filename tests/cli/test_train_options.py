"""Targets and films of `isthmus train`, from the command line."""

import json

import imageio
import pytest
import torch

from isthmus.artifact import Artifact

SMALL = ("--steps", 300, "--learning-starts", 50, "--batch-size", 8, "--hidden", 8, "--evaluate-every", 100)


@pytest.mark.parametrize(("task", "pictures"), [("pendulum", range(190, 201)), ("gym:InvertedPendulum-v5", range(1, 1001))])
def test_a_film_shows_one_episode_of_every_so_many_control_periods(isthmus, tmp_path, task, pictures):
    words = ("train", "sac", task, "--out", tmp_path, *SMALL, "--steps", 150, "--evaluate-every", 150, "--video-every", 100)
    assert isthmus(*words)[0] == 0
    (film,) = (tmp_path / "videos").iterdir()
    assert film.name == "step_000000100.mp4"
    with imageio.get_reader(film) as reader:
        assert reader.count_frames() in pictures


def test_a_suite_that_takes_no_pictures_of_a_task_says_so_before_the_training(refuse, tmp_path):
    words = ("train", "sac", "gym:Pendulum-v1", "--out", tmp_path, *SMALL, "--video-every", 200)
    assert "gym:Pendulum-v1 cannot be made here with pictures of 400 × 400" in refuse(*words)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize("engine", ["isthmus", "sb3"])
def test_a_card_that_is_not_there_is_told_before_anything_is_written(refuse, tmp_path, engine):
    device = f"cuda:{torch.cuda.device_count()}"
    said = refuse("train", "sac", "pendulum", "--out", tmp_path / "run", *SMALL, "--device", device, "--engine", engine)
    assert f"device {device!r} is not there" in said
    assert not (tmp_path / "run").exists()


def test_a_film_shows_the_parameters_that_are_drawn(isthmus, tmp_path):
    (tmp_path / "heavy.yaml").write_text("parameters:\n  payload: {unit: kg, uniform: {low: 1.0, high: 2.0}}\n")
    words = ("train", "srl", "pendulum", "--out", tmp_path / "run", *SMALL, "--steps", 100, "--critic-hidden", 8, "--model-hidden", 8)
    assert isthmus(*words, "--video-every", 100, "--randomize", tmp_path / "heavy.yaml")[0] == 0
    assert [film.name for film in (tmp_path / "run" / "videos").iterdir()] == ["step_000000100.mp4"]


def test_the_training_ends_at_its_target_and_stays_there(isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--out", tmp_path, *SMALL, "--stop-at", -1e6)
    code, out, _ = isthmus(*words)
    assert code == 0
    assert "the target was reached after 100 of 300 control periods" in out
    training = Artifact.load(tmp_path / "policy.isthmus").training
    assert (training["steps"], training["reached_target"], training["config"]["stop_at"]) == (100, True, -1e6)
    code, out, _ = isthmus(*words, "--resume")
    assert code == 0
    assert "the target was reached after 100 of 300 control periods" in out
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [100]


def test_a_target_belongs_to_the_training(isthmus, refuse, tmp_path):
    words = ("train", "sac", "pendulum", "--out", tmp_path, *SMALL)
    assert isthmus(*words)[0] == 0
    assert "cannot be resumed with stop_at -200.0 (there: None)" in refuse(*words, "--resume", "--stop-at", -200)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("pendulum --video-every 0", "video_every must be >= 1, got 0"),
        ("pendulum --engine sb3 --video-every 100", "a training with --engine sb3 cannot be filmed"),
        ("pendulum --engine sb3 --stop-at 5", "stop_at must be None with --engine sb3, got 5.0"),
        ("pendulum --stop-at-success 90", "stop_at_success must be in (0, 1], got 90"),
    ],
)
def test_what_cannot_be_is_one_sentence(refuse, tmp_path, words, sentence):
    assert sentence in refuse("train", "sac", *words.split(), "--out", tmp_path, *SMALL)


@pytest.mark.parametrize("task", ["gym:Pendulum-v1", "dmc:cartpole-swingup"])
@pytest.mark.parametrize("seeds", [(), ("--seeds", "0-1")])
def test_a_share_of_successes_is_no_target_where_the_suite_never_reports_any(refuse, tmp_path, task, seeds):
    pytest.importorskip("dm_control")
    told = refuse("train", "sac", task, "--out", tmp_path / "run", *SMALL, *seeds, "--stop-at-success", 0.9)
    assert f"--stop-at-success 0.9 cannot be used with '{task}', which never reports success; use --stop-at RETURN" in told
    assert not (tmp_path / "run").exists()


def test_a_suite_that_reports_success_has_a_share_as_target(isthmus, tmp_path):
    pytest.importorskip("gymnasium_robotics")
    words = ("train", "sac", "gym:AdroitHandDoor-v1", "--out", tmp_path, *SMALL, "--steps", 60, "--evaluate-every", 60)
    assert isthmus(*words, "--stop-at-success", 0.9)[0] == 0
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["success"] == 0


@pytest.mark.parametrize("algorithm", ["sac", "dsac-t", "srl"])
def test_every_learner_has_films_targets_and_seeds(refuse, algorithm):
    words = ("train", algorithm, "pendulum")
    assert "video_every must be >= 1, got -1" in refuse(*words, "--video-every", -1)
    assert "seeds are numbers and ranges such as 0-4 or 0,3,7, got 'all'" in refuse(*words, "--seeds", "all")
    assert "--jobs goes with --seeds, got --jobs 3" in refuse(*words, "--jobs", 3)
    assert "stop_at must be finite, got inf" in refuse(*words, "--stop-at", "inf")


@pytest.mark.parametrize("robot", ["fr3", "ur5e_gripper"])
def test_any_arm_learns_to_reach(isthmus, tmp_path, robot):
    words = ("train", "sac", "reach", "--robot", robot, "--out", tmp_path, *SMALL, "--steps", 100)
    code, _, error = isthmus(*words)
    assert code == 0, error
    artifact = Artifact.load(tmp_path / "policy.isthmus")
    assert (artifact.contract.task, artifact.contract.robot) == (f"reach-{robot}", robot)
    assert artifact.training["config"]["gamma"] == 0.9  # as tuned for reach
    assert isthmus("eval", tmp_path / "policy.isthmus", "--episodes", 1)[0] == 0


def test_a_robot_goes_with_reach(refuse):
    assert "--robot goes with the task reach, got 'walk'" in refuse("train", "sac", "walk", "--robot", "fr3")
    assert "unknown robot 'fr4'; did you mean 'fr3'?" in refuse("train", "sac", "reach", "--robot", "fr4")
