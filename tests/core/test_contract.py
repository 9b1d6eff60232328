import dataclasses
import json
import math

import numpy as np
import pytest
from sample_contract import PENDULUM, UR5E, joint_signal, make_contract

from isthmus import Box, CameraSpec, Contract, Limits, Signal, load_robot, strict

CONTRACT = make_contract()


def written(**changes):
    return {**json.loads(CONTRACT.to_json()), **changes}


def test_a_contract_survives_json_and_yaml_with_its_digest(tmp_path):
    assert Contract.from_json(CONTRACT.to_json()).digest() == CONTRACT.digest()
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT.to_json().decode())  # JSON is YAML
    assert Contract.from_yaml(path) == Contract.from_json(CONTRACT.to_json())


def test_equal_contracts_have_equal_digests_however_their_numbers_are_written():
    assert make_contract(period=1).digest() == make_contract(period=1.0).digest()
    start = {"elbow_joint": (0.0, 1.0)}
    assert make_contract(start=start).digest() == make_contract(start={"elbow_joint": [-0.0, 1]}).digest()
    assert make_contract(period=0.05).digest() != make_contract(period=0.04).digest()


def test_limits_and_a_box_of_numpy_make_the_same_contract():
    own = CONTRACT.limits
    limits = dataclasses.replace(own, velocity=np.array(own.velocity), effort=tuple(np.float32(value) for value in own.effort))
    boxed = dataclasses.replace(own, workspace=Box((-1.0, -1.0, 0.0), (1.0, 1.0, 1.0)))
    arrays = dataclasses.replace(limits, workspace=Box(np.array([-1.0, -1.0, 0.0]), np.ones(3)))
    assert dataclasses.replace(CONTRACT, limits=arrays) == dataclasses.replace(CONTRACT, limits=boxed)
    assert dataclasses.replace(CONTRACT, limits=arrays).digest() == dataclasses.replace(CONTRACT, limits=boxed).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, r"contract: unknown key 'colour'"),
        ({"horizn": 1}, r"unknown key 'horizn'; did you mean 'horizon'\?"),
        ({"horizon": 0}, r"horizon must be >= 1, got 0"),
        ({"horizon": 1.5}, r"contract.horizon must be an integer, got 1.5"),
        ({"horizon": True}, r"contract.horizon must be an integer, got True"),
        ({"control_period": "inf"}, r"control_period must be > 0 s, got inf s"),
        ({"control_period": 10**400}, r"contract.control_period must be a number that fits"),
        ({"start": {"elbow_joint": [0.0]}}, r"contract.start.elbow_joint must have 2 entries, got 1"),
        ({"start": {"elbow_joint": [0.0, 0.0]}}, r"start of elbow_joint must be a finite position and a tolerance > 0"),
        ({"observation": []}, r"at least one observation signal"),
    ],
)
def test_bad_contracts_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        Contract.from_data(written(**changes))


def test_a_missing_key_is_named():
    data = written()
    del data["limits"]["velocity"]
    with pytest.raises(ValueError, match=r"contract.limits: key 'velocity' is missing"):
        Contract.from_data(data)


def test_duplicate_keys_and_nan_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"policy.json: key 'robot' appears twice"):
        Contract.from_json('{"robot": "a", "robot": "b"}', "policy.json")
    with pytest.raises(ValueError, match="NaN is not JSON"):
        Contract.from_json('{"control_period": NaN}')
    path = tmp_path / "contract.yaml"
    path.write_text("robot: a\ntask: b\nrobot: c\n")
    with pytest.raises(ValueError, match=r"contract.yaml:3: key 'robot' appears twice"):
        Contract.from_yaml(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "deg"}, r"unit of joint_position must be one of rad, m, got 'deg'"),
        ({"elements": ()}, r"elements must not be empty"),
        ({"elements": ("a", "a")}, r"elements must be unique"),
        ({"low": (0.0,)}, r"low must have 2 entries, one per element, got 1"),
        ({"low": (math.nan, 0.0)}, r"low\[0\] must be a number, got nan"),
        ({"high": (1.0, -1.0)}, r"low must be < high, got 0.0 and -1.0 for b"),
        ({"history": 0}, r"history and stride must be >= 1, got 0 and 1"),
        ({"dtype": "uint8"}, r"dtype must be uint8 for images"),
        ({"camera": CameraSpec(4, 4)}, r"a camera belongs to an image signal"),
        ({"source": "pose", "unit": "m"}, r"unknown component 'a'"),
    ],
)
def test_bad_signals_are_refused_by_name(changes, message):
    signal = Signal("s", "joint_position", ("a", "b"), "rad", (0.0, 0.0), (1.0, 1.0))
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(signal, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"velocity": (0.0,) * 6}, r"velocity must be > 0, got 0.0 for shoulder_pan_joint"),
        ({"effort": (math.nan,) * 6}, r"effort must be > 0, got nan"),
        ({"position_low": (9.0,) * 6}, r"position_low must be < position_high, got 9.0"),
        ({"position_low": (1.0,) * 6, "position_high": (1.0,) * 6}, r"position_low must be < position_high, got 1.0 and 1.0"),
        ({"stop_acceleration": (math.inf,) * 6}, r"stop_acceleration must be finite, got inf"),
        ({"velocity": (1.0,)}, r"velocity must have 6 entries"),
    ],
)
def test_bad_limits_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(UR5E.limits(), **changes)


