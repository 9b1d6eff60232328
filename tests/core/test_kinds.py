"""The kinds `graph` and `excitation`, and what the audit of ONNX graphs lets through."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from isthmus import onnx_audit
from isthmus.artifact import Artifact, ArtifactError, load_policy
from isthmus.contract import Contract
from isthmus.kind import kind_names, load_kind
from isthmus.kinds.excitation import ExcitationPolicy, MultiSine, excitation_artifact
from isthmus.kinds.graph import GraphPolicy, graph_artifact
from isthmus.limits import Limits
from isthmus.onnx_audit import audit_onnx
from isthmus.signals import Signal

JOINTS = ("shoulder", "elbow")
ACTION = Signal("action", "joint_velocity", JOINTS, "rad/s", (-1.0, -2.0), (1.0, 2.0))
CONTRACT = Contract(
    robot="arm",
    task="follow",
    observation=(
        Signal("joint_position", "joint_position", JOINTS, "rad", (-3.0, -3.0), (3.0, 3.0), history=3),
        Signal("time", "time", ("t",), "s", (0.0,), (10.0,), dtype="float64"),
    ),
    action=ACTION,
    limits=Limits(JOINTS, (-3.0,) * 2, (3.0,) * 2, (1.0, 2.0), (5.0,) * 2, (5.0,) * 2, (10.0,) * 2),
    control_period=0.05,
)
POSITION = ("joint_position", TensorProto.FLOAT, ["B", 3, 2])
TIME = ("time", TensorProto.DOUBLE, ["B", 1, 1])
OUTPUT = ("actions", TensorProto.FLOAT, ["B", 1, 2])


def model(inputs=(POSITION, TIME), outputs=(OUTPUT,), nodes=None, constants=(), domains=("",)):
    """By default actions = 2 × the newest joint positions."""
    nodes = nodes or [
        helper.make_node("Gather", ["joint_position", "newest"], ["position"], axis=1),
        helper.make_node("Add", ["position", "position"], ["actions"]),
    ]
    newest = helper.make_tensor("newest", TensorProto.INT64, [1], [2])
    described = [[helper.make_tensor_value_info(*item) for item in items] for items in (inputs, outputs)]
    graph = helper.make_graph(nodes, "policy", *described, [newest, *constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 18) for domain in domains], ir_version=9)


def observation(batch):
    return {"joint_position": np.arange(batch * 6, dtype=np.float32).reshape(batch, 3, 2), "time": np.zeros((batch, 1, 1))}


def test_graph_policy_runs_from_its_file_for_any_batch(tmp_path):
    graph_artifact(CONTRACT, model().SerializeToString(), training={"steps": 1}).save(tmp_path / "a.isthmus")
    policy = load_policy(tmp_path / "a.isthmus")
    policy.reset()
    for batch in (1, 4):
        seen = observation(batch)
        actions = policy.act({**seen, "privileged": np.zeros(1)}).actions
        assert actions.dtype == np.float64
        np.testing.assert_array_equal(actions, 2 * seen["joint_position"][:, -1:])


def test_graph_policy_refuses_wrong_observations():
    policy = GraphPolicy(CONTRACT, model().SerializeToString())
    with pytest.raises(KeyError, match="signal 'time' is missing; given: joint_position"):
        policy.act({"joint_position": observation(1)["joint_position"]})
    with pytest.raises(ValueError, match=r"signal 'joint_position' must be \[2, 3, 2\], got \[2, 1, 2\]"):
        policy.act(observation(2) | {"joint_position": np.zeros((2, 1, 2))})
    with pytest.raises(ValueError, match=r"signal 'time' must be \[2, 1, 1\], got \[3, 1, 1\]"):
        policy.act(observation(2) | {"time": np.zeros((3, 1, 1))})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (POSITION,)}, "has no input 'time'; its inputs: joint_position"),
        (
            {"inputs": (POSITION, TIME, ("tme", TensorProto.FLOAT, ["B"]))},
            "input 'tme' is not a signal of the contract; did you mean 'time'",
        ),
        ({"inputs": (POSITION, ("time", TensorProto.FLOAT, ["B", 1, 1]))}, "input 'time' must be float64, got float32"),
        ({"inputs": (POSITION, ("time", TensorProto.INT64, ["B", 1, 1]))}, r"input 'time' must be float64, got tensor\(int64\)"),
        (
            {"inputs": (("joint_position", TensorProto.FLOAT, ["B", 4, 2]), TIME)},
            r"must be \[B, 3, 2\] with a free batch axis, got \[B, 4, 2\]",
        ),
        (
            {"inputs": (("joint_position", TensorProto.FLOAT, [1, 3, 2]), TIME)},
            r"must be \[B, 3, 2\] with a free batch axis, got \[1, 3, 2\]",
        ),
        (
            {"inputs": (POSITION, ("time", TensorProto.DOUBLE, ["B", 1]))},
            r"'time' must be \[B, 1, 1\] with a free batch axis, got \[B, 1\]",
        ),
        ({"outputs": (("position", TensorProto.FLOAT, ["B", 1, 2]),)}, "must have one output 'actions', got position"),
        ({"outputs": (OUTPUT, ("position", TensorProto.FLOAT, ["B", 1, 2]))}, "must have one output 'actions', got actions, position"),
        (
            {"nodes": [helper.make_node("Shape", ["joint_position"], ["actions"])], "outputs": (("actions", TensorProto.INT64, [3]),)},
            "must be float32",
        ),
        ({"nodes": [helper.make_node("NoSuchOperator", ["time"], ["actions"])]}, "uses operator 'NoSuchOperator'"),
    ],
)
def test_graph_that_does_not_fit_the_contract_is_refused(changes, message):
    with pytest.raises(ArtifactError, match=f"member 'policy.onnx'.*{message}"):
        graph_artifact(CONTRACT, model(**changes).SerializeToString())


def test_chunk_of_another_size_is_refused():
    last = helper.make_tensor("last", TensorProto.BOOL, [3], [False, False, True])
    open_size = model(nodes=[helper.make_node("Compress", ["joint_position", "last"], ["actions"], axis=1)], constants=[last])
    open_size.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "H"
    with pytest.raises(ArtifactError, match=r"actions must be \[B, 4, 2\], got \[B, 1, 2\]"):
        graph_artifact(replace(CONTRACT, horizon=4), model().SerializeToString())
    with pytest.raises(ValueError, match=r"actions must be \[2, 4, 2\], got \[2, 1, 2\]"):
        GraphPolicy(replace(CONTRACT, horizon=4), open_size.SerializeToString()).act(observation(2))


def external(name="weights"):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def sparse(tensor):
    return onnx.SparseTensorProto(values=tensor, dims=[1])


def closed_graph_violations():
    location_only = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
    attribute = helper.make_node("Constant", [], ["c"])
    attribute.attribute.append(onnx.AttributeProto(name="values", type=onnx.AttributeProto.TENSORS, tensors=[external()]))
    sparse_attribute = helper.make_node("Constant", [], ["c"])
    sparse_attribute.attribute.append(
        onnx.AttributeProto(name="s", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse(external()))
    )
    sparse_initializer = model()
    sparse_initializer.graph.sparse_initializer.append(sparse(external()))
    function = model()
    function.functions.add(name="f", domain="")
    training = model()
    training.training_info.add()
    yield "external data", model(constants=[external()])
    yield "external data", model(constants=[location_only])
    yield "external data", model(nodes=[attribute])
    yield "external data", model(nodes=[sparse_attribute])
    yield "external data", sparse_initializer
    yield "functions of its own", function
    yield "training information", training
    yield "operator domain 'com.microsoft'", model(nodes=[helper.make_node("Gelu", ["time"], ["actions"], domain="com.microsoft")])
    yield "operator domain 'ai.onnx.ml'", model(domains=("", "ai.onnx.ml"))
    inner = helper.make_graph([], "inner", [], [])
    yield "a branch or a loop", model(nodes=[helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)])
    yield "a branch or a loop", model(nodes=[helper.make_node("Loop", [], [], body=inner)])
    several = helper.make_node("Scan", [], [])
    several.attribute.append(onnx.AttributeProto(name="bodies", type=onnx.AttributeProto.GRAPHS, graphs=[inner]))
    yield "branches or loops", model(nodes=[several])


@pytest.mark.parametrize(("message", "graph"), closed_graph_violations())
def test_graph_that_is_not_closed_is_refused(message, graph):
    with pytest.raises(ArtifactError, match=f"member 'policy.onnx' (has|uses) {message}"):
        Artifact(CONTRACT, "graph", {"policy.onnx": graph.SerializeToString()})


def test_audit_knows_every_field_of_onnx():
    for message, known in onnx_audit._MESSAGES.items():
        refused = {number for owner, number in onnx_audit._REFUSED if owner == message}
        fields = getattr(onnx, message).DESCRIPTOR.fields
        assert {field.number for field in fields} == set(known) | refused
        for field in fields:
            inner = field.message_type.name if field.message_type else ""
            assert known.get(field.number, "") == (inner if inner in onnx_audit._MESSAGES and field.number not in refused else "")
    leaves = {
        "TypeProto",
        "ValueInfoProto",
        "StringStringEntryProto",
        "TensorAnnotation",
        "Segment",
        "NodeDeviceConfigurationProto",
        "DeviceConfigurationProto",
    }
    reached = {f.message_type.name for m in onnx_audit._MESSAGES for f in getattr(onnx, m).DESCRIPTOR.fields if f.message_type}
    assert reached == leaves | set(onnx_audit._MESSAGES) - {"ModelProto"} | {"TrainingInfoProto", "FunctionProto"}


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(deadline=None)
def test_malformed_bytes_are_refused_with_a_sentence(garbage, cut):
    valid = model().SerializeToString()
    try:
        audit_onnx(valid[:cut] + garbage, "policy.onnx")
    except ValueError as error:
        assert str(error).startswith("policy.onnx")  # noqa: PT017 - bytes that happen to be a message may pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no version, graph or operator set"),
        (b"\x80\x04\x95pickle", "is not known; is this an ONNX model|is not an ONNX model"),
        (b"\x08\x09\x3a\x7f", "a field of 127 bytes reaches beyond its end"),
        (b"\x08" + b"\xff" * 11, "a number has more than 10 bytes"),
        (b"\x08", "ends within a number"),
        (b"\x38\x01", "field 7 of ModelProto must be a message"),
        (b"\x0b", "wire type 3"),
        (b"\x9a\x06\x00", "field 99 of ModelProto is not known"),
    ],
)
def test_what_is_not_a_model_is_refused(content, message):
    with pytest.raises(ArtifactError, match=f"member 'policy.onnx'.*({message})"):
        Artifact(CONTRACT, "graph", {"policy.onnx": content})


def test_kinds_are_found_by_name():
    assert {"excitation", "graph", "tracking"} <= set(kind_names())
    assert load_kind("graph") is GraphPolicy
    with pytest.raises(ValueError, match="unknown kind 'pickle'; Known: excitation, graph"):
        load_kind("pickle")


WAVE = MultiSine(
    base=(0.2, -0.5), amplitude=((0.3, 0.4), (0.5, 0.5)), frequency=(0.5, 1.25), phase=((0.0, 1.0), (2.0, 3.0)), fade=1.0, duration=8.0
)


def act(policy, *seconds):
    return policy.act({"time": np.array(seconds, dtype=float)[:, None, None]}).actions


@given(st.lists(st.floats(-1, 10), min_size=1, max_size=20))
def test_excitation_stays_in_bounds_and_rests_outside_its_time(seconds):
    actions = act(ExcitationPolicy(CONTRACT, WAVE), *seconds)[:, 0]
    assert (actions >= ACTION.low).all()
    assert (actions <= ACTION.high).all()
    rests = [time <= 0 or time >= WAVE.duration for time in seconds]
    assert (actions[rests] == 0).all()


def test_excitation_is_the_formula_between_the_fades():
    time = 3.3
    slow, fast = np.pi * time, 2.5 * np.pi * time
    expected = [0.2 + 0.3 * np.sin(slow) + 0.4 * np.sin(fast + 1), -0.5 + 0.5 * np.sin(slow + 2) + 0.5 * np.sin(fast + 3)]
    np.testing.assert_allclose(act(ExcitationPolicy(CONTRACT, WAVE), time)[0, 0], expected, rtol=1e-12)


def test_fades_begin_and_end_with_zero_slope():
    constant = MultiSine(base=(1.0,), amplitude=((),), frequency=(), phase=((),), fade=1.0, duration=3.0)
    step = 1e-4
    for time in (0.0, 1.0, 2.0, 3.0):
        before, after = constant.sample(np.array([time - step, time + step]), np.zeros(1))[:, 0]
        assert abs(after - before) < 1e-6
    assert constant.sample(np.array([0.5]), np.zeros(1)) == pytest.approx(0.5)


def test_excitation_plans_a_chunk_ahead():
    chunk = act(ExcitationPolicy(replace(CONTRACT, horizon=5), WAVE), 1.0, 7.9)
    single = ExcitationPolicy(CONTRACT, WAVE)
    for row, start in enumerate((1.0, 7.9)):
        np.testing.assert_allclose(chunk[row], act(single, *(start + 0.05 * np.arange(5)))[:, 0], atol=1e-12)


def test_position_excitation_rests_at_its_base():
    contract = replace(CONTRACT, action=replace(ACTION, source="joint_position", unit="rad"))
    np.testing.assert_array_equal(act(ExcitationPolicy(contract, WAVE), 0.0, 9.0)[:, 0], [WAVE.base] * 2)


def test_excitation_runs_from_its_file(tmp_path):
    excitation_artifact(CONTRACT, WAVE).save(tmp_path / "a.isthmus")
    policy = load_policy(tmp_path / "a.isthmus")
    assert policy.excitation == WAVE


def test_excitation_refusals_name_the_bad_value():
    for change, message in [
        ({"fade": 0.0}, "fade must be > 0 s, got 0.0 s"),
        ({"duration": 1.5}, "at least two fades of 1.0 s, got 1.5 s"),
        ({"duration": float("inf")}, "duration must be finite"),
        ({"base": (float("inf"), 0.0)}, "base must be finite, got inf"),
        ({"frequency": (0.5, 0.0)}, "frequency must be > 0 Hz, got 0.0 Hz"),
        ({"phase": ((0.0,), (1.0, 2.0))}, r"phase must have 2 rows of 2 like base and frequency, got \[1, 2\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(WAVE, **change)
    with pytest.raises(ArtifactError, match=r"elbow reaches -2.5 … 1.5 rad/s, the action's bounds are -2 … 2 rad/s"):
        excitation_artifact(CONTRACT, replace(WAVE, amplitude=((0.0, 0.0), (1.0, 1.0))))
    with pytest.raises(ArtifactError, match="needs one signal with source 'time'; the contract observes joint_position"):
        excitation_artifact(replace(CONTRACT, observation=CONTRACT.observation[:1]), WAVE)
    with pytest.raises(ArtifactError, match="base must have 2 entries, one per joint, got 1"):
        excitation_artifact(CONTRACT, MultiSine((0.0,), ((),), (), ((),), 1.0, 2.0))
    with pytest.raises(KeyError, match="signal 'time' is missing; given: none"):
        ExcitationPolicy(CONTRACT, WAVE).act({})
