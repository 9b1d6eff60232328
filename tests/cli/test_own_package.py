"""A robot and a task that isthmus does not know, from training to another engine."""

import json

from isthmus.artifact import Artifact


def test_own_robot_and_task_by_name_alone(my_lab, isthmus, read_json, refuse, tmp_path):
    assert "desk-reach" in [task["name"] for task in read_json("tasks", "--json")]
    assert "desk_arm" in [robot["name"] for robot in read_json("robots", "--json")]
    out = tmp_path / "run"
    code, _, error = isthmus("train", "sac", "desk-reach", "--steps", 300, "--learning-starts", 100, "--evaluate-every", 300, "--out", out)
    assert code == 0, error
    policy = out / "policy.isthmus"
    assert (Artifact.load(policy).contract.task, Artifact.load(policy).contract.robot) == ("desk-reach", "desk_arm")
    for plant in ("mujoco", "pybullet"):
        result = read_json("eval", policy, "--plant", plant, "--episodes", 2, "--json", "-")
        assert result["episodes"] == 2
    assert "did you mean 'desk-reach'?" in refuse("train", "sac", "desk-reech")


def test_what_is_broken_in_a_package_hides_nothing_else(offer, isthmus, refuse):
    source = "def broken(): raise RuntimeError('no table')\n"
    offer({"isthmus.tasks": {"mine": "lab_stuff:broken"}, "isthmus.robots": {"lamp": "lab_stuff.robots"}}, source=source)
    code, out, error = isthmus("tasks")
    assert (code, error.count("\n")) == (1, 1)
    assert "isthmus.tasks: 'mine' is lab_stuff:broken, which failed: RuntimeError: no table" in error
    assert "pendulum" in out
    assert "no table" in refuse("tasks", "mine")
    code, out, error = isthmus("robots", "--json")
    assert (code, error.count("\n")) == (1, 1)
    assert "unknown key 'nonsense'" in error
    assert "ur5e" in [robot["name"] for robot in json.loads(out)]
