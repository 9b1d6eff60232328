import dataclasses
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from sample_contract import PENDULUM, UR5E

from isthmus import CameraSpec, load_robot, robot_names, strict
from isthmus.kinematics import Kinematics
from isthmus.robot import Camera
from isthmus.robot.agreement import profile_problems


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
  - {name: hinge, home: 0.0, position: [-1, 1], velocity: 1, acceleration: 2, stop_acceleration: 2, effort: 3}
"""

URDF = """<robot name="mine">
  <link name="base"/>
  <joint name="hinge" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" velocity="1" effort="3"/></joint>
  <link name="arm"/>
  <joint name="mount" type="fixed"><parent link="arm"/><child link="tip"/></joint>
  <link name="tip"/>
  <joint name="rail" type="prismatic"><parent link="tip"/><child link="finger"/><limit lower="-1" upper="1" velocity="1" effort="3"/></joint>
  <link name="finger"/>
</robot>
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
    (tmp_path / "mine" / "mine.urdf").write_text(URDF)
    assert load_robot("mine", [tmp_path]).joint_names == ("hinge",)
    assert "mine" in robot_names([tmp_path])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: mine", "name: yours", r"name is 'yours', the folder is 'mine'"),
        ("[velocity]", "[torque]", r"unknown command mode 'torque'; .*Known: effort, position, twist, velocity"),
        ("velocity: 1", "velocty: 1", r"joints\[0\]: unknown key 'velocty'; did you mean 'velocity'"),
        ("home: 0.0", "home: .nan", r"joints\[0\].home must be a number, got nan"),
        ("home: 0.0", "home: 9.0", r"home 9.0 is outside its limits -1.0 … 1.0"),
        ("home: 0.0", "home: 0.0, servo: {position_gain: -1}", r"servo: position_gain must be >= 0 and finite, got -1"),
        ("home: 0.0", "home: 0.0, servo: {armature: .inf}", r"servo: armature must be >= 0 and finite, got inf"),
        ("name: mine", "name: mine\nmonitors: {tracking_lag: -1}", r"monitors: tracking_lag must be >= 0 and finite, got -1"),
        ("name: mine", "name: mine\nmonitors: {standstill: .inf}", r"monitors: standstill must be > 0 and finite, got inf"),
        ("name: mine", "name: mine\nmonitors: {standstill: 0.0}", r"monitors: standstill must be > 0 and finite, got 0.0"),
        ("name: mine", "name: mine\nmonitors: {standstill: 1.0}", r"standstill must be at most 0.2, a fifth .* \(1 of 'hinge'\), got 1$"),
        (
            "name: mine",
            "name: mine\nmonitors: {standstill: 0.21}",
            r"standstill must be at most 0.2, a fifth of the smallest velocity limit",
        ),
        (
            "name: mine",
            "name: mine\nros: {command_topics: {velocity: c}, speed_scaling: {topic: s, full: 100, tolerance: 99.9}}",
            r"speed_scaling: tolerance must be 0 … 10, a tenth of full, got 99.9",
        ),
        (
            "name: mine",
            "name: mine\nros: {command_topics: {velocity: c}, speed_scaling: {topic: s, full: 1, tolerance: 0.2}}",
            r"speed_scaling: tolerance must be 0 … 0.1, a tenth of full, got 0.2",
        ),
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


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("velocity: 1", "velocity: .inf", r"joint 'hinge': velocity must be finite, got inf"),
        ("velocity: 1", "velocity: -1", r"joint 'hinge': velocity must be > 0, got -1"),
        ("effort: 3", "effort: 0", r"joint 'hinge': effort must be > 0, got 0"),
        (" acceleration: 2", " acceleration: -2", r"joint 'hinge': acceleration must be > 0, got -2"),
        ("[-1, 1]", "[1, -1]", r"position must be the lower and the upper limit, got 1.0 and -1.0"),
        ("[-1, 1]", "[-1, inf]", r"one of its position limits is missing"),
        ("home: 0.0", "home: 0.0, type: continuous", r"a continuous joint has no position limits"),
        ("home: 0.0", "home: 0.0, type: prismatic", r"joint 'hinge' is prismatic in the profile and revolute in mine.urdf"),
        ("hinge,", "rail,", r"joint 'rail' is revolute in the profile and prismatic in mine.urdf"),
        ("hinge,", "hing,", r"'hing' is no joint of mine.urdf; did you mean 'hinge'\?"),
        ("[-1, 1]", "[-2, 1]", r"position -2 … 1 is beyond -1 … 1 of mine.urdf"),
        ("velocity: 1", "velocity: 2", r"velocity 2.0 is above 1 of mine.urdf"),
        ("tool_frame: tip", "tool_frame: tap", r"tool_frame 'tap' is no link of mine.urdf; did you mean 'tip'\?"),
        ("base_frame: base", "base_frame: arm", r"base_frame must be the root link of mine.urdf, 'base', got 'arm'"),
        (
            "tool_frame: tip",
            "tool_frame: finger\nros: {command_topics: {velocity: c}}",
            r"joint 'rail' of mine.urdf moves tool_frame 'finger' and is missing in the profile",
        ),
        (
            "joints:",
            "workspace_points: [tip, finger]\nworkspace: {low: [-1, -1, -1], high: [1, 1, 1]}\njoints:",
            r"joint 'rail' of mine.urdf moves workspace point 'finger' and is missing",
        ),
        ("joints:", "workspace_points: [elbow]\njoints:", r"workspace point 'elbow' is no link"),
        (
            "joints:",
            "control_period: [0.1, 0.01]\njoints:",
            r"control_period must be the shortest and the longest, > 0 s, got 0.1 and 0.01",
        ),
        (
            "joints:",
            "ros: {command_topics: {velocity: a topic}}\njoints:",
            r"command_topics.velocity must be a relative name .* got 'a topic'",
        ),
        (
            "joints:",
            "ros: {transport: trajctory, command_topics: {velocity: c}}\njoints:",
            r"ros.transport: .*'trajctory'; did you mean 'trajectory'",
        ),
        (
            "joints:",
            "ros: {transports: {trajctory: t}, command_topics: {velocity: c}}\njoints:",
            r"ros.transports: unknown .* 'trajectory'",
        ),
        (
            "joints:",
            "ros: {state_topic: c, command_topics: {velocity: c}}\njoints:",
            r"state_topic and command_topics.velocity are both 'c'",
        ),
        (
            "joints:",
            "ros: {transports: {trajectory: c}, command_topics: {velocity: c}}\njoints:",
            r"command_topics.velocity and transports.trajectory are both 'c', and a topic has messages of one type",
        ),
        (
            "joints:",
            "ros: {controllers: {forward_velocity: a b}, command_topics: {velocity: c}}\njoints:",
            r"ros.controllers.forward_velocity must be the name of a node, or \* for any, got 'a b'",
        ),
        (" effort: 3", " effort: 1e6", r"effort must be a number, got '1e6', which YAML takes for a word: write 1000000"),
        ("joints:", "ros: {state_topic: gelenk_ä, command_topics: {velocity: c}}\njoints:", r"state_topic must be a relative name"),
        ("command_modes: [velocity]", "command_modes: [velocity, velocity]", r"command_modes must be unique, got velocity, velocity"),
        ("joints:", "ros: {state_topic: /states, command_topics: {velocity: c}}\njoints:", r"state_topic must be a relative name"),
    ],
)
def test_a_profile_that_is_unsafe_or_contradicts_its_urdf_is_refused(tmp_path, before, after, message):
    own_robot(tmp_path, text=MINE)
    (tmp_path / "mine" / "mine.urdf").write_text(URDF)
    load_robot("mine", [tmp_path])
    (tmp_path / "mine" / "robot.yaml").write_text(MINE.replace(before, after, 1))
    with pytest.raises(ValueError, match=message):
        load_robot("mine", [tmp_path])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("<robot", "robot", "is not XML"),
        ('child link="tip"', 'child link="arm"', "link 'arm' is the child of two joints"),
        ('parent link="arm"', 'parent link="leg"', "the parent of joint 'mount' is no link"),
        ('xyz="0 0 1"', 'xyz="0 0 0"', "an axis must be three numbers that are not all 0"),
        ('xyz="0 0 1"', 'xyz="0 1"', "expected three numbers"),
    ],
)
def test_a_urdf_that_cannot_be_read_is_a_sentence(tmp_path, before, after, message):
    own_robot(tmp_path, text=MINE)
    (tmp_path / "mine" / "mine.urdf").write_text(URDF.replace(before, after))
    with pytest.raises(ValueError, match=message):
        load_robot("mine", [tmp_path])


