"""The commands on tasks of outside suites: same learner, same policy file, no robot."""

import json

import numpy as np
import pytest

from isthmus.artifact import Artifact

SMALL = ("--learning-starts", 50, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from isthmus_cli.main import main

    folder = tmp_path_factory.mktemp("suite")
    words = ("train", "sac", "gym:Pendulum-v1", "--steps", 300, "--out", folder, *SMALL)
    assert main([str(word) for word in words]) == 0
    return folder


def test_training_leaves_a_policy_that_eval_runs(trained, read_json):
    assert [json.loads(line).keys() for line in (trained / "metrics.jsonl").read_text().splitlines()] == [{"step", "return", "seconds"}]
    result = read_json("eval", trained / "policy.isthmus", "--episodes", 12, "--json", "-")
    assert (result["task"], result["plant"], result["episodes"], result["success"]) == ("gym:Pendulum-v1", "gym", 12, None)
    again = read_json("eval", trained / "policy.isthmus", "--episodes", 1, "--seed", 11, "--json", "-")
    assert again["per_episode"][0]["return"] == pytest.approx(result["per_episode"][11]["return"], rel=1e-6)


def test_eval_tells_only_what_the_suite_reports(trained, isthmus, tmp_path):
    code, out, _ = isthmus("eval", trained / "policy.isthmus", "--episodes", 2, "--plot", tmp_path / "plot.png")
    assert code == 0
    assert "2 episodes of gym:Pendulum-v1 in gym" in out
    assert "success" not in out
    assert "per control period (rms) and reverse " in out
    assert "guard" not in out
    assert "episodes ended by: time limit 2" in out
    assert (tmp_path / "plot.png").stat().st_size > 0


def test_inspect_names_the_suite_and_shows_no_limits(trained, isthmus):
    code, out, _ = isthmus("inspect", trained / "policy.isthmus")
    assert code == 0
    assert "for task 'gym:Pendulum-v1' for no robot" in " ".join(out.split())
    assert "raw commands" in out


def test_doctor_refuses_every_robot_in_one_sentence(trained, isthmus):
    for robot in ((), ("--robot", "ur5e")):
        code, out, _ = isthmus("doctor", trained / "policy.isthmus", *robot)
        assert code == 1
        assert "robot: the policy was made for 'gym:Pendulum-v1', whose actions are in a scale of their own" in out


@pytest.mark.parametrize(
    ("option", "value"), [("--plant", "pybullet"), ("--plant", "ros"), ("--parameters", "payload=1"), ("--record", "x")]
)
def test_what_only_our_plants_can_do_is_refused(trained, refuse, option, value):
    told = refuse("eval", trained / "policy.isthmus", option, value)
    assert f"'gym:Pendulum-v1' runs in a suite's own simulation, so {option} cannot be used with it" in told


def test_unknown_tasks_are_one_sentence_with_suggestions(refuse):
    assert "did you mean gym:HalfCheetah-v5" in refuse("train", "sac", "gym:HalfCheeta-v5")
    assert "did you mean 'gym'" in refuse("tasks", "gmy:HalfCheetah-v5")


def test_tasks_lists_a_suite_and_shows_one_of_its_tasks(isthmus, read_json):
    assert "gym:HalfCheetah-v5" in read_json("tasks", "gym:", "--json")
    code, out, _ = isthmus("tasks", "gym:HalfCheetah-v5")
    assert code == 0
    assert "episodes of at most 50 s (1000 steps); no robot, no guard" in out


def test_pixels_train_and_export(tmp_path):
    from isthmus_policies.outcome import Evaluation
    from isthmus_policies.sac import Sac, SacConfig
    from isthmus_policies.training import train
    from isthmus_sim.suites import SuiteVectorEnv, get_suite_task

    task = get_suite_task("gym:HalfCheetah-v5@36")
    env = SuiteVectorEnv(task, 1)
    config = SacConfig(steps=40, learning_starts=20, batch_size=4, hidden=(16,), evaluate_every=30)
    result = train(Sac(task.contract, config), env, lambda policy: Evaluation(0.0, None), tmp_path, config=config, seed=0)
    env.close()
    policy = Artifact.load(result.policy).policy()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 36, 36, 3), dtype=np.uint8)
    actions = policy.act({"camera": pictures}).actions
    assert actions.shape == (2, 1, 6)
    assert not np.array_equal(actions[0], actions[1])
