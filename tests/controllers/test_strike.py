"""Strikes: where the tip goes, that every second one comes from the other side, and what a script may be told."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.artifact import Artifact
from isthmus.kinematics import Kinematics
from isthmus.robot import load_robot
from isthmus_controllers.scripted import STRIKE, scripted_artifact, scripted_policy, scripted_tasks, settings_of
from isthmus_sim.identification.information_task import exploration_contract
from isthmus_sim.tasks import get_task

SIZE = {"tip": 0.2, "height": 0.025, "length": 0.045, "width": 0.058}
PUCK, YAW = np.array([0.15, -0.52]), 0.4
CONTRACT = replace(exploration_contract(get_task("push")), horizon=70)


def ways(policy, time=0.0):
    """Where the tip of the stick is commanded to be, [T, 3]."""
    robot = load_robot("ur5e")
    start = np.array([CONTRACT.start[name][0] for name in robot.joint_names])
    seen = {signal.name: np.zeros((1, 1, len(signal.elements))) for signal in CONTRACT.observation}
    seen |= {"joint_position": start[None, None], "time": np.full((1, 1, 1), time)}
    seen["puck"] = np.array([[[*PUCK, np.sin(YAW / 2), np.cos(YAW / 2)]]])
    joints = start + np.cumsum(policy.act(seen).actions[0], axis=0) * CONTRACT.control_period
    tool = Kinematics(robot.urdf_path).poses(robot.joint_names, joints, ["tool0"])["tool0"]
    return tool.position + 0.2 * tool.rotation[:, :, 2]


def test_the_tip_passes_beside_the_middle_along_the_bodys_axis_and_rests():
    tip = ways(scripted_policy(STRIKE, CONTRACT, {**SIZE, "place": 0.5, "speed": 0.4, "reach": 0.08}))
    ahead, aside = np.array([np.cos(YAW), np.sin(YAW)]), np.array([-np.sin(YAW), np.cos(YAW)])
    low = tip[:, 2] < 0.05
    away = (tip[low, :2] - PUCK) @ np.stack([ahead, aside], axis=1)
    assert away[:, 1] == pytest.approx(0.5 * SIZE["length"], abs=0.01)
    assert away[0, 0] < -SIZE["width"] - 0.05  # it comes down behind
    assert away[-1, 0] > 0.08  # and ends beyond, having pushed
    assert np.linalg.norm(tip[-1] - tip[-3]) < 0.01
    speed = np.linalg.norm(np.diff(tip, axis=0), axis=1) / CONTRACT.control_period
    assert 0.3 < speed[low[1:]].max() < 0.5


def test_every_second_strike_is_the_mirror_image():
    policy = scripted_policy(STRIKE, CONTRACT, {**SIZE, "place": 0.5})
    first, second, third = (ways(policy, number * 70 * CONTRACT.control_period) for number in range(3))
    centre = (first[-1, :2] + second[-1, :2]) / 2
    assert centre == pytest.approx(PUCK, abs=0.02)
    assert np.linalg.norm(first[-1] - second[-1]) > 0.15
    assert third == pytest.approx(first)


def test_settings_travel_with_the_file_and_are_checked(tmp_path):
    scripted_artifact(CONTRACT, {**SIZE, "speed": 0.7}, STRIKE).save(tmp_path / "strike.isthmus")
    found = Artifact.load(tmp_path / "strike.isthmus").policy()
    assert ways(found) == pytest.approx(ways(scripted_policy(STRIKE, CONTRACT, {**SIZE, "speed": 0.7})))
    assert STRIKE not in scripted_tasks()
    assert settings_of("reach") == {}
    rod = get_task("rod").contract
    with pytest.raises(ValueError, match="no setting 'colour'; Known: balance_point"):
        scripted_policy("rod", rod, {"colour": 1.0})
    with pytest.raises(ValueError, match=r"setting 'balance_point' of the script of 'rod' must be in -0\.14 … 0\.14, got 3"):
        scripted_artifact(rod, {"balance_point": 3.0})
    with pytest.raises(ValueError, match="a strike is of one object; the contract observes none"):
        scripted_policy(STRIKE, exploration_contract(get_task("reach")))
