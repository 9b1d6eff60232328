"""What an MJCF file says and a profile does not is told in a line."""

from pathlib import Path

import pytest

from isthmus_sim.robot_import import import_mjcf

ROD = '<geom type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass="1"/>'
SERVO = '<position name="a" joint="j" kp="50" kv="4"/>'


def imported(folder: Path, *, option="", base="", arm="", joint='axis="0 1 0" range="-1 1"', more="", actuator=SERVO, end=""):
    (folder / "arm.xml").write_text(
        f'<mujoco><compiler angle="radian"/>{option}<worldbody><body name="base" {base}><geom size=".05" mass="1"/>'
        f'<body name="arm" pos="0 0 .1" {arm}><joint name="j" {joint}/>{ROD}{more}</body></body></worldbody>'
        f"<actuator>{actuator}</actuator>{end}</mujoco>"
    )
    return import_mjcf("arm", folder / "arm.xml", folder / "robots")


HELD = "what holds the robot at home is not what the file needs (gravity, gravcomp, springs): j -1.47 N·m instead of "


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"end": '<keyframe><key name="home" qpos="1.4"/></keyframe>'}, "joint j: home 1.4 is beyond its limits -1 … 1, it becomes 1"),
        ({"arm": 'gravcomp="1"'}, "gravity compensation (gravcomp) of arm left out: motors carry the whole weight"),
        ({"arm": 'gravcomp="0.5"'}, HELD + "-0.736"),
        ({"option": '<option gravity="0 0 -1.6"/>'}, "option gravity 0 0 -1.6 m/s² left out: both engines have 0 0 -9.81"),
        ({"option": '<option gravity="0 0 -1.6"/>'}, HELD + "-0.24"),
        ({"option": '<option density="1.2" wind="1 0 0"/>'}, "option density 1.2, wind 1 0 0 left out: a robot moves in nothing"),
        ({"option": '<option><flag limit="disable" gravity="disable"/></option>'}, "what the file switches off stays on: gravity, limit"),
        ({"joint": 'axis="0 1 0" range="-1 1" stiffness="20" springref=".3"'}, HELD + "-7.47"),
        ({"base": 'pos="0 0 1" euler="0 0 1"'}, "the file has base at 0 0 1 m, turned by 1 rad: the profile's frame is that link"),
        ({"base": 'pos="0 0 1" euler="1.5 0 0"'}, "base does not stand upright in the file: it is fixed to a root link world"),
        (
            {"actuator": '<position joint="j" kp="50" ctrlrange="-.5 .5"/>'},
            "actuator of j: its commands (ctrlrange) end at -0.5 0.5, the profile has -1 1 as the joint's limits",
        ),
        (
            {"actuator": '<position joint="j" kp="50" ctrlrange="-.5 .5"/>', "joint": 'axis="0 1 0"'},
            "actuator of j: its commands (ctrlrange) end at -0.5 0.5, the profile has no limits, as the joint",
        ),
        ({"actuator": '<motor joint="j" ctrlrange="-1 3"/>'}, "actuator of j: its ctrlrange -1 3 is not the same to both sides"),
        (
            {"actuator": '<position joint="j" kp="50" forcerange="-1 3"/>'},
            "actuator of j: its forcerange -1 3 is not the same to both sides",
        ),
        ({"actuator": '<motor joint="j" gear="-20"/>'}, "actuator of j: its commands have the gear -20"),
        ({"actuator": '<muscle joint="j"/>'}, "actuator of j: its gain (muscle) and dynamics (muscle) are left out"),
        ({"actuator": '<velocity joint="j" kv="5"/>'}, "actuator of j: it is a servo of velocity with kv 5"),
        (
            {"actuator": '<general joint="j" gainprm="30" biastype="affine" biasprm="1 -50 -2"/>'},
            "actuator of j: its force is 30 × command + 1 - 50 × position - 2 × velocity",
        ),
        ({"actuator": '<velocity name="b" joint="j" kv="2"/>' + SERVO}, "drive no joint or one that has another: b"),
    ],
)
def test_each_difference_is_a_line(tmp_path, said, line):
    notes = imported(tmp_path, **said).notes
    assert any(line in note for note in notes), notes


def test_a_plain_arm_differs_in_nothing(tmp_path):
    assert [note for note in imported(tmp_path).notes if not note.startswith("base taken as fixed")] == []


def test_what_a_profile_can_say_is_taken_over(tmp_path):
    servo = '<velocity joint="j" kv="5" ctrlrange="-4 4" gear="2"/>'
    joint = imported(tmp_path, joint='axis="0 1 0" range="-1 1" ref=".4"', actuator=servo).robot.joints[0]
    assert (joint.velocity, joint.home) == (2, 0.4)
    (other := tmp_path / "other").mkdir()
    joint = imported(other, actuator='<velocity joint="j" kv="2"/>' + SERVO).robot.joints[0]
    assert (joint.servo.position_gain, joint.servo.velocity_gain) == (50, 4)


def test_a_robot_that_hangs_on_a_wall_feels_its_weight_there(tmp_path):
    """The joint's axis is level in the base and upright on the wall: gravity does not turn it."""
    found = imported(tmp_path, base='euler="1.5707963267948966 0 0"')
    assert found.robot.base_frame == "world"
    assert not any("what holds the robot" in note for note in found.notes)


def test_what_is_wrong_is_told_of_the_file_that_was_given(tmp_path):
    with pytest.raises(ValueError, match=r"^\S*arm.xml: joint 'j': damping of <dynamics> must be a finite number >= 0, got '-5'"):
        imported(tmp_path, joint='axis="0 1 0" range="-1 1" damping="-5"')
    assert not (tmp_path / "robots" / "arm").exists()
