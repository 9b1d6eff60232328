"""The processes of a use as plain data: launch files, `isthmus deploy` and the tests all start what is planned here.

Nothing of ROS is imported, so the plan can be made, printed and tested on any machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.ladder import HOW, LADDER, climbed, missing, rung_of
from isthmus.robot import Robot, load_robot
from isthmus_bringup.arguments import Value, defaults_of, read_arguments
from isthmus_bringup.parameters import read_parameters

__all__ = ["CONFIG", "STOP_PATIENCE", "Plan", "Process", "plan"]

CONFIG = Path(__file__).parent / "config"
"""Folder with one parameter file per node."""
STOP_PATIENCE = 10.0
"""Seconds from SIGINT to SIGTERM: a node brakes its robot to standstill first."""
_PROFILE = ("robot", "robots_dir")
_LONGEST = 150  # letters of a namespace
_ENDING = ("hold", "stop")  # what a monitor may do to a motion, which then does not go on without it
_SET_POINTS = ("position", "velocity")  # command modes for which a profile's transport may be a trajectory


@dataclass(frozen=True, slots=True)
class Process:
    """One node in a process of its own.

    Attributes:
        package: ROS package that installs the executable.
        executable: its name, as behind `python -m PACKAGE`.
        name: of the node.
        namespace: of the node, absolute.
        parameters_files: YAML files of parameters that are shipped.
        parameters: name → value, for this node alone; they win over the files.
        remappings: topic → topic.
        environment: variables added to the process's environment.
        lifecycle: whether it is a lifecycle node, which is configured and activated after those before it in the plan.
        required: its end ends all.
    """

    package: str
    executable: str
    name: str
    namespace: str = "/"
    parameters_files: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    lifecycle: bool = True
    required: bool = True

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace.rstrip('/')}/{self.name}"

    def parameters_yaml(self) -> str:
        """`parameters` as the text of a parameter file for this node alone."""
        return json.dumps({self.full_name: {"ros__parameters": dict(self.parameters)}})  # JSON is YAML

    def ros_arguments(self, parameters_file: Path) -> list[str]:
        """What ROS's launch puts behind the executable.

        Args:
            parameters_file: file that holds `parameters_yaml()`.
        """
        words = ["--ros-args", "-r", f"__node:={self.name}", "-r", f"__ns:={self.namespace}"]
        for file in (*self.parameters_files, parameters_file):
            words += ["--params-file", str(file)]
        for topic, other in self.remappings.items():
            words += ["-r", f"{topic}:={other}"]
        return words


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs, in the order in which it comes up; it comes down in the reverse order.

    Attributes:
        use: what it is for, a key of `arguments.USES`.
        processes: in starting order.
        autostart: whether lifecycle nodes are configured and activated, one after the other.
        namespace: in which its nodes live, absolute.
        robot: profile of the guard, or of what runs without one; None for a simulated robot alone.
    """

    use: str
    processes: tuple[Process, ...]
    autostart: bool
    namespace: str = "/"
    robot: Robot | None = None


def plan(use: str, given: Mapping[str, Value], within: str = "/") -> Plan:
    """Plan the processes of a use.

    What was given wins over the `params_file`, and both over what a node does by itself: a default of the table never becomes a parameter.

    Args:
        use: key of `arguments.USES`.
        given: argument → value or text; the rest is left to the file and to the nodes.
        within: namespace that a launch file has pushed, absolute.

    Raises:
        ValueError: an unknown use, argument or robot, a value that is not valid, or one that no node supports; one sentence.
        OSError: the policy file cannot be read.
    """
    told = read_arguments(use, given)
    values = defaults_of(use) | told
    path = Path(str(values["policy"])).expanduser().resolve() if values["policy"] else None
    if use != "sim" and path is None:
        raise ValueError(f"{use} needs a policy file: policy:=…/policy.isthmus")
    namespace = _namespace(str(values["robot_namespace"]), within)
    if not (prefix := str(values.get("joint_prefix", ""))).isprintable() or " " in prefix:
        raise ValueError(f"joint_prefix: no spaces, got {prefix!r}")
    _refuse_unsupported(values, told)
    artifact = Artifact.load(path) if path else None
    contract = artifact.contract if artifact else None
    nodes = _nodes(use, values, told, contract)
    places = {node.name: f"{namespace.rstrip('/')}/{node.name}" for node in nodes}
    file = Path(str(values["params_file"])).expanduser().resolve() if values["params_file"] else None
    filed = read_parameters(file, places) if file else {node: {} for node in places}
    for said in filed.values():
        if not _simulates(use, values) and said.get("clock", "wall") != "wall":
            raise ValueError(f"{file}: clock: {said['clock']} is for a simulated robot alone; the time of a real one passes by itself")
    if artifact and "monitor_node" in filed and artifact.specification is None and not filed["monitor_node"].get("specification"):
        raise ValueError(f"monitor:={values['monitor']} has nothing to watch: {path} has no specification; a params_file can name one")
    parameters: dict[str, dict[str, Any]] = {node.name: {**node.own, **filed[node.name], **node.given} for node in nodes}
    robots = _robots(values, parameters, contract, file)
    robot = robots.get("guard_node") or next(iter(robots.values()), None)
    for name in {"sim_node", "guard_node"} & parameters.keys() if _simulates(use, values) else ():
        parameters[name] = _transport(use, values, contract, robot) | parameters[name]
    if use == "deploy" and artifact and (lacking := _lacking(values, parameters, artifact, list(robots.values()))):
        parameters["record_node"]["missing_evidence"] = ", ".join(lacking)
    environment = {"ROS_LOG_DIR": str(_folder(values))} if values["log_dir"] else {}
    processes = [
        Process(
            "isthmus_ros",
            node.name,
            node.name,
            namespace,
            (CONFIG / f"{node.name}.yaml",),
            parameters[node.name] | ({"policy": str(path)} if path and node.name != "sim_node" else {}),
            environment=environment,
            lifecycle=node.lifecycle,
            required=node.required,
        )
        for node in nodes
    ]
    autostart = bool(values.get("autostart") or values.get("allow_missing_evidence"))  # the recorder comes up before all others
    return Plan(use, tuple(processes), autostart, namespace, robot)