def test_limits_are_compared_by_joint_and_box():
    limits = UR5E.limits()
    small, large = Box((-1, -1, 0), (1, 1, 1)), Box((-2, -1, 0), (1, 1, 1))
    assert not limits.looser_than(limits)
    assert not dataclasses.replace(limits, workspace=small).looser_than(dataclasses.replace(limits, workspace=large))
    (line,) = dataclasses.replace(limits, workspace=large).looser_than(dataclasses.replace(limits, workspace=small))
    assert line == "workspace is (-2, -1, 0) … (1, 1, 1) m, allowed is (-1, -1, 0) … (1, 1, 1) m"
    (line,) = dataclasses.replace(limits, position_low=(-9.0, *limits.position_low[1:])).looser_than(limits)
    assert line == "position_low of shoulder_pan_joint is -9, allowed is -6.28319"
    others = dataclasses.replace(
        limits, joints=("torso", *limits.joints[1:])
    )  # a joint that one of both lacks is not compared, and the rest are
    (line,) = dataclasses.replace(others, effort=(999.0,) * 2 + limits.effort[2:]).looser_than(limits)
    assert line == f"effort of {limits.joints[1]} is 999, allowed is {limits.effort[1]:g}"
    (line,) = limits.looser_than(dataclasses.replace(limits, workspace=small))
    assert line == "there is no workspace box, the allowed one is (-1, -1, 0) … (1, 1, 1) m"


def test_the_tightest_of_two_limits_is_looser_than_neither():
    one = dataclasses.replace(UR5E.limits(), velocity=(1.0,) * 6, position_low=(-1.0,) * 6, workspace=Box((-1, -1, 0), (1, 1, 1)))
    turned = {
        field.name: getattr(UR5E.limits(), field.name)[::-1] for field in dataclasses.fields(Limits) if field.name not in ("workspace",)
    }
    other = Limits(**turned | {"stop_acceleration": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)}, workspace=Box((-2, 0, 0), (0.5, 2, 2)))
    both = one.tightest(other)
    assert both.looser_than(one) == both.looser_than(other) == []
    assert both.joints == one.joints
    assert both.stop_acceleration == (6.0, 5.0, 4.0, 3.0, 2.0, 1.0)
    assert both.velocity == one.velocity
    assert both.workspace == Box((-1, 0, 0), (0.5, 1, 1))
    assert one.tightest(UR5E.limits()) == UR5E.limits().tightest(one) == one
    assert PENDULUM.limits().tightest(one).joints == ("hinge",)


def test_a_box_has_a_low_and_a_high_corner():
    with pytest.raises(ValueError, match=r"^box: low must be < high, got 0.5 m and 0.5 m along y$"):
        Box((0.0, 0.5, 0.0), (1.0, 0.5, 1.0))
    for corners in (((0.0, 0.0), (1.0, 1.0, 1.0)), ((0.0, 0.0, 0.0), (1.0, 1.0)), ((0.0,) * 4, (1.0,) * 4)):
        with pytest.raises(ValueError, match="argument"):
            Box(*corners)


def test_a_joint_that_others_lack_is_not_looser_than_theirs():
    assert PENDULUM.limits().looser_than(UR5E.limits()) == []


def test_limits_that_exclude_each_other_are_refused():
    limits = UR5E.limits()
    left, right = (dataclasses.replace(limits, workspace=Box((x, 0, 0), (x + 1, 1, 1))) for x in (0, 1))
    with pytest.raises(ValueError, match=r"workspaces do not overlap: \(0, 0, 0\) … \(1, 1, 1\) m and \(1, 0, 0\)"):
        left.tightest(right)


def test_differences_are_told_so_that_a_person_can_act():
    names = UR5E.joint_names
    swapped = dataclasses.replace(CONTRACT.observation[0], elements=(names[2], names[1], names[0], *names[3:]))
    other = dataclasses.replace(CONTRACT, observation=(swapped, *CONTRACT.observation[1:]), control_period=0.04)
    assert CONTRACT.diff(CONTRACT) == []
    assert CONTRACT.diff(other) == [
        "control_period is 0.05 here, 0.04 there",
        "signal 'position': order differs: shoulder_pan_joint is 1st here, 3rd there",
    ]
    fewer = dataclasses.replace(CONTRACT, observation=CONTRACT.observation[:-1])
    assert CONTRACT.diff(fewer) == ["signal 'goal' is observed here, not there"]
    turned = dataclasses.replace(CONTRACT, observation=CONTRACT.observation[::-1])
    assert CONTRACT.diff(turned) == [
        "signal order differs: position, velocity, previous, goal here, goal, previous, velocity, position there"
    ]


