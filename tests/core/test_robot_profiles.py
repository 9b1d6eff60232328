"""Every shipped profile inherits the suite; profiles are discovered, so a new folder under robots/ is tested without a line here."""

import dataclasses
from pathlib import Path
from types import new_class

import pytest
from sample_contract import PENDULUM, UR5E

from isthmus import Box, load_robot, robot_names
from isthmus.testing import RobotProfileSuite

for _name in robot_names():
    _title = "Test" + _name.title().replace("_", "")
    globals()[_title] = new_class(_title, (RobotProfileSuite,), {}, lambda members, name=_name: members.update(robot=load_robot(name)))


class TestDeskArm(RobotProfileSuite):
    robot = load_robot("desk_arm", [Path(__file__).parents[2] / "examples" / "my_lab" / "my_lab" / "robots"])


def suite(robot, **changes):
    checks = RobotProfileSuite()
    checks.robot = dataclasses.replace(robot, **changes)
    return checks


def joints(robot, **changes):
    return (dataclasses.replace(robot.joints[0], **changes), *robot.joints[1:])


def test_every_profile_inherits_the_suite():
    assert {child.robot.name for child in RobotProfileSuite.__subclasses__()} >= set(robot_names())


@pytest.mark.parametrize(
    ("check", "robot", "changes", "message"),
    [
        (
            "lag_is_told_from_a_dead_motor_and_a_runaway",
            UR5E,
            {"monitors": dataclasses.replace(UR5E.monitors, tracking_lag=0.2)},
            "lags by",
        ),
        (
            "it_brakes_in_time_towards_every_wall",
            UR5E,
            {"monitors": dataclasses.replace(UR5E.monitors, tracking_tolerance=1e-6)},
            "gives up",
        ),
        ("the_workspace_box_holds_the_home_pose", UR5E, {"workspace": Box((0.5, 0.5, 0.5), (1, 1, 1))}, "outside the box"),
        ("the_urdf_agrees_with_the_profile", UR5E, {"tool_frame": "tool9"}, "'tool9' is no link"),
        ("the_ros_block_is_complete", UR5E, {"ros": dataclasses.replace(UR5E.ros, state_rate=20.0)}, "are stale"),
        ("the_ros_block_is_complete", UR5E, {"ros": dataclasses.replace(UR5E.ros, transports={})}, "has no topic"),
        ("the_urdf_agrees_with_the_profile", UR5E, {"joints": joints(UR5E, velocity=4.0)}, "velocity 4.0 is above"),
        ("the_urdf_agrees_with_the_profile", UR5E, {"joints": joints(UR5E, position=(-7.0, 7.0))}, "is beyond"),
        ("the_urdf_agrees_with_the_profile", PENDULUM, {"joints": joints(PENDULUM, name="door")}, "'door' is no joint"),
    ],
)
def test_a_profile_that_is_wrong_is_found_out(check, robot, changes, message):
    with pytest.raises(AssertionError, match=message):
        getattr(suite(robot, **changes), f"test_{check}")()


def test_a_folder_of_profiles_that_is_not_there_is_no_folder_without_that_robot(tmp_path):
    """On 10744d1 `isthmus faults ur5e --robots-dir typo` measured the installed profile without a word."""
    assert load_robot("ur5e", [tmp_path]) == load_robot("ur5e")
    with pytest.raises(ValueError, match=r"there is no folder .*typo; it must hold NAME/robot\.yaml"):
        load_robot("ur5e", [tmp_path / "typo"])
