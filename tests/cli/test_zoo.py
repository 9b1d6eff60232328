import json

from isthmus.artifact import Artifact
from isthmus_cli.train.tasks import find_task
from isthmus_cli.zoo import zoo_rows


def test_every_row_is_a_training_that_can_begin(isthmus):
    rows = zoo_rows()
    assert len({(row.task, row.learner) for row in rows}) == len(rows)
    for row in rows:
        find_task(row.task)
        assert isthmus("train", row.learner, row.task, "--seed", -1, *row.options)[0] == 2  # the seed alone is refused
    _, out, _ = isthmus("zoo", "--list")
    assert all(row.task in out for row in rows)


def test_a_row_is_trained_checked_in_each_world_and_left_alone_when_it_is_done(isthmus, tmp_path):
    words = ("zoo", "pendulum", "--learner", "sac", "--steps", 300, "--episodes", 2, "--out", tmp_path)
    code, _, error = isthmus(*words)
    assert code == 0, error
    rows = json.loads((tmp_path / "zoo.json").read_text())["rows"]
    trial = "trial: 300 control periods, 2 episodes"
    assert sorted(rows) == [f"pendulum | sac | seed 0 | mujoco | {trial}", f"pendulum | sac | seed 0 | pybullet | {trial}"]
    row = rows[f"pendulum | sac | seed 0 | pybullet | {trial}"]
    assert (row["training"], row["plant"], row["episodes"], row["steps"]) == ("isthmus train sac pendulum --seed 0", "pybullet", 2, 300)
    assert row["trial"]
    assert row["concerns"] == ["eval", "sac"]
    before = (tmp_path / "zoo.json").read_bytes()
    assert isthmus(*words)[0] == 0
    assert (tmp_path / "zoo.json").read_bytes() == before
    _, out, _ = isthmus("zoo", "pendulum", "--learner", "sac", "--out", tmp_path, "--list")
    assert "done" not in out  # a trial stands for no figure, and its training for no other
    assert [folder.name for folder in tmp_path.iterdir() if folder.is_dir()] == ["sac-pendulum-0-of-300"]


def test_what_the_zoo_does_not_have_is_refused(refuse):
    assert "the zoo has no row for 'sac slide'; it has sac pendulum, ppo pendulum, " in refuse("zoo", "slide", "--learner", "sac")
    assert "--episodes must be a whole number >= 1, got 0" in refuse("zoo", "--episodes", 0)
    assert "--steps must be a whole number >= 1, got 0" in refuse("zoo", "--steps", 0)
    assert "unknown world 'gazebo'" in refuse("zoo", "--worlds", "gazebo")
    assert "worlds must be some of mujoco, pybullet, ros that the tasks run in, got none" in refuse("zoo", "pendulum", "--worlds")
    assert "nothing to measure: " in refuse("zoo", "reach-effort", "--worlds", "pybullet")


def test_servos_are_drawn_unless_somebody_says_otherwise(isthmus, tmp_path):
    small = ("--num-envs", 4, "--periods", 8, "--minibatches", 2, "--steps", 64, "--hidden", 8, "--evaluate-every", 64)
    for name, words in (("usual", ()), ("none", ("--randomize", "none"))):
        code, _, error = isthmus("train", "ppo", "reach", "--out", tmp_path / name, *small, *words)
        assert code == 0, error
    said = Artifact.load(tmp_path / "usual" / "policy.isthmus").training
    assert said["algorithm"] == "ppo"
    drawn = said["randomization"]["content"]["parameters"]
    assert {"action_delay", "action_lag", "wrist_1_joint.gain", "wrist_1_joint.damping", "wrist_1_joint.armature"} <= set(drawn)
    assert drawn["wrist_1_joint.gain"] == {"log_uniform": {"low": 0.7, "high": 1.4}, "unit": "1"}
    assert "randomization" not in Artifact.load(tmp_path / "none" / "policy.isthmus").training


def test_a_script_is_cloned(isthmus, refuse, tmp_path):
    words = ("--steps", 40, "--hidden", 8, "--evaluate-every", 40, "--out", tmp_path / "run")
    code, out, error = isthmus("train", "bc", "reach", "--scripted", 1, *words)
    assert code == 0, error
    assert "offline: 100 transitions of 1 episodes of the script" in out
    assert Artifact.load(tmp_path / "run" / "policy.isthmus").training["offline"] == "0.5 of each batch from 1 scripted episodes"
    assert "--scripted must be >= 1 episodes, got 0" in refuse("train", "bc", "reach", "--scripted", 0)
    assert "task 'pendulum' has no scripted policy" in refuse("train", "bc", "pendulum", "--scripted", 1, "--out", tmp_path / "other")


def test_fast_is_a_setting_that_others_may_change(isthmus, tmp_path):
    code, _, error = isthmus("train", "sac", "pendulum", "--fast", "--steps", 128, "--batch-size", 8, "--out", tmp_path / "run")
    assert code == 0, error
    config = Artifact.load(tmp_path / "run" / "policy.isthmus").training["config"]
    assert (config["num_envs"], config["steps"], config["gamma"]) == (64, 128, 0.98)


def test_pybullet_is_drawn_what_it_can_express():
    from isthmus_cli.train.randomization import usual_randomization
    from isthmus_sim.randomization import randomized_plant

    for name in ("reach", "reach-effort", "walk", "navigate", "pendulum"):
        task = find_task(name)
        for plant in task.plants:
            drawn = usual_randomization(task, plant)
            simulator, sampler = randomized_plant(plant, task, 1, drawn)
            simulator.close()
            assert {"action_delay", "action_lag"} <= set(sampler.names)
