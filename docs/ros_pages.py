"""Reference pages of what concerns ROS 2: the parameters of all nodes, and one page per robot profile."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus.phases import Phase, diagram
from isthmus.robot import Joint, Robot, load_robot, robot_names

NODES = {
    "policy_node": "PolicyNode",
    "explore_node": "ExploreNode",
    "guard_node": "GuardNode",
    "monitor_node": "MonitorNode",
    "record_node": "RecordNode",
    "sim_node": "SimNode",
}
TYPES = {bool: "bool", int: "integer", float: "double", str: "string", list: "string array"}
NOT_RUN = "Nothing of this profile was run on the real robot, only in simulation."
Row = tuple[str, str, str, str, str, str]


def nodes_page(note: str) -> str:
    """The README of the nodes, and a table of all their parameters, as declared."""
    lines = [
        note + "The nodes, from `ros_ws/src/isthmus_ros/README.md`:\n",
        '--8<-- "ros_ws/src/isthmus_ros/README.md"\n',
        *_phases(),
        "## Parameters\n",
        "As the nodes declare them; `ros2 param describe /policy_node NAME` says the same. Every node also has ROS's own, such as `use_sim_time`. "
        "A read-only parameter can only be set when the node starts.\n",
        "| parameter | type | default | range | read-only | nodes | what it is |\n|---|---|---|---|---|---|---|",
    ]
    found: dict[Row, list[str]] = {}
    for node in NODES:
        for row in declared(node):
            found.setdefault(row, []).append(node.removesuffix("_node"))
    for (name, kind, default, bounds, fixed, meaning), nodes in sorted(found.items()):
        lines.append(f"| `{name}` | {kind} | {default} | {bounds} | {fixed} | {', '.join(nodes)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _phases() -> list[str]:
    """The state machine of a guarded motion, from the table that the guard lives by."""
    lines = [
        "## Phases of a motion\n",
        "The table of `isthmus.phases`, by which `guard_node` lives; `guard/status` says the phase. What is not drawn is refused, "
        "or changes nothing.\n",
        f"```mermaid\n{diagram()}\n```\n",
        "| phase | what it means |\n|---|---|",
    ]
    lines += [f"| `{phase.name.lower()}` | {phase.value.partition(': ')[2]} |" for phase in Phase]
    return ["\n".join(lines) + "\n"]


def declared(name: str) -> list[Row]:
    """The parameters that a node declares: it is made, outside every network, and listened to."""
    import rclpy
    from rclpy.lifecycle import LifecycleNode

    from isthmus_ros.__main__ import NODES as MODULES
    from isthmus_ros.evaluation.processes import free_domain, isolated

    rows: list[Row] = []
    original = LifecycleNode.declare_parameter

    def listen(node: Any, parameter: str, value: Any = None, descriptor: Any = None, *rest: Any, **named: Any) -> Any:
        if descriptor is not None and descriptor.description and parameter not in ROS_OWN:
            rows.append(_row(parameter, value, descriptor))
        return original(node, parameter, value, descriptor, *rest, **named)

    with isolated(free_domain()):
        rclpy.init(args=["--ros-args", "-p", "autostart:=false"])
        LifecycleNode.declare_parameter = listen
        try:
            getattr(importlib.import_module(MODULES[name]), NODES[name])().destroy_node()
        finally:
            LifecycleNode.declare_parameter = original
            rclpy.shutdown()
    return rows


ROS_OWN = ("use_sim_time", "start_type_description_service")


def _row(name: str, value: Any, descriptor: Any) -> Row:
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    bounds = f"{_number(ranges[0].from_value)} … {_number(ranges[0].to_value)}" if ranges else ""
    if isinstance(value, float):
        default = f"{value:g}"
    else:
        default = str(value).lower() if isinstance(value, bool) else " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return name, TYPES[type(value)], default or "empty", bounds, "yes" if descriptor.read_only else "no", descriptor.description


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def robot_pages(note: str) -> Mapping[str, str]:
    """File → text: an overview, and a page per profile."""
    robots = [load_robot(name) for name in robot_names()]
    overview = [
        note + "# Robots\n",
        "A profile is data, `core/isthmus/robots/NAME/robot.yaml` beside a URDF; [adding one](../../how-to/add-a-robot.md) needs no code. "
        "Each is tested with the plant conformance suite in MuJoCo and PyBullet and with the profile suite `isthmus.testing.RobotProfileSuite`. "
        "`isthmus robots NAME` shows the same.\n",
        "| robot | what it is | commands | transport | on hardware |\n|---|---|---|---|---|",
        *[
            f"| [`{robot.name}`]({robot.name}.md) | {robot.description} | {', '.join(robot.command_modes)} | "
            f"{(robot.ros.transport if robot.ros else '') or 'that of the mode'} | {robot.hardware or 'not run'} |"
            for robot in robots
        ],
        "\nThere is no profile `sim`: `sim_node` is any of these robots, on the topics of its profile; see [A simulated robot](sim.md).",
    ]
    return {"robots/index.md": "\n".join(overview) + "\n"} | {f"robots/{robot.name}.md": note + robot_page(robot) for robot in robots}


def robot_page(robot: Robot) -> str:
    """One profile: what was run, joints, thresholds, topics, and what the folder's own README says."""
    lines = [f"# {robot.name}\n", f"{robot.description}.\n", '!!! warning "On hardware"', f"    {robot.hardware or NOT_RUN}\n"]
    own = Path(robot.folder) / "README.md"
    if own.is_file():
        lines.append(own.read_text(encoding="utf-8").strip() + "\n")
    low, high = robot.control_period
    lines += [
        "## Profile\n",
        f"* commands: {', '.join(robot.command_modes)}, every {low:g} to {high:g} s",
        f"* frames: base `{robot.base_frame}`, tool `{robot.tool_frame}`",
        f"* checked against a workspace box: {', '.join(f'`{link}`' for link in robot.workspace_points or (robot.tool_frame,))}; "
        f"{'it has one' if robot.workspace else 'it has none, a task or your own profile gives it'}",
    ]
    if robot.cameras:
        lines.append(f"* cameras: {', '.join(f'`{camera.name}` on `{camera.link}`' for camera in robot.cameras)}")
    lines += [
        "\n| joint | home | position | velocity | acceleration | braking | effort |\n|---|---|---|---|---|---|---|",
        *[_joint_row(joint) for joint in robot.joints],
        "\nRadians, or metres of prismatic joints, and seconds; N·m or N.\n",
        "## Monitors of the guard\n",
        "| threshold | value |\n|---|---|",
        *[f"| {name} | {getattr(robot.monitors, name):g} |" for name in robot.monitors.__slots__],
        "",
    ]
    return "\n".join([*lines, *_topics(robot)]) + "\n"


