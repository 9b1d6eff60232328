"""A small policy file cannot ask for much memory or time: those here took gigabytes at commit 0188891."""

import dataclasses
import io
import struct
import sys
import zipfile

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sample_contract import make_contract
from small_process import opened

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds import rehearsal
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus.kinds.graph import GraphPolicy, graph_artifact
from isthmus.limits import Limits
from isthmus.onnx_sizes import OPERATORS, SIZED
from isthmus.signals import CameraSpec, Signal

JOINTS = ("shoulder",)
CONTRACT = Contract(
    robot="arm",
    task="follow",
    observation=(Signal("joint_position", "joint_position", JOINTS, "rad", (-3.0,), (3.0,)),),
    action=Signal("action", "joint_velocity", JOINTS, "rad/s", (-1.0,), (1.0,)),
    limits=Limits(JOINTS, (-3.0,), (3.0,), (1.0,), (5.0,), (5.0,), (10.0,)),
    control_period=0.05,
)
IMAGE = Signal("eye", "image", (), "1", (), (), dtype="uint8", camera=CameraSpec(480, 640))


def constant(name, *values, kind=np.int64):
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def graph(nodes, *constants):
    """Nodes that make `much` from constants; the actions are the joint positions plus 0 × its sum."""
    tail = [
        helper.make_node("ReduceSum", ["much"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nought"], ["nothing"]),
        helper.make_node("Add", ["joint_position", "nothing"], ["actions"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, 1]) for name in ("joint_position", "actions")]
    nought = numpy_helper.from_array(np.float32(0), "nought")
    made = helper.make_graph([*nodes, *tail], "policy", ends[:1], ends[1:], [nought, *constants])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def bombs():
    node = helper.make_node
    yield "constants folded", graph([node("ConstantOfShape", ["shape"], ["much"])], constant("shape", 450_000_000))
    yield "expanded", graph([node("Expand", ["joint_position", "shape"], ["much"])], constant("shape", 1, 450_000, 1000))
    yield (
        "tiled",
        graph(
            [node("Tile", ["joint_position", "ten"], ["0"])]
            + [node("Tile", [str(step), "ten"], [str(step + 1) if step < 7 else "much"]) for step in range(8)],
            constant("ten", 1, 10, 1),
        ),
    )
    yield (
        "resized",
        graph(
            [node("Unsqueeze", ["joint_position", "axis"], ["4"]), node("Resize", ["4", "", "scales"], ["much"])],
            constant("axis", 3),
            constant("scales", 1, 1, 20_000, 20_000, kind=np.float32),
        ),
    )
    yield (
        "shape by shape",
        graph(
            [
                node("Shape", ["joint_position"], ["three"]),
                node("Add", ["three", "more"], ["sides"]),
                node("ConstantOfShape", ["sides"], ["much"]),
            ],
            constant("more", 800, 800, 800),
        ),
    )


def saved(path, model, contract=CONTRACT):
    """Write the file of somebody who did not ask `graph_artifact`."""
    Artifact(contract, "graph", {"policy.onnx": model}).save(path)
    return path


@pytest.mark.parametrize(("name", "model"), [pytest.param(*bomb, id=bomb[0]) for bomb in bombs()])
def test_a_graph_that_needs_too_much_is_refused(tmp_path, name, model):
    path = saved(tmp_path / "policy.isthmus", model)
    assert path.stat().st_size < 4000
    assert "policy.onnx' needs more than 512 MB to run once" in opened(path)


def test_a_graph_that_takes_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(rehearsal, "PROCESSOR", 1)
    side = constant("side", 9000, 9000)
    nodes = [
        helper.make_node("RandomNormal", [], ["a"], shape=[4000, 4000]),
        *(
            helper.make_node("MatMul", ["a" if step == 0 else f"p{step}", "a"], [f"p{step + 1}" if step < 60 else "much"])
            for step in range(61)
        ),
    ]
    with pytest.raises(ValueError, match=r"member 'policy.onnx' needs more than 1 s of a processor to run once"):
        GraphPolicy(CONTRACT, graph(nodes, side))


def test_a_graph_is_rehearsed_once_for_each_number_of_rows(monkeypatch):
    plain = graph([helper.make_node("Identity", ["joint_position"], ["much"])])
    tried = []
    real = rehearsal._tried
    monkeypatch.setattr(rehearsal, "_KNOWN", {})
    monkeypatch.setattr(rehearsal, "_tried", lambda *told: tried.append(told) or real(*told))
    for rows in (1, 1, 8):
        GraphPolicy(CONTRACT, plain, rows)
    assert len(tried) == 2


def test_a_graph_that_fails_on_zeros_or_ends_its_process_is_refused(monkeypatch):
    outside = graph([helper.make_node("Gather", ["joint_position", "far"], ["much"], axis=1)], constant("far", 7))
    with pytest.raises(ValueError, match=r"cannot run on an observation of zeros: .*indices"):
        GraphPolicy(CONTRACT, outside)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match=r"member 'policy.onnx' cannot be tried out: no reason given"):
        GraphPolicy(CONTRACT, graph([helper.make_node("Neg", ["joint_position"], ["much"])]))


def test_elsewhere_nothing_is_rehearsed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert rehearsal.rehearse(b"no graph", {}, "policy.onnx") == ""


@pytest.mark.parametrize("source", ["joint_position", "drawn"])
@pytest.mark.parametrize("operator", ["Range", "ConstantOfShape", "NonZero", "Expand"])
def test_a_size_that_follows_from_a_value_is_refused(source, operator):
    node = helper.make_node
    size = [
        node("RandomNormal", [], ["drawn"], shape=[1]),
        node("Reshape", [source, "flat"], ["f"]),
        node("Cast", ["f"], ["n"], to=TensorProto.INT64),
    ]
    made = {
        "Range": node("Range", ["from", "n", "from"], ["m"]),
        "ConstantOfShape": node("ConstantOfShape", ["n"], ["m"]),
        "NonZero": node("NonZero", ["n"], ["m"]),
        "Expand": node("Expand", ["from", "n"], ["m"]),
    }[operator]
    model = graph([*size, made, node("Cast", ["m"], ["much"], to=TensorProto.FLOAT)], constant("flat", 1), constant("from", 1))
    with pytest.raises(ValueError, match=f"the size of what {operator} makes depends on the values of 'n', which vary from run to run"):
        graph_artifact(CONTRACT, model)


def test_every_operator_that_may_grow_by_a_value_is_known():
    """Inputs of whole numbers decide about sizes unless they are data, positions to read or write at, or lengths within a sequence."""
    from onnx import defs

    data = {
        "Attention",
        "BitShift",
        "BitwiseAnd",
        "BitwiseNot",
        "BitwiseOr",
        "BitwiseXor",
        "CumProd",
        "CumSum",
        "GRU",
        "Gather",
        "GatherElements",
    }
    data |= {
        "GatherND",
        "LSTM",
        "NegativeLogLikelihoodLoss",
        "QLinearConv",
        "RNN",
        "ReverseSequence",
        "RotaryEmbedding",
    }
    data |= {"Scatter", "ScatterElements", "ScatterND", "SoftmaxCrossEntropyLoss", "TensorScatter", "Trilu"}
    whole = set()
    for schema in defs.get_all_schemas():
        kinds = {constraint.type_param_str: constraint.allowed_type_strs for constraint in schema.type_constraints}
        for item in schema.inputs:
            types = " ".join(kinds.get(item.type_str, [item.type_str]))
            if schema.domain == "" and ("int64" in types or "int32" in types) and "float" not in types:
                whole.add(schema.name)
    assert (whole & OPERATORS) - data <= set(SIZED)


def test_the_memory_of_a_signal_is_bounded():
    signal = CONTRACT.observation[0]
    with pytest.raises(
        ValueError, match=r"signal 'joint_position': history × stride must be <= 100000 control periods, got 101 × 1000 = 101000"
    ):
        dataclasses.replace(signal, history=101, stride=1000)
    with pytest.raises(
        ValueError, match=r"'eye': history 400, stride 1 and samples of 480 × 640 × 3 uint8 need 369 MB; at most 256 MB are"
    ):
        dataclasses.replace(IMAGE, history=400)
    with pytest.raises(ValueError, match="history 2, stride 500 and samples of"):
        dataclasses.replace(IMAGE, history=2, stride=500)
    assert dataclasses.replace(IMAGE, history=3, stride=2).memory == 5 * 480 * 640 * 3


def test_the_memory_of_an_observation_and_the_length_of_a_decision_are_bounded():
    eyes = [dataclasses.replace(IMAGE, name=f"eye {number}", history=100 + number) for number in range(3)]
    with pytest.raises(
        ValueError, match=r"the observation needs 279 MB, most of it for signal 'eye 2' \(94 MB\); at most 256 MB are allowed"
    ):
        dataclasses.replace(CONTRACT, observation=tuple(eyes))
    with pytest.raises(ValueError, match="horizon × actions must be <= 100000, got 20000 × 6"):
        make_contract(horizon=20_000)


def test_a_waveform_of_too_many_sines_is_refused():
    count = 20_000
    wave = MultiSine((0.0,), ((0.0,) * count,), (1.0,) * count, ((0.0,) * count,), 1.0, 2.0)
    clock = Signal("time", "time", ("t",), "s", (0.0,), (10.0,))
    contract = dataclasses.replace(CONTRACT, observation=(clock,), horizon=100)
    with pytest.raises(ValueError, match="horizon × joints × frequencies must be <= 1000000, got 100 × 1 × 20000 = 2000000"):
        excitation_artifact(contract, wave)


def archive(*members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in members:
            file.writestr(name, b"1")
    return content.getvalue()


def test_an_archive_of_many_or_overlapping_members_is_refused(tmp_path):
    (tmp_path / "many").write_bytes(archive(*(f"evidence/{number}.json" for number in range(1001))))
    with pytest.raises(ValueError, match="has 1001 members; at most 1000 are allowed"):
        Artifact.load(tmp_path / "many")
    one = archive("a")
    large = one.replace(struct.pack("<II", 1, 1), struct.pack("<II", 10**6, 10**6))
    (tmp_path / "overlapping").write_bytes(large)
    with pytest.raises(ValueError, match=f"has members of 1000000 bytes in {len(large)} bytes; members do not overlap"):
        Artifact.load(tmp_path / "overlapping")
