import dataclasses
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from sample_contract import PENDULUM, UR5E

from isthmus import load_robot, robot_names, strict
from isthmus.kinematics import Kinematics


def own_robot(folder, name="mine", text=None):
    place = folder / name
    place.mkdir()
    (place / "robot.yaml").write_text(text if text is not None else "name: mine\n")
    return folder


MINE = """name: mine
description: one joint
urdf: mine.urdf
base_frame: base
tool_frame: tip
command_modes: [velocity]
joints:
  - {name: hinge, home: 0.0, velocity: 1, acceleration: 2, stop_acceleration: 2, effort: 3}
"""


@pytest.mark.parametrize("name", robot_names())
def test_every_profile_loads_and_agrees_with_its_urdf(name):
    robot = load_robot(name)
    links = Kinematics(robot.urdf_path).links
    assert robot.base_frame == ("odom" if robot.base.kind != "fixed" else links[0])
    assert {robot.tool_frame, *robot.workspace_points} <= set(links)
    limits = robot.limits()
    assert limits.joints == robot.joint_names
    assert (np.array(limits.position_low) <= robot.home).all()
    assert (np.array(limits.position_high) >= robot.home).all()
    assert all(robot.ros.carries(mode) for mode in robot.command_modes)


def test_the_profiles_hold_the_published_numbers():
    assert UR5E.joint_names[2] == "elbow_joint"
    assert UR5E.limits().velocity == (math.pi,) * 6
    assert UR5E.limits().effort == (150, 150, 150, 28, 28, 28)
    assert PENDULUM.limits().effort == (2.0,)
    assert PENDULUM.limits().position_high == (math.inf,)


def test_an_unknown_robot_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"unknown robot 'ur5'; did you mean 'ur5e'\? Known: .*pendulum.*ur5e"):
        load_robot("ur5")


def test_own_folders_are_searched_first(tmp_path):
    own_robot(tmp_path, text=MINE)
    with pytest.raises(ValueError, match=r"URDF 'mine.urdf' is not beside it"):
        load_robot("mine", [tmp_path])
    (tmp_path / "mine" / "mine.urdf").write_text('<robot name="mine"><link name="base"/></robot>')
    assert load_robot("mine", [tmp_path]).joint_names == ("hinge",)
    assert "mine" in robot_names([tmp_path])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: mine", "name: yours", r"name is 'yours', the folder is 'mine'"),
        ("[velocity]", "[torque]", r"unknown command mode 'torque'; .*Known: effort, position, twist, velocity"),
        ("velocity: 1", "velocty: 1", r"joints\[0\]: unknown key 'velocty'; did you mean 'velocity'"),
        ("home: 0.0", "home: .nan", r"joints\[0\].home must be a number, got nan"),
        ("home: 0.0", "home: 9.0, position: [-1, 1]", r"home 9.0 is outside its limits -1.0 … 1.0"),
        ("home: 0.0", "home: 0.0, servo: {position_gain: -1}", r"servo: position_gain must be >= 0 and finite, got -1"),
        ("home: 0.0", "home: 0.0, servo: {armature: .inf}", r"servo: armature must be >= 0 and finite, got inf"),
        ("name: mine", "name: mine\nmonitors: {tracking_lag: -1}", r"monitors: tracking_lag must be >= 0 and finite, got -1"),
        ("name: mine", "name: mine\nmonitors: {standstill: .inf}", r"monitors: standstill must be > 0 and finite, got inf"),
        ("name: mine", "name: mine\nmonitors: {standstill: 0.0}", r"monitors: standstill must be > 0 and finite, got 0.0"),
        ("name: mine", "name: mine\nmonitors: {standstill: 1.0}", r"standstill must be below the velocity limit of each joint, got 1.0"),
        ("name: mine", "name: mine\nmonitors: {runaway_travel: -0.3}", r"monitors: runaway_travel must be > 0, got -0.3"),
        ("name: mine", "name: mine\ncommand_lag: -0.1", r"command_lag must be >= 0 and finite, got -0.1"),
        ("name: mine", "name: mine\nhold: {kp: [.inf], kd: [1.0], gravity: true}", r"hold: kp must be >= 0 and finite, got inf"),
        (
            "name: mine",
            "name: mine\nros: {command_topics: {velocity: c}, state_rate: -1}",
            r"ros: state_rate must be > 0 and finite, got -1",
        ),
        ("home: 0.0", "home: 0.0, type: planar", r"type must be revolute, continuous or prismatic, got 'planar'"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(tmp_path, before, after, message):
    own_robot(tmp_path, text=MINE.replace(before, after, 1))
    with pytest.raises(ValueError, match=message):
        load_robot("mine", [tmp_path])


def test_joint_names_are_unique():
    with pytest.raises(ValueError, match="joint names must be unique"):
        dataclasses.replace(PENDULUM, joints=PENDULUM.joints * 2)


def test_a_profile_that_names_no_thresholds_has_monitors():
    assert all(math.isfinite(getattr(PENDULUM.monitors, field.name)) for field in dataclasses.fields(PENDULUM.monitors))


def test_the_fr3_has_the_published_kinematics_and_masses():
    fr3 = load_robot("fr3")
    flange = Kinematics(fr3.urdf_path).positions(fr3.joint_names, np.zeros((1, 7)), ["fr3_link8"])["fr3_link8"]
    np.testing.assert_allclose(flange, [[0.088, 0.0, 0.926]], atol=1e-12)
    masses = [float(mass.attrib["value"]) for mass in ElementTree.parse(fr3.urdf_path).iter("mass")]
    assert sum(masses) == pytest.approx(17.89141)
    assert fr3.limits().effort == (87, 87, 87, 87, 12, 12, 12)
    assert fr3.hardware == ""


@pytest.mark.parametrize("name", [name for name in robot_names() if (load_robot(name).urdf_path.parent / "controllers.yaml").is_file()])
def test_shipped_controllers_have_the_joints_and_names_of_their_profile(name):
    robot = load_robot(name)
    settings = strict.load_yaml(robot.urdf_path.parent / "controllers.yaml")
    loaded = settings["/**/controller_manager"]["ros__parameters"]
    commanding = {topic.partition("/")[0] for topic in (*robot.ros.command_topics.values(), *robot.ros.transports.values())}
    assert commanding <= set(loaded)
    for controller in commanding:
        assert tuple(settings[f"/**/{controller}"]["ros__parameters"]["joints"]) == robot.joint_names


def test_a_mode_needs_a_topic_of_its_own_or_that_of_trajectories():
    fr3 = load_robot("fr3")
    assert not fr3.ros.command_topics
    assert [fr3.ros.carries(mode) for mode in ("position", "velocity", "effort", "twist")] == [True, True, False, False]
    with pytest.raises(ValueError, match=r"robot 'fr3': ros.command_topics has no topic for mode 'effort'"):
        dataclasses.replace(fr3, command_modes=("position", "effort"))
    with pytest.raises(ValueError, match="has no topic for mode 'position'"):
        dataclasses.replace(fr3, ros=dataclasses.replace(fr3.ros, transports={}, transport=""))
