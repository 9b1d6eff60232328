"""In a policy's graph no size depends on what the robot measures, so that one run tells what every run of as many rows needs.

`Range(0, x)`, `ConstantOfShape(x)` and their like make a tensor as large as a value. Where the value is a constant, or follows from the shapes of
other tensors, the tensor is the same each time; where it follows from an observation, or is drawn at random, nobody can say what a graph will need.
Only operators that are known here are allowed. Missing are those of strings, whose size is their content, those whose work depends on values whatever
their shapes are (`RoiAlign`, `MaxRoiPool`, `ImageDecoder`, `TfIdfVectorizer`), and those that hold graphs (`If`, `Loop`, `Scan`, `SequenceMap`).
Operators and the places of their inputs are those of https://github.com/onnx/onnx/blob/main/docs/Operators.md (operator set 26).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["OPERATORS", "Node", "check_sizes"]

SIZED: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "ReduceL1": (1,),
    "ReduceL2": (1,),
    "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceProd": (1,),
    "ReduceSum": (1,),
    "ReduceSumSquare": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "SequenceAt": (1,),
    "SequenceErase": (1,),
    "SequenceInsert": (2,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unique": (0,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
}
"""Operator → places of the inputs whose values decide how large its outputs are."""

_DRAWN = {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_SHAPES = {"Shape", "Size"}
_NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization BitCast BitShift BitwiseAnd BitwiseNot
BitwiseOr BitwiseXor Cast CastLike CausalConvWithState Ceil Celu Clip Concat ConcatFromSequence Constant Conv ConvInteger ConvTranspose Cos Cosh
CumProd CumSum DeformConv DepthToSpace DequantizeLinear Det Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp EyeLike Flatten Floor GRU Gather
GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax
LpNormalization LpPool MatMul MatMulInteger Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NegativeLogLikelihoodLoss Not Or PRelu
Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Reciprocal Relu ReverseSequence RotaryEmbedding Round Scatter ScatterElements
ScatterND Selu SequenceConstruct SequenceEmpty SequenceLength Shrink Sigmoid Sign Sin Sinh Softmax SoftmaxCrossEntropyLoss Softplus Softsign
SpaceToDepth Sqrt Sub Sum SwiGLU Swish Tan Tanh TensorScatter ThresholdedRelu Transpose Trilu Where Xor
"""

OPERATORS = frozenset({*_NAMES.split(), *_DRAWN, *_SHAPES, *SIZED})
"""What a graph may be made of: the memory and the work of these follow from the shapes of their inputs, but for the places in `SIZED`."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph.

    Attributes:
        operator: its name.
        inputs: names of tensors, "" where an optional one is left out.
        outputs: names of tensors.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def check_sizes(nodes: Iterable[Node], measured: Collection[str], where: str) -> None:
    """Check that the sizes of a graph's tensors follow from its constants and the shapes of its inputs alone.

    Args:
        nodes: in the order in which they run.
        measured: names of the graph's inputs.
        where: name used in messages, usually the archive member.

    Raises:
        ValueError: an operator is none of `OPERATORS`, or a size depends on a value that is measured or drawn; the message names the operator, and
            the tensor.
    """
    varying = set(measured)
    for node in nodes:
        if node.operator not in OPERATORS:
            raise ValueError(
                f"{where} uses operator {node.operator!r}, of which it is not known that its memory and work follow from shapes alone"
            )
        for place in SIZED.get(node.operator, ()):
            if place < len(node.inputs) and node.inputs[place] in varying:
                raise ValueError(
                    f"{where}: the size of what {node.operator} makes depends on the values of {node.inputs[place]!r}, which vary from run to run"
                )
        if node.operator in _DRAWN or (node.operator not in _SHAPES and not varying.isdisjoint(node.inputs)):
            varying.update(node.outputs)
