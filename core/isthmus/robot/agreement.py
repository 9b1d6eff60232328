"""Whether a profile and its URDF speak of the same robot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from isthmus import strict
from isthmus.kinematics import Kinematics
from isthmus.numerals import decimal
from isthmus.robot.robot import Robot

__all__ = ["profile_problems"]

_ROUNDED = 1e-6  # by which a limit may exceed that of the URDF, relative to 1


def profile_problems(robot: Robot) -> list[str]:
    """What of a profile its URDF contradicts, one sentence each; whoever believed the profile would move another robot than this one."""
    try:
        root = ElementTree.parse(robot.urdf_path).getroot()  # noqa: S314 - a local file that the profile names
        joints = {joint.attrib["name"]: joint for joint in root.findall("joint")}
        if problem := _tree_problem(root):
            return [f"{robot.urdf}: {problem}"]
        kinematics = Kinematics(robot.urdf_path)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        return [f"{robot.urdf} is not XML: {error}"]
    except KeyError as error:
        return [f"{robot.urdf}: an element has no attribute {error}"]
    except ValueError as error:
        return [f"{robot.urdf}: {error}"]
    problems = [
        f"{what} {link!r} is no link of {robot.urdf}; {strict.suggest(link, kinematics.links)}"
        for what, link in _named_links(robot)
        if link not in kinematics.links
    ]
    if robot.ros or robot.workspace:  # a model that is only simulated may have passive joints
        problems += _forgotten_joints(robot, joints, kinematics.links)
    problems += [
        f"joint {joint.name!r}: {name} must be finite, got inf"
        for joint in robot.joints
        for name in ("velocity", "stop_acceleration", "effort")  # of a model that is only simulated they may be endless
        if math.isinf(getattr(joint, name))
    ]
    if robot.base.kind == "fixed" and robot.base_frame in kinematics.links and robot.base_frame != kinematics.base:
        problems.append(f"base_frame must be the root link of {robot.urdf}, {kinematics.base!r}, got {robot.base_frame!r}")
    for wheel in robot.base.wheels:
        if wheel not in joints or joints[wheel].get("type") != "continuous":
            problems.append(f"wheel {wheel!r} is no continuous joint of {robot.urdf}")
    if robot.base.kind != "differential":
        problems += [problem for index in range(len(robot.joints)) for problem in _joint_problems(robot, index, joints)]
    return problems


def _tree_problem(root: Element) -> str:
    """Why the links are not one tree, "" if they are."""
    above: dict[str, str] = {}
    links = [link.attrib["name"] for link in root.findall("link")]
    for joint in root.findall("joint"):
        ends = {end: element.get("link", "") for end in ("parent", "child") if (element := joint.find(end)) is not None}
        for end in ("parent", "child"):
            if ends.get(end) not in links:
                return f"the {end} of joint {joint.attrib['name']!r} is no link"
        if ends["child"] in above:
            return f"link {ends['child']!r} is the child of two joints, {above[ends['child']]!r} and {joint.attrib['name']!r}"
        above[ends["child"]] = joint.attrib["name"]
    return ""


def _named_links(robot: Robot) -> list[tuple[str, str]]:
    """What names a link, and the link."""
    named = _checked_points(robot)
    named += [("base_frame", robot.base_frame)] if robot.base.kind == "fixed" else []
    named += [("caster", link) for link in robot.base.casters]
    return [*named, *((f"the link of camera {camera.name!r}", camera.link) for camera in robot.cameras)]


def _checked_points(robot: Robot) -> list[tuple[str, str]]:
    """What forward kinematics is asked for, and its link."""
    return [("tool_frame", robot.tool_frame), *(("workspace point", link) for link in robot.workspace_points)]


def _forgotten_joints(robot: Robot, elements: Mapping[str, Element], links: Sequence[str]) -> list[str]:
    """Joints that move a checked point and have no place in the profile: forward kinematics would take them as 0."""
    above = {child.get("link", ""): joint for joint in elements.values() if (child := joint.find("child")) is not None}
    forgotten: dict[str, str] = {}
    for what, point in _checked_points(robot):
        link = point if point in links else ""
        while link in above:
            joint = above[link]
            if joint.get("type") != "fixed" and joint.attrib["name"] not in robot.joint_names:
                forgotten.setdefault(joint.attrib["name"], f"{what} {point!r}")
            parent = joint.find("parent")
            link = "" if parent is None else parent.get("link", "")
    return [
        f"joint {name!r} of {robot.urdf} moves {moved} and is missing in the profile: give it a place in joints, or fix it in {robot.urdf}"
        for name, moved in forgotten.items()
    ]


def _joint_problems(robot: Robot, index: int, elements: dict[str, Element]) -> list[str]:
    joint = robot.joints[index]
    if joint.name not in elements:
        return [f"{joint.name!r} is no joint of {robot.urdf}; {strict.suggest(joint.name, elements)}"]
    element = elements[joint.name]
    if element.get("type") != joint.type:
        return [f"joint {joint.name!r} is {joint.type} in the profile and {element.get('type')} in {robot.urdf}"]
    limit = element.find("limit")
    if limit is None:
        return []
    problems = []
    for name, allowed in (("velocity", joint.velocity), ("effort", joint.effort)):
        bound = decimal(limit.get(name, "0"))
        if 0 < bound < allowed - _ROUNDED * max(1.0, bound):
            problems.append(f"joint {joint.name!r}: {name} {allowed} is above {bound:g} of {robot.urdf}")
    low, high = decimal(limit.get("lower", "0")), decimal(limit.get("upper", "0"))
    if joint.type != "continuous" and low < high and math.isfinite(high - low):
        slack = _ROUNDED * max(1.0, abs(low), abs(high))
        if joint.position[0] < low - slack or joint.position[1] > high + slack:
            problems.append(
                f"joint {joint.name!r}: position {joint.position[0]:g} … {joint.position[1]:g} is beyond {low:g} … {high:g} of {robot.urdf}"
            )
    return problems
