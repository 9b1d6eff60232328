"""Policies for the ROS tests: small, exact and good enough to succeed."""

import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from isthmus.kinds.graph import graph_artifact
from isthmus.kinematics import Kinematics
from isthmus.robot import load_robot
from isthmus.signals import Signal

GAIN = 3.0  # 1/s


def resolved_rate(contract):
    """Resolved-rate control with the Jacobian of the home pose: q̇ = K J⁺ (goal - tool), as an ONNX graph."""
    robot = load_robot(contract.robot)
    kinematics, home, tool = Kinematics(robot.urdf_path), robot.home[None], robot.tool_frame

    def place(position):
        return kinematics.poses(robot.joint_names, position, [tool])[tool].position[0]

    jacobian = np.array([(place(home + step) - place(home - step)) / 2e-5 for step in 1e-5 * np.eye(len(robot.joints))])  # [J, 3]
    matrix = (GAIN * np.linalg.pinv(jacobian)).astype(np.float32)  # [3, J]: row vectors times this
    count = len(contract.action.elements)
    limit = np.float32(contract.action.high[0])
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["goal", tool], ["gap"]),
            helper.make_node("MatMul", ["gap", "matrix"], ["rate"]),
            helper.make_node("Clip", ["rate", "low", "high"], ["actions"]),
        ],
        "resolved_rate",
        [helper.make_tensor_value_info(s.name, TensorProto.FLOAT, ["B", 1, len(s.elements)]) for s in contract.observation],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["B", 1, count])],
        [
            numpy_helper.from_array(matrix, "matrix"),
            numpy_helper.from_array(-limit, "low"),
            numpy_helper.from_array(limit, "high"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return graph_artifact(contract, model.SerializeToString())


def still(contract):
    """A policy that always asks for zeros."""
    signals, count = contract.observation, len(contract.action.elements)
    size = next(len(signal.elements) for signal in signals[:1] if signal.history == 1)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [signals[0].name, "zeros"], ["actions"])],
        "still",
        [
            helper.make_tensor_value_info(s.name, TensorProto.UINT8 if s.camera else TensorProto.FLOAT, ["B", s.history, *s.shape])
            for s in signals
        ],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["B", 1, count])],
        [numpy_helper.from_array(np.zeros((size, count), dtype=np.float32), "zeros")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return graph_artifact(contract, model.SerializeToString())


def seeing(contract, camera="wrist"):
    """`resolved_rate` with a picture more: the brighter it is, the faster the last joint turns, up to 0.2 rad/s."""
    (spec,) = [found.spec for found in load_robot(contract.robot).cameras if found.name == camera]
    picture = Signal(camera, "image", (), "1", (), (), dtype="uint8", camera=spec)
    model = onnx.load_from_string(resolved_rate(contract).members["policy.onnx"])
    graph, count = model.graph, len(contract.action.elements)
    graph.node[-1].output[0] = "reaching"
    gain = np.zeros((1, 1, count), dtype=np.float32)
    gain[..., -1] = 0.2 / 255
    graph.input.append(helper.make_tensor_value_info(camera, TensorProto.UINT8, ["B", 1, *picture.shape]))
    graph.initializer.extend(
        [numpy_helper.from_array(gain, "gain"), numpy_helper.from_array(np.array([0, 1, 1], dtype=np.int64), "one value per row")]
    )
    graph.node.extend(
        [
            helper.make_node("Cast", [camera], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3, 4]),
            helper.make_node("Reshape", ["mean", "one value per row"], ["brightness"]),
            helper.make_node("Mul", ["brightness", "gain"], ["turning"]),
            helper.make_node("Add", ["reaching", "turning"], ["actions"]),
        ]
    )
    onnx.checker.check_model(model)
    return graph_artifact(dataclasses.replace(contract, observation=(*contract.observation, picture)), model.SerializeToString())