def _joint_row(joint: Joint) -> str:
    low, high = joint.position
    place = f"{low:.4g} … {high:.4g}" if math.isfinite(low) else "any"
    numbers = f"{joint.velocity:.4g} | {joint.acceleration:g} | {joint.stop_acceleration:g} | {joint.effort:g}"
    return f"| `{joint.name}` | {joint.home:.4g} | {place} | {numbers} |"


def _topics(robot: Robot) -> list[str]:
    ros = robot.ros
    if ros is None:
        return ["It has no ROS interface."]
    rows = [("joint states", ros.state_topic, f"sensor_msgs/JointState at {ros.state_rate:g} Hz")]
    kinds = {"twist": "geometry_msgs/TwistStamped"}
    rows += [(f"{mode} commands", topic, kinds.get(mode, "std_msgs/Float64MultiArray")) for mode, topic in ros.command_topics.items()]
    rows += [
        (
            f"transport `{name}`",
            topic,
            f"{'trajectory_msgs/JointTrajectory' if name == 'trajectory' else ''}, obeyed by {ros.controller_of(name, topic)}".strip(", "),
        )
        for name, topic in ros.transports.items()
    ]
    if ros.odometry_topic:
        rows.append(("odometry", ros.odometry_topic, "nav_msgs/Odometry"))
    if ros.speed_scaling:
        scaling = ros.speed_scaling
        what = f"std_msgs/Float64; full is {scaling.full:g}, anything else, or silence for {scaling.timeout:g} s, stops the guard"
        rows.append(("speed scaling", scaling.topic, what))
    if ros.program_running:
        rows.append(("program running", ros.program_running, "std_msgs/Bool; false stops the guard"))
    rows += [("ends external control", name, "std_srvs/Trigger, called when nothing else is left") for name in ros.stop_services]
    chosen = f"`{ros.transport}`, unless `transport:=` says otherwise" if ros.transport else "the one of the command mode"
    return [
        "## ROS 2\n",
        f"Names are relative and resolved in `robot_namespace`. The guard commands by transport {chosen}.\n",
        "| what | name | type |\n|---|---|---|",
        *[f"| {what} | `{name}` | {kind} |" for what, name, kind in rows],
    ]
