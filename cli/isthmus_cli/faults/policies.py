"""The policies of the fault table: each moves all joints at one speed, from a contract that brings one row about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds.graph import graph_artifact
from isthmus.kinematics import Kinematics
from isthmus.limits import Box
from isthmus.signals import Signal, joined_units
from isthmus_cli.faults.subject import Setting, Subject

__all__ = ["box", "cruising_contract", "write_policy"]

_TURN = 2 * np.pi  # rad: bound of a position command of a joint without limits


def write_policy(subject: Subject, setting: Setting, folder: Path) -> Path:
    """The policy file of a setting."""
    path = folder / f"{setting.policy}-{setting.mode}-{setting.period:g}-{setting.full}.isthmus"
    _cruising(cruising_contract(subject, setting), subject, setting).save(path)
    if setting.policy == "corrupt":
        data = bytearray(path.read_bytes())
        data[data.find(b"previous_action", data.find(b"policy.onnx"))] ^= 1
        path.write_bytes(data)
    return path


def cruising_contract(subject: Subject, setting: Setting) -> Contract:
    """The contract of a setting's policy, without inputs unless that is what the policy is for."""
    robot, own, names = subject.robot, subject.limits, subject.robot.joint_names
    contract = Contract(
        robot=robot.name,
        task="cruise",
        observation=_observation(subject, setting),
        action=_action(subject, setting.mode),
        limits=own,
        control_period=setting.period,
        start={name: (float(home), 0.05) for name, home in zip(names, subject.home, strict=True)} if subject.arm else {},
    )
    match setting.policy:
        case "chunks":
            return dataclasses.replace(contract, horizon=10)
        case "anywhere":
            return dataclasses.replace(contract, start={})
        case "ramp" | "far":
            away = 0.4 if setting.policy == "ramp" else 0.7
            start = {name: (home + away * push, 0.05) for name, home, push in zip(names, subject.home, subject.push, strict=True)}
            return dataclasses.replace(contract, start=start)
        case "wall":  # a position limit in the way
            low, high = tuple((subject.home - 0.5).tolist()), tuple((subject.home + 0.5).tolist())
            return dataclasses.replace(contract, limits=dataclasses.replace(own, position_low=low, position_high=high))
        case "box":  # the tool's way leads out of it
            return dataclasses.replace(contract, limits=dataclasses.replace(own, workspace=box(subject)))
        case "weak":  # brakes a tenth as hard as the robot
            weak = tuple(value / 10 for value in own.stop_acceleration)
            return dataclasses.replace(contract, limits=dataclasses.replace(own, stop_acceleration=weak))
        case "fewer":  # commands all joints but the last
            return _without_last(contract)
    return contract


def box(subject: Subject) -> Box:
    """Around the first third of the tool's way."""
    tree, names = Kinematics(subject.robot.urdf_path), subject.robot.joint_names
    way = subject.home + np.linspace(0, 0.35, 8)[:, None] * subject.push
    points = np.concatenate([tree.positions(names, way, [link])[link] for link in subject.robot.workspace_points])
    return Box(tuple((points.min(axis=0) - 0.01).tolist()), tuple((points.max(axis=0) + 0.01).tolist()))


def _observation(subject: Subject, setting: Setting) -> tuple[Signal, ...]:
    robot, names = subject.robot, subject.robot.joint_names
    signals = [dataclasses.replace(_action(subject, setting.mode), name="previous_action", source="previous_action")]
    if subject.arm:
        endless = ((-np.inf,) * len(names), (np.inf,) * len(names))
        signals += [Signal(f"joint_{kind}", f"joint_{kind}", names, robot.unit(kind), *endless) for kind in ("position", "velocity")]
    if setting.policy == "seeing":  # of the first camera, though what it shows changes nothing
        camera = robot.cameras[0]
        signals.append(Signal(camera.name, "image", (), "1", (), (), dtype="uint8", camera=camera.spec))
    if setting.policy == "goal":
        signals.append(Signal("goal", "input", ("x", "y", "z"), "m", (-1.0,) * 3, (1.0,) * 3))
    return tuple(signals)


def _action(subject: Subject, mode: str) -> Signal:
    own, names = subject.limits, subject.robot.joint_names
    if mode == "position":
        low, high = np.maximum(own.position_low, -_TURN), np.minimum(own.position_high, _TURN)
    else:
        high = np.array(own.effort if mode == "effort" else own.velocity)
        low = -high
    source = "twist" if mode == "twist" else f"joint_{mode}"
    unit = "m/s" if mode == "twist" else subject.robot.unit(mode)
    return Signal("action", source, names, unit, tuple(low.tolist()), tuple(high.tolist()))


def _without_last(contract: Contract) -> Contract:
    keep = contract.action.elements[:-1]

    def shorter(signal: Signal) -> Signal:
        unit = joined_units(signal.units[:-1])
        return dataclasses.replace(signal, elements=keep, unit=unit, low=signal.low[:-1], high=signal.high[:-1])

    limits = dataclasses.replace(
        contract.limits, joints=keep, **{f.name: getattr(contract.limits, f.name)[:-1] for f in dataclasses.fields(contract.limits)[1:-1]}
    )
    observation = tuple(shorter(signal) if signal.source == "previous_action" else signal for signal in contract.observation)
    start = {name: value for name, value in contract.start.items() if name in keep}
    return dataclasses.replace(contract, action=shorter(contract.action), observation=observation, limits=limits, start=start)


def _cruising(contract: Contract, subject: Subject, setting: Setting) -> Artifact:
    """A policy that moves all joints at one speed, whatever else it is told: velocities, or the previous set-point and a bit more."""
    count, steps, speed = len(contract.action.elements), contract.horizon, subject.speed(setting)
    positions = contract.mode == "position"
    ahead = np.arange(1, steps + 1)[:, None] * setting.period if positions else np.ones((steps, 1))
    added = (speed * ahead * subject.push[:count])[None].astype(np.float32)  # [1, H, J]
    seen = [signal.name for signal in contract.observation if signal.source in ("joint_position", "joint_velocity")]
    nodes = [helper.make_node("Mul", ["previous_action", "kept"], ["before"])]
    for name in seen:  # what is not a number makes the action none
        nodes.append(helper.make_node("ReduceSum", [name, "elements"], [f"sum_{name}"], keepdims=1))
        nodes.append(helper.make_node("Mul", [f"sum_{name}", "nothing"], [f"no_{name}"]))
    nodes.append(helper.make_node("Sum", ["before", *(f"no_{name}" for name in seen), "added"], ["actions"]))
    values = {"kept": np.float32(positions), "nothing": np.float32(0), "added": added, "elements": np.array([2])}
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
