"""A graph is made of operators whose memory follows from shapes: one of 4.5 kB took 1.9 GB once it saw a positive observation."""

import io
import re
import warnings

import onnx
import pytest
from onnx import TensorProto, helper
from test_bounds_of_policies import CONTRACT, SIZED, constant, graph

from isthmus.kinds.graph import graph_artifact
from isthmus.onnx_audit import audit_onnx
from isthmus.onnx_sizes import OPERATORS

node = helper.make_node
TEXT = helper.make_tensor("text", TensorProto.STRING, [], [b"a"])
BY_SHAPE = "of which it is not known that its memory and work follow from shapes alone"


def through_strings(*makes):
    """A graph whose number `much` is 1 where the string `s` is "a"."""
    return [*makes, node("Equal", ["s", "s"], ["equal"]), node("Cast", ["equal"], ["much"], to=TensorProto.FLOAT)]


@pytest.mark.parametrize(
    ("nodes", "constants", "sentence"),
    [
        pytest.param(through_strings(node("Identity", ["text"], ["s"])), [TEXT], "has strings", id="initialiser"),
        pytest.param(through_strings(node("Constant", [], ["s"], value=TEXT)), [], "has strings", id="constant"),
        pytest.param(through_strings(node("Constant", [], ["s"], value_string=b"a")), [], "has strings", id="word"),
        pytest.param(through_strings(node("Constant", [], ["s"], value_strings=[b"a"])), [], "has strings", id="words"),
        pytest.param(
            through_strings(node("ConstantOfShape", ["three"], ["s"], value=TEXT)), [constant("three", 3)], "has strings", id="fill"
        ),
        pytest.param(through_strings(node("Cast", ["joint_position"], ["s"], to=TensorProto.STRING)), [], "has strings", id="cast"),
        pytest.param(
            through_strings(node("Cast", ["joint_position"], ["s"], to=TensorProto.STRING + 2**32)), [], "has strings", id="narrowed cast"
        ),
        pytest.param([node("StringConcat", ["joint_position"] * 2, ["much"])], [], f"'StringConcat', {BY_SHAPE}", id="concatenation"),
        pytest.param([node("RoiAlign", ["joint_position"] * 3, ["much"])], [], f"'RoiAlign', {BY_SHAPE}", id="sampled by value"),
        pytest.param([node("GivenTensorFill", ["joint_position"], ["much"])], [], f"'GivenTensorFill', {BY_SHAPE}", id="of onnxruntime"),
    ],
)
def test_what_has_no_bound_is_refused(nodes, constants, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        graph_artifact(CONTRACT, graph(nodes, *constants))


def test_every_standard_operator_is_allowed_or_left_out_on_purpose():
    strings = {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"}
    by_value = {"ImageDecoder", "MaxRoiPool", "RoiAlign"}
    optional = {"Optional", "OptionalGetElement", "OptionalHasElement"}
    standard = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert standard - OPERATORS == strings | by_value | optional | {"If", "Loop", "Scan", "SequenceMap"}
    assert OPERATORS - standard == set()
    assert set(SIZED) <= OPERATORS


def layers():
    """The layers of which policies are made, each `[B, 4, 8]` → a tensor."""
    import torch
    from torch import nn

    class Taken(nn.Module):
        def __init__(self, inner, take):
            super().__init__()
            self.inner, self.take = inner, take

        def forward(self, x):
            return self.take(self.inner, x)

    def first(inner, x):
        return inner(x)[0]

    def squashed(inner, x):
        mean, log_std = inner(x).chunk(2, dim=-1)
        return torch.tanh(torch.distributions.Normal(mean, log_std.clamp(-5, 2).exp()).mean)

    yield "MLP", nn.Sequential(nn.Flatten(), nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 8), nn.ELU(), nn.LayerNorm(8), nn.Mish(), nn.Tanh())
    yield (
        "activations",
        nn.Sequential(nn.SiLU(), nn.GELU(), nn.Softplus(), nn.LeakyReLU(), nn.SELU(), nn.Hardswish(), nn.GLU(), nn.Softmax(-1)),
    )
    yield "CNN", nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))
    yield (
        "U-Net",
        nn.Sequential(
            nn.Conv1d(4, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Mish(), nn.Upsample(scale_factor=2), nn.ConvTranspose1d(4, 4, 4, 2, 1)
        ),
    )
    yield "GRU", Taken(nn.GRU(8, 5, batch_first=True), first)
    yield "LSTM", Taken(nn.LSTM(8, 5, num_layers=2, batch_first=True), first)
    yield "transformer", nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    yield "attention", Taken(nn.MultiheadAttention(8, 2, batch_first=True), lambda inner, x: inner(x, x, x)[0])
    yield "squashed Gaussian", Taken(nn.Linear(8, 4), squashed)
    yield "drawn", Taken(nn.Linear(8, 4), lambda inner, x: inner(x) + torch.randn_like(inner(x)))
    yield "spatial softmax", Taken(nn.Identity(), lambda _, x: (x.flatten(1).softmax(-1) * torch.linspace(-1, 1, 32)).sum(-1, keepdim=True))
    yield "greedy", Taken(nn.Linear(8, 4), lambda inner, x: nn.functional.one_hot(inner(x).argmax(-1), 4).float())
    yield "einsum", Taken(nn.Identity(), lambda _, x: torch.einsum("bij,bkj->bik", x, x))
    yield "cumulated", Taken(nn.Identity(), lambda _, x: torch.where(x > 0, x.cumsum(1), x.abs().sqrt()).sort(-1)[0][..., ::2])


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize(("name", "layer"), [pytest.param(*made, id=made[0]) for made in layers()])
def test_what_exporters_make_of_layers_is_allowed(name, layer, dynamo):
    import torch

    if name == "transformer" and not dynamo:
        pytest.skip("torch's older exporter fails on it")
    content = io.BytesIO()
    told = {"dynamic_shapes": ({0: torch.export.Dim("B")},)} if dynamo else {"dynamic_axes": {"x": {0: "B"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            layer.eval(), (torch.randn(2, 4, 8),), None if dynamo else content, input_names=["x"], dynamo=dynamo, verbose=False, **told
        )
    audit_onnx(exported.model_proto.SerializeToString() if dynamo else content.getvalue(), name)
