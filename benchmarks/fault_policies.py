"""The policies of the fault table: each moves all joints at one speed, from a contract that brings one row about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from fault_course import CRUISE, PERIOD, PUSH, ROBOT
from onnx import TensorProto, helper, numpy_helper

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds.graph import graph_artifact
from isthmus.kinematics import Kinematics
from isthmus.limits import Box, Limits
from isthmus.signals import Signal
from isthmus_sim.tasks import get_task

__all__ = ["box", "cruising", "cruising_contract", "write_policy"]


def write_policy(kind: str, mode: str, folder: Path) -> Path:
    """The policy file of a setting."""
    path = folder / f"{kind}-{mode}.isthmus"
    contract = cruising_contract(mode)
    if kind == "chunks":
        contract = cruising_contract(mode, horizon=10)
    elif kind == "ramp":
        contract = cruising_contract(mode, start=0.4)
    elif kind == "far":
        contract = cruising_contract(mode, start=0.7)
    elif kind == "wall":  # a position limit in the way
        low, high = (ROBOT.home - 0.5).tolist(), (ROBOT.home + 0.5).tolist()
        contract = cruising_contract(mode, limits=dataclasses.replace(contract.limits, position_low=tuple(low), position_high=tuple(high)))
    elif kind == "box":  # the tool's way leads out of it
        contract = cruising_contract(mode, limits=dataclasses.replace(contract.limits, workspace=box()))
    elif kind == "seeing":  # of the wrist camera, though what it shows changes nothing
        contract = dataclasses.replace(contract, observation=(*contract.observation, _picture("wrist")))
    elif kind == "goal":
        contract = dataclasses.replace(contract, observation=(*contract.observation, get_task("reach").contract.signal("goal")))
    cruising(contract).save(path)
    if kind == "corrupt":
        data = bytearray(path.read_bytes())
        at = data.find(b"previous_action", data.find(b"policy.onnx"))
        data[at] ^= 1
        path.write_bytes(data)
    return path


def _picture(camera: str) -> Signal:
    (spec,) = [found.spec for found in ROBOT.cameras if found.name == camera]
    return Signal(camera, "image", (), "1", (), (), dtype="uint8", camera=spec)


def box() -> Box:
    """Around the first third of the tool's way."""
    tree, names = Kinematics(ROBOT.urdf_path), ROBOT.joint_names
    way = ROBOT.home + np.linspace(0, 0.35, 8)[:, None] * PUSH
    points = np.concatenate([tree.positions(names, way, [link])[link] for link in ROBOT.workspace_points])
    return Box(tuple((points.min(axis=0) - 0.01).tolist()), tuple((points.max(axis=0) + 0.01).tolist()))


def cruising_contract(mode: str, *, horizon: int = 1, limits: Limits | None = None, start: float = 0.0) -> Contract:
    """A contract of the arm without inputs; `start` moves the start pose away from home, rad."""
    reach, own, names = get_task("reach").contract, ROBOT.limits(), ROBOT.joint_names
    fast = np.full(len(names), 1.5)
    low, high = (own.position_low, own.position_high) if mode == "position" else (tuple((-fast).tolist()), tuple(fast.tolist()))
    unit = "rad" if mode == "position" else "rad/s"
    signals = {signal.name: signal for signal in reach.observation}
    observation = (
        signals["joint_position"],
        signals["joint_velocity"],
        Signal("previous_action", "previous_action", names, unit, low, high),
    )
    action = Signal("action", f"joint_{mode}", names, unit, low, high)
    return dataclasses.replace(
        reach,
        task="cruise",
        observation=observation,
        action=action,
        limits=limits or reach.limits,
        horizon=horizon,
        start={joint.name: (joint.home + start * push, 0.05) for joint, push in zip(ROBOT.joints, PUSH.tolist(), strict=True)},
    )


def cruising(contract: Contract, speed: float = CRUISE) -> Artifact:
    """A policy that moves all joints at one speed, whatever else it is told: velocities, or the previous set-point and a bit more."""
    count, steps = len(contract.action.elements), contract.horizon
    positions = contract.mode == "position"
    ahead = np.arange(1, steps + 1)[:, None] * PERIOD if positions else np.ones((steps, 1))
    added = (speed * ahead * PUSH)[None].astype(np.float32)  # [1, H, J]
    nodes = [
        helper.make_node("Mul", ["previous_action", "kept"], ["before"]),
        helper.make_node("Mul", ["joint_position", "nothing"], ["no_position"]),
        helper.make_node("Mul", ["joint_velocity", "nothing"], ["no_velocity"]),
        helper.make_node("Sum", ["before", "no_position", "no_velocity", "added"], ["actions"]),
    ]
    values = {"kept": np.float32(positions), "nothing": np.float32(0), "added": added}
    graph = helper.make_graph(
        nodes,
        "cruising",
        [
            helper.make_tensor_value_info(s.name, TensorProto.UINT8 if s.source == "image" else TensorProto.FLOAT, ["B", 1, *s.shape])
            for s in contract.observation
        ],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["B", steps, count])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return graph_artifact(contract, model.SerializeToString())