def test_a_policy_fits_its_robot_and_says_why_it_does_not_fit_another():
    assert CONTRACT.fits(UR5E) == []
    problems = "\n".join(CONTRACT.fits(PENDULUM))
    assert "policy was made for robot 'ur5e', this is 'pendulum'" in problems
    assert "'action' expects joint 'elbow_joint', which robot 'pendulum' does not have (its joints: hinge)" in problems
    assert "policy commands velocity; robot 'pendulum' accepts effort" in problems
    assert make_contract(period=0.5).fits(UR5E) == ["policy runs every 0.5 s; robot 'ur5e' can be commanded every 0.002 to 0.1 s"]


def test_units_and_limits_are_part_of_the_fit():
    metres = joint_signal("position", UR5E, "joint_position", "m")
    problems = make_contract(signals=(metres,)).fits(UR5E)
    assert problems[0] == "signal 'position' has shoulder_pan_joint in m, but shoulder_pan_joint of 'ur5e' is revolute"
    fast = make_contract(limits=dataclasses.replace(UR5E.limits(), velocity=(4.0,) * 6))
    assert fast.fits(UR5E) == []  # the guard of this robot is tighter than the one in training
    low = make_contract(limits=dataclasses.replace(UR5E.limits(), position_low=(-9.0,) * 6, position_high=(-8.0,) * 6))
    assert low.fits(UR5E) == [
        "nothing is left of the limits of training within the robot's: "
        "limits: position_low must be < position_high, got -6.283185307179586 and -8.0 for shoulder_pan_joint"
    ]


def test_a_file_that_brakes_less_than_half_as_hard_as_its_robot_does_not_fit():
    """Issue 14, line 9."""
    limits = UR5E.limits()
    half = make_contract(limits=dataclasses.replace(limits, stop_acceleration=(7.5,) * 6))
    assert half.fits(UR5E) == []
    weak = make_contract(limits=dataclasses.replace(limits, stop_acceleration=(15.0, 0.01, *(15.0,) * 4)))
    assert weak.fits(UR5E) == ["stop_acceleration of shoulder_lift_joint is 0.01, allowed is 7.5 or more, half of that of robot 'ur5e'"]


def test_a_policy_that_leaves_a_joint_out_does_not_fit():
    """Issue 14, line 11: it passed, and the first command ended guard_node with a KeyError."""
    five = dataclasses.replace(UR5E, joints=UR5E.joints[:5], hold=None, ros=None)
    contract = make_contract(robot=five)
    assert contract.fits(UR5E) == ["policy does not command joint 'wrist_3_joint', but robot 'ur5e' is commanded in all its joints at once"]


def test_each_joint_is_in_the_unit_of_its_kind():
    robot = load_robot("ur5e_gripper")
    fingers, arm = (dataclasses.replace(robot, joints=joints) for joints in (robot.joints[6:], robot.joints[:6]))
    mixed = ", ".join(["rad"] * 6 + ["m"] * 2)
    assert (robot.unit("position"), fingers.unit("velocity"), arm.unit("effort")) == (mixed, "m/s", "N*m")
    wrong_fingers = [f"signal 'position' has {name} in rad, but {name} of 'ur5e_gripper' is prismatic" for name in fingers.joint_names]
    wrong_arm = [f"signal 'position' has {name} in m, but {name} of 'ur5e_gripper' is revolute" for name in arm.joint_names]
    for joints, unit, problems in (
        (robot, mixed, []),
        (robot, "rad", wrong_fingers),
        (robot, "m", wrong_arm),
        (fingers, "m", []),
        (fingers, "rad", wrong_fingers),
    ):
        contract = make_contract(signals=(joint_signal("position", joints, "joint_position", unit),))
        assert [problem for problem in contract.fits(robot) if "'position'" in problem] == problems


def test_units_are_written_once_or_one_per_element():
    for unit, message in (
        ("rad, m", "signal 'q': unit must be one for all of its 3 elements, or, where they differ, one for each, got 'rad, m'"),
        ("m, m, m", "signal 'q': unit must be one for all of its 3 elements"),
        ("rad, m, s", "signal 'q': unit of joint_position must be one of rad, m, got 's'"),
    ):
        with pytest.raises(ValueError, match=message):
            Signal("q", "joint_position", ("a", "b", "c"), unit, (-1.0,) * 3, (1.0,) * 3)
    signal = Signal("q", "input", ("a", "b", "c"), "rad, rad, m", (-1.0,) * 3, (1.0,) * 3)
    assert signal.problem((0.0, 0.0, 2.0)) == "c must be from -1 to 1 m, got 2 m"


def test_an_unknown_signal_suggests_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'goal'"):
        CONTRACT.signal("gaol")


def test_canonical_form_is_stable():
    assert strict.canonical_json({"b": (1.0, -0.0, math.inf), "a": None}) == b'{"a":null,"b":[1.0,0.0,"inf"]}'