@dataclass(frozen=True, slots=True)
class _Node:
    """A node before the parameter file is read: what the plan says by itself, which yields to the file, and what was given, which wins."""

    name: str
    own: Mapping[str, Value]
    given: dict[str, Value]
    lifecycle: bool = True
    required: bool = True


def _lacking(
    values: Mapping[str, Value], parameters: Mapping[str, Mapping[str, Any]], artifact: Artifact, robots: Sequence[Robot]
) -> list[str]:
    """Rungs that a robot demands of the nodes as they will run, and that are missing, which somebody has allowed.

    Raises:
        ValueError: nobody has.
    """
    scale = parameters.get("guard_node", {}).get("rate_scale", values["rate_scale"])
    rung = rung_of(shadow=bool(parameters["policy_node"].get("shadow")), rate_scale=float(scale))
    lacking: set[str] = set()
    for robot in robots:
        absent = missing(robot.evidence, climbed(artifact.evidence, artifact.members, robot.name), rung)
        if absent and not values["allow_missing_evidence"]:
            how = "; ".join(f"{name!r} ({HOW[name]})" for name in absent)
            raise ValueError(
                f"robot {robot.name!r} demands evidence that the policy does not have: {how}; "
                "allow_missing_evidence:=true deploys it all the same, and records that"
            )
        lacking.update(absent)
    return [name for name in LADDER if name in lacking]


def _nodes(
    use: str,
    values: Mapping[str, Value],
    told: Mapping[str, Value],
    contract: Contract | None,
) -> list[_Node]:
    """The nodes of a use in starting order."""

    def given(*names: str) -> dict[str, Value]:
        return {name: told[name] for name in names if name in told}

    profile, shadow = ("robot", "robots_dir", "use_sim_time"), bool(values.get("shadow"))
    nodes = []
    simulating = _simulates(use, values)
    own: dict[str, Value]
    if contract and (use == "record" or values.get("record") or shadow or values.get("allow_missing_evidence")):
        # It comes up by itself and first, so that nothing of the control path waits for it, and its end ends nothing. Where evidence may be
        # missing, the others wait for it and end with it.
        needed = bool(values.get("allow_missing_evidence"))
        recording: dict[str, Value] = {
            **({"folder": str(_folder(values))} if values["log_dir"] else {}),
            **({"simulated": True} if simulating else {}),
            **({"autostart": False} if needed else {}),
        }
        nodes.append(_Node("record_node", {"autostart": True}, {**given(*profile), **recording}, lifecycle=needed, required=needed))
    if contract and values.get("monitor", "off") != "off":
        # Nothing waits for it either; a motion that it may end ends with it.
        watching = {**given(*profile, "joint_prefix"), "on_violation": values["monitor"]}
        nodes.append(_Node("monitor_node", {"autostart": True}, watching, lifecycle=False, required=values["monitor"] in _ENDING))
    if simulating:
        task = str(values["task"]) or (contract.task if contract else "")
        if not task:
            raise ValueError("without a policy the simulated robot needs a task: task:=reach")
        # The coordinator of an evaluation brings up the policy alone.
        own = {"task": task, "autostart": use == "evaluate"}
        nodes.append(_Node("sim_node", own, given("plant", "task", "transport", "joint_prefix", "clock")))
    if contract and use != "record":
        asked = given(*profile, "joint_prefix", "clock")
        if not shadow:
            own = {"accept_no_deadman": True} if simulating else {}  # sim_node has one
            nodes.append(_Node("guard_node", own, {**asked, **given("transport", "rate_scale", "accept_no_deadman")}))
        traces = {"record": told["traces"]} if "traces" in told else {}
        own = {"watched": True} if values.get("monitor") in _ENDING and not shadow else {}
        nodes.append(_Node("explore_node" if use == "identify" else "policy_node", own, {**asked, **given("shadow"), **traces}))
    return nodes


