"""`isthmus tasks`, `robots` and `plants`."""

import shutil
from pathlib import Path

import pytest

from isthmus.robot import load_robot, robot_names
from isthmus_sim.tasks import get_task, task_names

PROFILES = Path(load_robot("pendulum").folder).parent


def test_tasks_are_listed_for_programs(read_json):
    tasks = read_json("tasks", "--json")
    assert [task["name"] for task in tasks] == task_names()
    for task in tasks:
        assert {"name", "robot", "plants", "description", "control_period", "episode_steps", "success"} <= task.keys()
    reach = next(task for task in tasks if task["name"] == "reach")
    assert (reach["robot"], reach["plants"]) == ("ur5e", ["mujoco", "pybullet"])


def test_a_task_shows_its_reward_signals_and_parameters(isthmus, read_json):
    task = get_task("reach")
    _, out, _ = isthmus("tasks", "reach")
    for name in (*(term.name for term in task.reward), *(signal.name for signal in task.contract.observation), "payload", "kg"):
        assert name in out
    details = read_json("tasks", "reach", "--json")
    assert [term["name"] for term in details["reward"]] == [term.name for term in task.reward]
    assert details["contract"]["task"] == "reach"


def test_robots_are_listed_with_those_of_the_user(isthmus, read_json, tmp_path):
    assert [robot["name"] for robot in read_json("robots", "--json")] == robot_names()
    shutil.copytree(PROFILES / "pendulum", tmp_path / "rod")
    profile = tmp_path / "rod" / "robot.yaml"
    profile.write_text(profile.read_text().replace("name: pendulum", "name: rod", 1))
    assert [robot["name"] for robot in read_json("robots", "--json", "--robots", tmp_path)] == sorted([*robot_names(), "rod"])
    assert "hinge" in isthmus("robots", "rod", "--robots", tmp_path)[1]


@pytest.mark.parametrize("name", ["pendulum", "ur5e"])
def test_a_robot_shows_its_joints_and_topics(isthmus, read_json, name):
    _, out, _ = isthmus("robots", name)
    robot = load_robot(name)
    for word in (*robot.joint_names, *robot.command_modes, robot.ros.state_topic):
        assert word in out
    assert [joint["name"] for joint in read_json("robots", name, "--json")["joints"]] == list(robot.joint_names)


def test_plants_say_what_is_installed(isthmus, read_json):
    plants = {plant["name"]: plant for plant in read_json("plants", "--json")}
    assert list(plants) == ["isaacgym", "mujoco", "pybullet", "ros"]
    assert not plants["isaacgym"]["installed"]  # its stubs are, for mypy
    assert plants["mujoco"]["installed"]
    assert plants["mujoco"]["version"] in isthmus("plants")[1]