def test_a_robot_has_joints_and_modes_and_its_cameras_see():
    for empty in ("joints", "command_modes"):
        with pytest.raises(ValueError, match=f"robot 'pendulum': {empty}: a robot needs at least one, got none"):
            dataclasses.replace(PENDULUM, hold=None, **{empty: ()})
    camera = Camera("eye", "tip", (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0, CameraSpec(8, 8))
    for angle in (0.0, -1.0, math.pi, math.inf):
        with pytest.raises(ValueError, match=r"camera 'eye': field_of_view must be > 0 and < pi rad, got "):
            dataclasses.replace(camera, field_of_view=angle)
    with pytest.raises(ValueError, match=r"camera 'eye': look_at must be another point than position"):
        dataclasses.replace(camera, look_at=camera.position)


def test_a_joint_that_a_profile_forgets_is_named(tmp_path):
    """Forward kinematics took the elbow as straight: the box was checked for a tool that was elsewhere."""
    place = own_robot(tmp_path, "ur5e") / "ur5e"
    (place / "ur5e.urdf").write_bytes(UR5E.urdf_path.read_bytes())
    for name in UR5E.joint_names:
        forgetful = dataclasses.replace(
            UR5E, joints=tuple(joint for joint in UR5E.joints if joint.name != name), hold=None, folder=str(place)
        )
        moved = [problem for problem in profile_problems(forgetful) if f"joint {name!r} of ur5e.urdf moves" in problem]
        assert len(moved) == 1
        assert "tool_frame 'tool0'" in moved[0]


def test_a_model_that_is_only_simulated_may_have_passive_joints(tmp_path):
    own_robot(tmp_path, text=MINE.replace("tool_frame: tip", "tool_frame: finger"))
    (tmp_path / "mine" / "mine.urdf").write_text(URDF)
    assert load_robot("mine", [tmp_path]).ros is None


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


@pytest.mark.parametrize("name", ["ur5e", "diffbot", "quadruped"])
@pytest.mark.parametrize("limit", ["velocity", "stop_acceleration", "effort"])
def test_a_robot_of_any_base_has_finite_limits(name, limit):
    robot = load_robot(name)
    endless = dataclasses.replace(robot.joints[-1], **{limit: float("inf")})
    problems = profile_problems(dataclasses.replace(robot, joints=(*robot.joints[:-1], endless)))
    assert f"joint {endless.name!r}: {limit} must be finite, got inf" in problems