def _simulates(use: str, values: Mapping[str, Value]) -> bool:
    """Whether the robot is simulated here, too."""
    return use in ("sim", "evaluate") or bool(values.get("sim"))


def _transport(use: str, values: Mapping[str, Value], contract: Contract | None, robot: Robot | None) -> dict[str, Value]:
    """The parameter of guard_node and of a simulated robot, which must agree, though left to themselves they choose differently.

    It is the profile's transport; an evaluation takes the one that holds commands, with which it equals the run in one process.
    """
    name = str(values["transport"])
    if not name and contract:
        if use == "evaluate":
            name = {"twist": "cmd_vel"}.get(contract.mode, f"forward_{contract.mode}")
        elif contract.mode in _SET_POINTS and robot and robot.ros:
            name = robot.ros.transport
    return {"transport": name} if name else {}


def _robot(values: Mapping[str, Value], contract: Contract | None) -> Robot | None:
    """The robot that is named, else the policy's; None for a simulated robot alone."""
    if contract and contract.no_robot:
        raise ValueError(contract.no_robot)
    folders = [Path(str(values["robots_dir"])).expanduser()] if values["robots_dir"] else []
    if folders and not folders[0].is_dir():
        raise ValueError(f"robots_dir: there is no folder {folders[0]}")
    name = str(values["robot"]) or (contract.robot if contract else "")
    if not name:
        return None
    robot = load_robot(name, folders)
    if contract and (problems := contract.fits(robot)):
        raise ValueError(f"the policy does not fit the robot: {'; '.join(problems)}")
    if robot.ros is None:
        raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
    return robot


def _robots(
    values: Mapping[str, Value], parameters: Mapping[str, dict[str, Any]], contract: Contract | None, file: Path | None
) -> dict[str, Robot]:
    """The robots of the nodes as they will run, by node: a file may name others than the arguments, and each node another.

    The folder of profiles that a node is given is made absolute: it is the one that was looked at here.

    Raises:
        ValueError: one that cannot be is named.
    """
    typed, found = tuple(str(values[name]) for name in _PROFILE), {}
    for node, said in parameters.items():
        if contract and node == "sim_node":  # it has the profile of its task
            continue
        named = tuple(str(said.get(name, values[name])) for name in _PROFILE)
        try:
            robot = _robot({**values, **dict(zip(_PROFILE, named, strict=True))}, contract)
        except ValueError as error:
            raise ValueError(str(error) if named == typed else f"{file}: {error}") from None
        if said.get("robots_dir"):
            said["robots_dir"] = str(Path(said["robots_dir"]).expanduser().resolve())
        if robot is not None:
            found[node] = robot
    return found


def _namespace(name: str, within: str) -> str:
    """The namespace of the nodes, absolute: a relative name is below that of the launch file."""
    if name != "/" and (not re.fullmatch(r"(/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*/?)?", name) or "__" in name):
        raise ValueError(f"robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got {name!r}")
    found = "/" + (name if name.startswith("/") else f"{within.strip('/')}/{name}").strip("/")
    if len(found) > _LONGEST:
        raise ValueError(f"robot_namespace: at most {_LONGEST} letters, so that names of topics fit below it, got {len(found)}")
    return found


def _folder(values: Mapping[str, Value]) -> Path:
    return Path(str(values["log_dir"])).expanduser().resolve()


def _refuse_unsupported(values: Mapping[str, Value], told: Mapping[str, Value]) -> None:
    """Refuse what no node does: a parameter that a node ignores silently would be worse."""
    if values.get("monitor", "off") != "off" and not values["policy"]:
        raise ValueError(f"monitor:={values['monitor']} needs a policy: policy:=…/policy.isthmus")
    for name in ("record", "shadow"):
        if values.get(name) and not values["policy"]:
            raise ValueError(f"{name}:=true needs a policy: policy:=…/policy.isthmus")
    if values.get("allow_missing_evidence") and told.get("autostart") is False:
        raise ValueError("autostart:=false has no use with allow_missing_evidence:=true: the recorder must be up before the other nodes")
    if values.get("task") and values.get("sim") is False:
        raise ValueError(f"task:={values['task']} has no use without sim:=true: the robot is not simulated")
    if values.get("sim") is False and values.get("clock") == "stepped":
        raise ValueError("clock:=stepped has no use without sim:=true: the time of a real robot passes by itself")
    if values.get("shadow") and values.get("transport"):
        raise ValueError(f"transport:={values['transport']} has no use with shadow:=true, which commands nothing")
    if values.get("shadow") and values.get("clock") == "stepped":
        raise ValueError("shadow:=true needs clock:=wall: a stepped robot waits for commands, and a shadow sends none")
