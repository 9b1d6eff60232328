"""What code hands to the public classes and functions, of a wrong type, is refused in one sentence that names it."""

import dataclasses

import numpy as np
import pytest

import isthmus
from isthmus.robot import Servo

ROBOT = isthmus.load_robot("ur5e")
SIGNAL = isthmus.Signal("q", "joint_position", ("a", "b"), "rad", (-1.0, -1.0), (1.0, 1.0))
CONTRACT = isthmus.Contract(
    robot="r",
    task="t",
    observation=(SIGNAL,),
    action=dataclasses.replace(SIGNAL, source="joint_velocity", unit="rad/s"),
    limits=isthmus.Limits(("a", "b"), *[(low, low) for low in (-1.0, 1.0, 1.0, 1.0, 1.0, 1.0)]),
    control_period=0.1,
    start={"a": (0.0, 0.1)},
)
BUILT = [CONTRACT, SIGNAL, isthmus.CameraSpec(2, 3), ROBOT, ROBOT.joints[0], ROBOT.base, ROBOT.monitors, ROBOT.ros, Servo()]
WRONG = [None, 3, -1, 1.5, True, "nonsense", "", b"x", [], [1, 2], {}, {"a": 1}, ("a",), object(), float("nan"), np.zeros(3), len]


@pytest.mark.parametrize("built", BUILT, ids=lambda built: type(built).__name__)
def test_a_field_of_a_wrong_type_is_one_sentence(built):
    sentences = []
    for field in dataclasses.fields(built):
        for wrong in WRONG:
            try:
                dataclasses.replace(built, **{field.name: wrong})
            except ValueError as error:
                sentences.append(str(error))
    assert len(sentences) > 8 * len(dataclasses.fields(built))
    assert not [sentence for sentence in sentences if "\n" in sentence]


def test_the_sentence_names_the_field_and_the_value():
    with pytest.raises(ValueError, match=r"^signal 'q': unit must be of type str, got None$"):
        dataclasses.replace(SIGNAL, unit=None)
    with pytest.raises(ValueError, match=r"^contract: action must be a mapping or a Signal, got 3$"):
        dataclasses.replace(CONTRACT, action=3)
    with pytest.raises(ValueError, match=r"^joint 'j': velocity must be a number, got 'fast'$"):
        dataclasses.replace(ROBOT.joints[0], name="j", velocity="fast")


def test_numbers_of_numpy_and_lists_become_plain_ones():
    built = dataclasses.replace(SIGNAL, elements=["a", "b"], low=np.full(2, -2, np.float32), high=[np.int64(1), 1.0], history=np.int64(2))
    assert (built.elements, built.low, built.high, built.history) == (("a", "b"), (-2.0, -2.0), (1.0, 1.0), 2)
    assert {type(value) for value in (*built.low, *built.high)} == {float}
    assert type(built.history) is int


@pytest.mark.parametrize("name", [None, 3, 1.5, b"ur5e", ["ur5e"], {}, object(), np.zeros(3)])
def test_what_is_no_name_of_a_robot_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"^unknown robot .*Known: .*ur5e"):
        isthmus.load_robot(name)


@pytest.mark.parametrize("folders", [3, "robots", None, [3], [None]])
def test_what_are_no_folders_of_profiles_is_refused(folders):
    for asked in (lambda: isthmus.load_robot("ur5e", folders), lambda: isthmus.robot_names(folders)):
        with pytest.raises(ValueError, match=r"^(folders must be a list of paths|a folder of profiles must be a path), got "):
            asked()


@pytest.mark.parametrize("wrong", [None, -1, "ur5e", [], {}, object()])
def test_an_observation_builder_says_what_it_needs(wrong):
    for arguments, message in (
        ((wrong, ROBOT, 1), "contract must be of type Contract, got "),
        ((CONTRACT, wrong, 1), "robot must be of type Robot, got "),
        ((CONTRACT, ROBOT, wrong), "batch must be a whole number >= 1, got "),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            isthmus.ObservationBuilder(*arguments)


@pytest.mark.parametrize("wrong", [None, 3, 1.5, b"x", ["x"], object()])
def test_what_is_no_path_of_a_file_is_one_sentence(wrong):
    from isthmus.kinematics import Kinematics
    from isthmus.recording import read_trace

    with pytest.raises(ValueError, match=r"^a URDF must be a path, got "):
        Kinematics(wrong)
    with pytest.raises(ValueError, match=r"^a recording must be a path, got "):
        read_trace(wrong)


def test_a_urdf_that_is_no_xml_is_named(tmp_path):
    from isthmus.kinematics import Kinematics

    (file := tmp_path / "arm.urdf").write_text("robot")
    with pytest.raises(ValueError, match=r"arm\.urdf is no XML: "):
        Kinematics(str(file))
