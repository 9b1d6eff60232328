"""The processes of a use as plain data: launch files, `isthmus deploy` and the tests all start what is planned here.

Nothing of ROS is imported, so the plan can be made, printed and tested on any machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.robot import load_robot
from isthmus_bringup.arguments import Value, read_arguments

__all__ = ["CONFIG", "STOP_PATIENCE", "Plan", "Process", "plan"]

CONFIG = Path(__file__).parent / "config"
"""Folder with one parameter file per node."""
STOP_PATIENCE = 10.0
"""Seconds from SIGINT to SIGTERM: a node brakes its robot to standstill first."""
_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
_SET_POINTS = ("position", "velocity")  # command modes for which a profile's transport may be a trajectory


@dataclass(frozen=True, slots=True)
class Process:
    """One node in a process of its own.

    Attributes:
        package: ROS package that installs the executable.
        executable: its name, as behind `python -m PACKAGE`.
        name: of the node.
        namespace: of the node, absolute.
        parameters_files: YAML files of parameters; a later one wins over an earlier one.
        parameters: name → value; they win over the files.
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
    parameters: Mapping[str, Value] = field(default_factory=dict)
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
    """

    use: str
    processes: tuple[Process, ...]
    autostart: bool


def plan(use: str, given: Mapping[str, Value]) -> Plan:
    """Plan the processes of a use.

    Args:
        use: key of `arguments.USES`.
        given: argument → value or text; the rest take their defaults.

    Raises:
        ValueError: an unknown use or argument, a value that is not valid, or one that no node supports; one sentence.
        OSError: the policy file cannot be read.
    """
    values = read_arguments(use, given)
    path = Path(str(values["policy"])).expanduser().resolve() if values["policy"] else None
    if use != "sim" and path is None:
        raise ValueError(f"{use} needs a policy file: policy:=…/policy.isthmus")
    _refuse_unsupported(values)
    artifact = Artifact.load(path) if path else None
    contract = artifact.contract if artifact else None
    if contract and contract.no_robot:
        raise ValueError(contract.no_robot)
    watched = values.get("monitor", "off") != "off"
    if artifact and watched and artifact.specification is None and not values["params_file"]:
        raise ValueError(f"monitor:={values['monitor']} has nothing to watch: {path} has no specification; a params_file can name one")
    everywhere = _chosen(values, "robot_namespace", "joint_prefix", "clock")
    simulating = use in ("sim", "evaluate") or bool(values.get("sim"))
    transport = _transport(use, values, contract if simulating else None)
    processes = []
    shadow = bool(values.get("shadow"))
    if path and (use == "record" or values.get("record") or shadow):
        processes.append(_recorder(values, path))
    if path and watched:
        processes.append(_monitor(values, path))
    if simulating:
        task = values["task"] or (contract.task if contract else "")
        if not task:
            raise ValueError("without a policy the simulated robot needs a task: task:=reach")
        # The coordinator of an evaluation brings up the policy alone.
        simulated = {**everywhere, **transport, **_chosen(values, "plant"), "task": task, "autostart": use == "evaluate"}
        processes.append(_node("sim_node", values, simulated))
    if path and use != "record":
        command = {**everywhere, **_chosen(values, "robot", "robots_dir", "rate_scale", "accept_no_deadman", "use_sim_time")}
        command["policy"] = str(path)
        if values.get("sim"):
            command["accept_no_deadman"] = True  # sim_node has one
        if values.get("guard") == "external" and not shadow:
            processes.append(_node("guard_node", values, {**command, **transport}))
        name = "explore_node" if use == "identify" else "policy_node"
        processes.append(_node(name, values, {**command, **_chosen(values, "guard", "shadow"), "record": values["traces"]}))
    return Plan(use, tuple(processes), bool(values.get("autostart", False)))


def _transport(use: str, values: Mapping[str, Value], simulated: Contract | None) -> dict[str, Value]:
    """The parameter of guard_node and of a simulated robot, which must agree, though left to themselves they choose differently.

    It is the profile's transport; an evaluation takes the one that holds commands, with which it equals the run in one process.
    """
    name = str(values.get("transport", ""))
    if not name and simulated and values["guard"] == "external":
        if use == "evaluate":
            name = {"twist": "cmd_vel"}.get(simulated.mode, f"forward_{simulated.mode}")
        elif simulated.mode in _SET_POINTS:
            folders = [Path(str(values["robots_dir"]))] if values["robots_dir"] else []
            profile = load_robot(str(values["robot"]) or simulated.robot, folders).ros
            name = profile.transport if profile else ""
    return {"transport": name} if name else {}


def _recorder(values: Mapping[str, Value], path: Path) -> Process:
    """It comes up by itself and first, so that nothing of the control path waits for it; its end ends nothing."""
    listening = {**_chosen(values, "robot", "robots_dir", "robot_namespace", "use_sim_time"), "policy": str(path)}
    folder = Path(str(values["log_dir"]) or "recordings").expanduser().resolve()
    node = _node("record_node", values, {**listening, "folder": str(folder), "autostart": True})
    return dataclasses.replace(node, lifecycle=False, required=False)


def _monitor(values: Mapping[str, Value], path: Path) -> Process:
    """It only listens; it comes up by itself, and its end ends nothing."""
    listening = {**_chosen(values, "robot", "robots_dir", "robot_namespace", "joint_prefix", "use_sim_time"), "policy": str(path)}
    node = _node("monitor_node", values, {**listening, "on_violation": str(values["monitor"]), "autostart": True})
    return dataclasses.replace(node, lifecycle=False, required=False)


def _node(name: str, values: Mapping[str, Value], parameters: Mapping[str, Value]) -> Process:
    files = [CONFIG / f"{name}.yaml"]
    if values["params_file"]:
        files.append(Path(str(values["params_file"])).expanduser().resolve())
    for file in files:
        if not file.is_file():
            raise ValueError(f"there is no parameter file {file}")
    environment = {} if _TRANSPORTS in os.environ else {_TRANSPORTS: "UDPv4"}  # over shared memory a dead process can hold up the guard
    if values["log_dir"]:
        environment["ROS_LOG_DIR"] = str(Path(str(values["log_dir"])).expanduser().resolve())
    return Process("isthmus_ros", name, name, "/", tuple(files), parameters, environment=environment)


def _chosen(values: Mapping[str, Value], *names: str) -> dict[str, Value]:
    """Those of the named arguments that this use has."""
    return {name: values[name] for name in names if name in values}


def _refuse_unsupported(values: Mapping[str, Value]) -> None:
    """Refuse what no node does: a parameter that a node ignores silently would be worse."""
    if values.get("transport") and values["guard"] == "inline" and values["policy"]:
        raise ValueError(f"transport:={values['transport']} needs guard:=external; an inline guard commands a forward controller")
    if values.get("monitor", "off") != "off" and not values["policy"]:
        raise ValueError(f"monitor:={values['monitor']} needs a policy: policy:=…/policy.isthmus")
    for name in ("record", "shadow"):
        if values.get(name) and not values["policy"]:
            raise ValueError(f"{name}:=true needs a policy: policy:=…/policy.isthmus")
    if values.get("task") and values.get("sim") is False:
        raise ValueError(f"task:={values['task']} has no use without sim:=true: the robot is not simulated")
    if values.get("shadow") and values.get("transport"):
        raise ValueError(f"transport:={values['transport']} has no use with shadow:=true, which commands nothing")
    if values.get("shadow") and values.get("clock") == "stepped":
        raise ValueError("shadow:=true needs clock:=wall: a stepped robot waits for commands, and a shadow sends none")
