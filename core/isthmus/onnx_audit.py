"""What an ONNX file must not contain, checked on the protobuf bytes before any runtime sees them.

A graph may name files to read weights from, operators of other packages and functions of its own. A policy file is closed: the audit refuses all
of these, and every field that it does not know. It also refuses what has no bound: branches and loops (`If`, `Loop`, `Scan`), strings, tensors whose
size depends on an observation, and every operator of which that is not known (`onnx_sizes.OPERATORS`). Field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14); the wire format is that of
https://protobuf.dev/programming-guides/encoding. A robot does not need the `onnx` package for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.onnx_sizes import Node, check_sizes

__all__ = ["audit_onnx"]

_GRAPH = 7  # field of ModelProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DOMAINS = ("", "ai.onnx")
_STRING = 8  # TensorProto.DataType
_STRINGS = "strings"

_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": dict.fromkeys((1, 2, 3, 4, 5, 6, 14, 26), "") | {7: "GraphProto", 8: "OperatorSetIdProto"},
    "GraphProto": dict.fromkeys((2, 10, 11, 12, 13, 14, 16), "") | {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": dict.fromkeys((1, 2, 3, 4, 6, 7, 8, 9, 10), "") | {5: "AttributeProto"},
    "AttributeProto": dict.fromkeys((1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21), "")
    | {5: "TensorProto", 10: "TensorProto", 22: "SparseTensorProto", 23: "SparseTensorProto"},
    "TensorProto": dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16), ""),
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto", 3: ""},
    "OperatorSetIdProto": {1: "", 2: ""},
}
"""Fields per message: the message inside, or "" for a value that cannot hold a tensor or an operator."""

_REFUSED = {
    ("ModelProto", 20): "training information",
    ("ModelProto", 25): "functions of its own",
    ("AttributeProto", 6): "a branch or a loop",
    ("AttributeProto", 11): "branches or loops",
    ("TensorProto", 6): _STRINGS,
    ("TensorProto", 13): "external data",
}


def audit_onnx(model: bytes, where: str) -> None:
    """Check that a graph is complete in itself, made of standard operators, and the same whatever it is given.

    Args:
        model: a serialised ModelProto.
        where: name used in messages, usually the archive member.

    Raises:
        ValueError: malformed bytes, an unknown field, external data, an operator domain other than "" and "ai.onnx", functions, branches, loops,
            training information, strings, an operator that is not known to be bounded, or a tensor whose size depends on a value that is observed
            or drawn.
    """
    if not {1, _GRAPH, 8} <= _audit(memoryview(model), "ModelProto", where):
        raise ValueError(f"{where} is not an ONNX model: it has no version, graph or operator set")
    graphs = list(_messages(memoryview(model), _GRAPH, where))  # of one that is given in pieces, a parser makes one
    tensors = [tensor for graph in graphs for tensor in _messages(graph, 5, where)]
    tensors += [values for graph in graphs for sparse in _messages(graph, 15, where) for values in _messages(sparse, 1, where)]
    inputs = {_text(value, 1, where) for graph in graphs for value in _messages(graph, 11, where)}
    nodes = (_node(node, where) for graph in graphs for node in _messages(graph, 1, where))
    check_sizes(nodes, inputs - {_text(tensor, 8, where) for tensor in tensors}, where)


def _audit(data: memoryview, message: str, where: str) -> set[int]:
    """Audit one message and those inside it; returns the numbers of its fields."""
    known = _MESSAGES[message]
    numbers = set()
    for number, value in _fields(data, where):
        if what := _REFUSED.get((message, number)):
            raise ValueError(f"{where} has {what}; a policy's graph must not")
        if number not in known:
            raise ValueError(f"{where}: field {number} of {message} is not known; is this an ONNX model?")
        if inner := known[number]:
            if not isinstance(value, memoryview):
                raise ValueError(f"{where}: field {number} of {message} must be a message")
            _audit(value, inner, where)
        _check_value(message, number, value, where)
        numbers.add(number)
    if message == "AttributeProto":
        _check_attribute(data, where)
    return numbers


def _check_attribute(data: memoryview, where: str) -> None:
    """Refuse what makes strings of something else: a constant of them, and a cast to them."""
    names = {bytes(name).decode(errors="replace") for name in _messages(data, 1, where)}
    numbers = {value & 0xFFFFFFFF for number, value in _fields(data, where) if number == 3 and isinstance(value, int)}
    if names & {"value_string", "value_strings"} or ("to" in names and _STRING in numbers):
        raise ValueError(f"{where} has {_STRINGS}; a policy's graph must not")


def _node(data: memoryview, where: str) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    operator = ""
    for number, value in _fields(data, where):
        if number in (1, 2, 4) and isinstance(value, memoryview):
            name = bytes(value).decode(errors="replace")
            if number == 4:
                operator = name
            else:
                (inputs if number == 1 else outputs).append(name)
    return Node(operator, tuple(inputs), tuple(outputs))


def _messages(data: memoryview, number: int, where: str) -> Iterator[memoryview]:
    return (value for found, value in _fields(data, where) if found == number and isinstance(value, memoryview))


def _text(data: memoryview, number: int, where: str) -> str:
    """The last string of that number, "" if there is none."""
    return ([""] + [bytes(value).decode(errors="replace") for value in _messages(data, number, where)])[-1]


def _check_value(message: str, number: int, value: int | memoryview, where: str) -> None:
    if (message, number) == ("TensorProto", 14) and value != 0:
        raise ValueError(f"{where} has external data; a policy's graph must not")
    if (message, number) in (("NodeProto", 7), ("OperatorSetIdProto", 1)):
        domain = bytes(value).decode(errors="replace") if isinstance(value, memoryview) else str(value)
        if domain not in _DOMAINS:
            raise ValueError(f"{where} uses operator domain {domain!r}; only the standard operators ('' and 'ai.onnx') are allowed")


def _fields(data: memoryview, where: str) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position, where)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position, where)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position, where)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"{where} is not an ONNX model: wire type {wire} does not exist there")
        if position + length > len(data):
            raise ValueError(f"{where} is not an ONNX model or is truncated: a field of {length} bytes reaches beyond its end")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int, where: str) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise ValueError(f"{where} is not an ONNX model or is truncated: it ends within a number")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError(f"{where} is not an ONNX model: a number has more than 10 bytes")
