"""Random robots: one for the core and for both engines, or refused in a sentence; and numbers that come back as they were written."""

import math
import os
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urdf_parts import body, imported, joint

from isthmus import strict
from isthmus.kinematics import Kinematics
from isthmus.numerals import number_text
from isthmus.robot import Robot
from isthmus_sim.engine_agreement import compare_engines

EXAMPLES = int(os.environ.get("ISTHMUS_EXAMPLES", "15"))  # of random files; more of them find rarer ones
MEAN = 'ixx="0.002" iyy="0.002" izz="0.002"'


LENGTHS = st.sampled_from([1e-200, 1e-6, 1.0, 1.0, 30.0, 1e200])
AXES = st.tuples(*[st.floats(-2, 2)] * 3, LENGTHS).map(lambda axis: [part * axis[3] for part in axis[:3]])
ENDS = st.floats(-4, 4, allow_subnormal=False)  # which are zero to a processor that a library has told so
LIMITS = st.tuples(ENDS, ENDS, st.sampled_from([-1.0, 0.0, 0.01, 2.5, 1e5]), st.sampled_from([-1.0, 0.0, 1e-5, 30.0, "inf"]))
MOMENTS = st.sampled_from([0.0, -1e-9, 1e-19, 0.002, 0.05])


@st.composite
def descriptions(draw):
    """Small trees of links with everything that somebody's file may have."""
    parts, names, movers = ['<link name="link0"/>' if draw(st.booleans()) else body("link0")], ["link0"], []
    for number in range(1, draw(st.integers(2, 6))):
        parent, child = draw(st.sampled_from(names)), f"link{number}"
        kind = draw(st.sampled_from(["revolute", "continuous", "prismatic", "fixed"])) if number > 1 else "revolute"
        low, high, speed, effort = draw(LIMITS)
        limit = f'lower="{low}" upper="{high}" velocity="{speed}" effort="{effort}"'
        text = joint(f"joint{number}", parent, child, kind, " ".join(map(str, draw(AXES))), limit, "0.1 0.02 0.05")
        text = text.replace("<origin ", f'<origin rpy="{draw(st.floats(-7, 7))} {draw(st.sampled_from([0.0, 0.5, math.pi / 2]))} 0.3" ')
        if movers and kind != "fixed" and draw(st.integers(0, 4)) == 0:
            text = text.replace("</joint>", f'<mimic joint="{draw(st.sampled_from(movers))}" multiplier="-0.5" offset="0.1"/></joint>')
        elif kind != "fixed":
            movers.append(f"joint{number}")
        mass = draw(st.sampled_from([None, 0.0, 1e-4, 0.5]))
        moments = " ".join(f'i{axis * 2}="{draw(MOMENTS)}"' for axis in "xyz")
        parts += [text, f'<link name="{child}"/>' if mass is None else body(child, m=mass).replace(MEAN, moments)]
        names.append(child)
    return parts


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
@given(parts=descriptions())
def test_any_small_urdf_is_one_robot_for_all_or_refused_in_a_sentence(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("any")
    try:
        robot, refusal = imported(folder, *parts).robot, ""
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        return
    report = compare_engines(robot)
    assert not report.broken, report.lines
    assert not [line for line in report.lines if "kinematics" in line or "travels" in line or "mass matrix" in line], report.lines
    assert all(far < 1e-6 for far, _ in report.apart.values())
    assert Kinematics(robot.urdf_path).links[0] == "link0"
    said = {
        element.get("name"): element.find("limit")
        for element in ElementTree.fromstring("".join(["<robot>", *parts, "</robot>"])).iter("joint")
    }
    for own in robot.joints:  # a number that is one comes back as it was
        for word, value in (("velocity", own.velocity), ("effort", own.effort), ("lower", own.position[0]), ("upper", own.position[1])):
            given = float(said[own.name].get(word))
            if word in ("velocity", "effort"):
                assert value == given or not 0 < given < math.inf
            elif own.type != "continuous" and float(said[own.name].get("lower")) < float(said[own.name].get("upper")):
                assert value == given
    again = strict.decode(Robot, strict.load_json(strict.canonical_json(robot), "robot"), "robot")
    assert again == robot


@given(st.floats(allow_nan=False))
def test_any_number_is_read_back_as_it_was_written(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("number") / "n.yaml"
    path.write_text(f"a: {number_text(value)}\n")
    assert strict.decode(float, strict.load_yaml(path)["a"], "a") == value
    assert float(number_text(value)) == value
