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
from lifecycle_msgs.msg import Transition
from onnx import TensorProto, helper, numpy_helper
from ros_bare import start_loop
from ros_chain import ROBOT, bring_up, patiently

from isthmus.kinds.graph import graph_artifact
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_sim.tasks import get_task

__all__ = ["Kept", "run", "swinging"]

_SETTLE = 5.0  # s of motion before memory and CPU are looked at
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
        stops: why the motion ended and was started again.
    """

    own: dict[str, Any]
    bare: dict[str, Any]
    cpu: Mapping[str, float]
    memory: Mapping[str, tuple[float, float, float]]
    load: float
    stops: tuple[str, ...] = ()


def swinging(period: float, folder: Path) -> Path:
    """A policy file that moves the arm's joints in pairs on circles for ever: a Hopf oscillator in ONNX, which keeps its radius."""
    reach = get_task("reach").contract
    seen = tuple(reach.signal(name) for name in ("joint_position", "joint_velocity", "previous_action"))
    contract = dataclasses.replace(reach, task="swing", observation=seen, control_period=period)
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


def run(period: float, seconds: float, folder: Path, *, progress: bool = False) -> Kept:
    """Let policy and guard run.

    A computer that stands still for longer than a joint state may be old, 30 ms at 100 Hz, makes the guard stop. Then the motion is started again,
    and counted.
    """
    domain = free_domain()
    told = {"policy": str(swinging(period, folder)), "clock": "wall"}
    with contextlib.ExitStack() as stack:
        environment = stack.enter_context(isolated(domain))
        guarding = {**told, "transport": "forward_velocity", "accept_no_deadman": True}
        nodes = [NodeProcess("guard_node", guarding, environment), NodeProcess("policy_node", told, environment)]
        robot = NodeProcess("sim_node", {"task": "reach", "plant": "mujoco", "clock": "wall", "state_rate": 2 / period}, environment)
        everyone = [*nodes, robot]
        stack.callback(lambda: [node.clean_up() for node in everyone])
        stack.callback(lambda: [node.end() for node in everyone])
        before = os.getloadavg()[0]
        link = Link("/unheard", domain, everyone, commands=False)  # who measures listens to little
        stack.callback(link.close)
        bring_up(link, nodes)
        loop = start_loop(environment, period)  # for all the time that the policy runs
        stack.callback(loop.kill)
        patiently(link, lambda: link.trigger("policy/start"))
        link.spin(_SETTLE)
        started = {node.name: _ticks(node) for node in everyone}
        began = time.monotonic()
        memory: dict[str, list[float]] = {node.name: [_memory(node)] for node in everyone}
        stops: list[str] = []
        for half in (1, 2):
            stops += _wait(began + half * seconds / 2, link, everyone, progress)
            for node in everyone:
                memory[node.name].append(_memory(node))
        elapsed = time.monotonic() - began
        cpu = {node.name: 100 * (_ticks(node) - started[node.name]) / elapsed for node in everyone}
        own = _cadence(link, round(seconds / period))
        loop.terminate()
        bare = json.loads(loop.communicate(timeout=30)[0])
        codes = {node.name: node.end() for node in everyone}
    if any(codes.values()):
        raise RosError(f"exit codes {codes}")
    return Kept(own, bare, cpu, {name: (a, b, c) for name, (a, b, c) in memory.items()}, before, tuple(stops))


def _wait(until: float, link: Link, everyone: list[NodeProcess], progress: bool) -> list[str]:
    """Wait, and start what has stopped again; why it had stopped."""
    said, stops = time.monotonic(), []
    while (left := until - time.monotonic()) > 0:
        link.spin(min(left, 1.0))
        for node in everyone:
            node.check()
        if link.status.get("policy") == "idle":
            stops.append(link.status.get("failure") or link.status.get("cause", ""))
            print(f"  stopped, load {os.getloadavg()[0]:.2f}: {stops[-1]}", flush=True)
            _start_again(link)
        if progress and time.monotonic() - said >= 60:
            said = time.monotonic()
            print(f"  load {os.getloadavg()[0]:.2f}, " + ", ".join(f"{node.name} {_memory(node):.1f} MB" for node in everyone), flush=True)
    return stops


def _start_again(link: Link) -> None:
    """As an operator would: reset, arm, start; a policy that has lost its guard is not active any more."""

    def start() -> None:
        link.trigger("sim_node/reset")  # gives external control back, if the policy has ended it
        link.spin(0.3)
        with contextlib.suppress(RosError):
            link.trigger("guard/reset")
        link.transition("policy_node", Transition.TRANSITION_DEACTIVATE)
        link.transition("policy_node", Transition.TRANSITION_ACTIVATE)
        link.arm()
        link.trigger("policy/start")

    patiently(link, start)
    link.until(lambda: link.status.get("policy") == "run", 10.0, f"the policy does not run: {link.status}")


def _cadence(link: Link, steps: int) -> dict[str, Any]:
    """The policy's own figures, and its end in peace."""
    link.spin(1.5)  # a report comes every second
    if int(link.cadence["steps"]) < 0.9 * steps:
        raise RosError(f"{link.cadence['steps']} of {steps} control periods")
    found: dict[str, Any] = json.loads(link.cadence["cadence"])
    with contextlib.suppress(RosError):  # a policy that has lost its guard is not active any more
        link.trigger("policy/stop")
    link.until(lambda: link.status.get("policy") == "idle", 10.0, f"the policy did not end its motion: {link.status}")
    return found


def _ticks(node: NodeProcess) -> float:
    """Seconds of CPU."""
    fields = Path(f"/proc/{node._process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(node: NodeProcess) -> float:
    """Resident, MB."""
    status = Path(f"/proc/{node._process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
