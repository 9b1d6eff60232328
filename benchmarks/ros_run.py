"""A policy on a simulated robot in wall-clock time, with a bare loop beside it: deadlines, CPU and memory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fault_course import cruising_contract
from onnx import TensorProto, helper, numpy_helper
from ros_bare import start_loop
from ros_chain import ROBOT, bring_up, patiently

from isthmus.kinds.graph import graph_artifact
from isthmus_ros.link import Link
from isthmus_ros.processes import NodeProcess, RosError, free_domain, isolated

__all__ = ["Kept", "run", "swinging"]

_SETTLE = 5.0  # s of motion before memory and CPU are looked at
_TRIES = 3
_RADIUS = 0.15  # rad
_SPEED = 1.0  # rad/s around the circle


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """One run.

    Attributes:
        own: cadence of the policy node.
        bare: cadence of the bare loop.
        cpu: share of one core per node, %.
        memory: per node at start, half time and end, MB.
        load: of the computer, when it began.
    """

    own: dict[str, Any]
    bare: dict[str, Any]
    cpu: Mapping[str, float]
    memory: Mapping[str, tuple[float, float, float]]
    load: float


def swinging(period: float, folder: Path) -> Path:
    """A policy file that moves the arm's joints in pairs on circles for ever: a Hopf oscillator in ONNX, which keeps its radius."""
    reach = cruising_contract("velocity")
    contract = dataclasses.replace(reach, task="swing", control_period=period)
    pairs = np.arange(len(ROBOT.joints)) // 2
    beside = (pairs[:, None] == pairs[None]).astype(np.float32)  # [J, J]
    turn = np.triu(beside, 1) - np.tril(beside, -1)
    centre = ROBOT.home - _RADIUS * (np.arange(len(pairs)) % 2 == 0)
    values = {
        "centre": centre,
        "turn": _SPEED * turn,
        "beside": beside,
        "square": np.float32(_RADIUS**2),
        "pull": np.float32(_SPEED / _RADIUS**2),
        "nothing": np.float32(0),
    }
    nodes = [
        helper.make_node("Sub", ["joint_position", "centre"], ["away"]),
        helper.make_node("MatMul", ["away", "turn"], ["around"]),
        helper.make_node("Mul", ["away", "away"], ["squares"]),
        helper.make_node("MatMul", ["squares", "beside"], ["distance"]),
        helper.make_node("Sub", ["square", "distance"], ["short"]),
        helper.make_node("Mul", ["short", "pull"], ["stiff"]),
        helper.make_node("Mul", ["stiff", "away"], ["back"]),
        helper.make_node("Mul", ["joint_velocity", "nothing"], ["no_velocity"]),
        helper.make_node("Mul", ["previous_action", "nothing"], ["no_action"]),
        helper.make_node("Sum", ["around", "back", "no_velocity", "no_action"], ["actions"]),
    ]
    graph = helper.make_graph(
        nodes,
        "swinging",
        [helper.make_tensor_value_info(s.name, TensorProto.FLOAT, ["B", 1, len(pairs)]) for s in contract.observation],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["B", 1, len(pairs)])],
        [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    path = folder / f"swinging-{period:g}.isthmus"
    graph_artifact(contract, model.SerializeToString()).save(path)
    return path


def run(period: float, seconds: float, folder: Path, *, guard: str = "inline", progress: bool = False) -> Kept | None:
    """Let the policy run; `guard` is inline, or external for a process of its own.

    Tried three times: on a busy computer the guard stops a motion at 100 Hz, because joint states are late. Then it says so and returns None.
    """
    for _ in range(_TRIES):
        try:
            return _run(period, seconds, folder, guard, progress)
        except RosError as error:
            print(f"  the run was disturbed, load {os.getloadavg()[0]:.2f}: {error}", flush=True)
    return None


def _run(period: float, seconds: float, folder: Path, guard: str, progress: bool) -> Kept:
    domain = free_domain()
    told = {"policy": str(swinging(period, folder)), "clock": "wall", "accept_no_deadman": True}
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(isolated(domain))
        nodes = [NodeProcess("policy_node", {**told, "guard": guard}, environment)]
        if guard == "external":
            nodes.insert(0, NodeProcess("guard_node", {**told, "transport": "forward_velocity"}, environment))
        robot = NodeProcess("sim_node", {"task": "reach", "plant": "mujoco", "clock": "wall", "state_rate": 2 / period}, environment)
        everyone = [*nodes, robot]
        stack.callback(lambda: [node.clean_up() for node in everyone])
        stack.callback(lambda: [node.end() for node in everyone])
        before = os.getloadavg()[0]
        link = Link("/unheard", domain, everyone)
        bring_up(link, nodes)
        patiently(link, lambda: link.trigger("policy/start"))
        link.close()  # who measures does not listen
        time.sleep(_SETTLE)
        loop = start_loop(environment, period, seconds)
        started = {node.name: _ticks(node) for node in everyone}
        began = time.monotonic()
        memory: dict[str, list[float]] = {node.name: [_memory(node)] for node in everyone}
        for half in (1, 2):
            _wait(began + half * seconds / 2, everyone, progress)
            for node in everyone:
                memory[node.name].append(_memory(node))
        elapsed = time.monotonic() - began
        cpu = {node.name: 100 * (_ticks(node) - started[node.name]) / elapsed for node in everyone}
        bare = json.loads(loop.communicate(timeout=30)[0])
        own = _cadence(domain, everyone, round(seconds / period))
        codes = {node.name: node.end() for node in everyone}
    if any(codes.values()):
        raise RosError(f"exit codes {codes}")
    return Kept(own, bare, cpu, {name: (a, b, c) for name, (a, b, c) in memory.items()}, before)


def _wait(until: float, nodes: list[NodeProcess], progress: bool) -> None:
    said = time.monotonic()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))
        for node in nodes:
            node.check()
        if progress and time.monotonic() - said >= 60:
            said = time.monotonic()
            print(f"  load {os.getloadavg()[0]:.2f}, " + ", ".join(f"{node.name} {_memory(node):.1f} MB" for node in nodes), flush=True)


def _cadence(domain: int, nodes: list[NodeProcess], steps: int) -> dict[str, Any]:
    """The policy's own figures, and its end in peace."""
    link = Link("/unheard", domain, nodes)
    try:
        link.until(lambda: "cadence" in link.cadence and "rung" in link.status, 10.0, "the policy says nothing")
        link.spin(1.5)  # a report comes every second
        if int(link.cadence["steps"]) < 0.9 * steps:
            raise RosError(
                f"{link.cadence['steps']} of {steps} control periods; {link.status.get('failure') or link.status.get('cause', '')}"
            )
        found: dict[str, Any] = json.loads(link.cadence["cadence"])
        with contextlib.suppress(RosError):  # a policy that has lost its guard is not active any more
            link.trigger("policy/stop")
        link.until(lambda: link.status.get("policy") == "idle", 10.0, f"the policy did not end its motion: {link.status}")
        if link.status.get("failure") or link.status.get("rung") in ("hold", "stop"):
            raise RosError(link.status.get("failure") or link.status.get("cause", ""))
        return found
    finally:
        link.close()


def _ticks(node: NodeProcess) -> float:
    """Seconds of CPU."""
    fields = Path(f"/proc/{node._process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(node: NodeProcess) -> float:
    """Resident, MB."""
    status = Path(f"/proc/{node._process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
