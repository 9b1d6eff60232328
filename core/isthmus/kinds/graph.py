"""Kind `graph`: a policy that is one ONNX graph, run by onnxruntime on one CPU thread.

Features, normalisation and unscaling are inside the graph: raw SI observations go in, the SI action chunk comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.kinds.session import start_session
from isthmus.onnx_audit import audit_onnx
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array

__all__ = ["GraphPolicy", "graph_artifact"]

_MEMBER = "policy.onnx"
_OUTPUT = "actions"
_BLOCK = 4  # rows
_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(uint8)": "uint8"}


class GraphPolicy:
    """Runs `policy.onnx`.

    The graph has one input per observation signal, of its name and dtype, `[B, history, *shape]` with a free batch axis, and one output
    `actions`, float32 or float64 `[B, H, A]`. The guard clips actions, not the policy.

    Attributes:
        contract: what the graph consumes and produces.

    Raises:
        ValueError: onnxruntime cannot run the graph, it needs too much memory or time, or its inputs or output are not those of the contract.
    """

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    def __init__(self, contract: Contract, graph: bytes, rows: int = 1) -> None:
        """Rehearse and open the graph, see `isthmus.kinds.rehearsal`.

        Args:
            contract: what the graph consumes and produces.
            graph: a serialised ModelProto.
            rows: of the observation that it is rehearsed with.
        """
        self._block = 1 if any(signal.source == "image" for signal in contract.observation) else _BLOCK
        rows += -rows % self._block
        neutral = {signal.name: np.zeros((rows, signal.history, *signal.shape), dtype=signal.dtype) for signal in contract.observation}
        session, complaint = start_session(graph, _MEMBER, neutral)
        self.contract = contract
        self._session = session
        _check_inputs(contract, session.get_inputs())
        _check_outputs(contract, session.get_outputs())
        if complaint:
            raise ValueError(f"member {_MEMBER!r} cannot run on an observation of zeros: {complaint}")

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> GraphPolicy:
        """The policy of an artifact of kind `graph`."""
        return cls(artifact.contract, artifact.members[_MEMBER])

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse graphs that are not closed or have no bound, see `audit_onnx`."""
        audit_onnx(members[_MEMBER], f"member {_MEMBER!r}")

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget: a graph has no memory."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Run the graph.

        It is run on a multiple of four rows (the last one is repeated), unless it sees images: onnxruntime rounds the rows that are left of a batch
        in another way than those that come four at a time, so that a row would depend on how many others there are.

        Args:
            observation: `[B, history, *shape]` in SI units per signal name of the contract, or `[history, *shape]` of a single environment; other
                keys are ignored.

        Returns:
            actions `[B, H, A]` float64, in SI units.

        Raises:
            KeyError: a signal is missing.
            ValueError: a signal or the result has the wrong shape, or a picture another type than uint8.
        """
        asked = asked_observation(self.contract, observation)
        feed = {signal.name: asked[signal.name].astype(signal.dtype, copy=False) for signal in self.contract.observation}
        rows = len(next(iter(feed.values())))
        if missing := -rows % self._block:
            feed = {name: np.concatenate([value, np.repeat(value[-1:], missing, axis=0)]) for name, value in feed.items()}
        (actions,) = self._session.run([_OUTPUT], feed)
        actions = actions[: len(actions) - missing]
        chunk = (rows, self.contract.horizon, len(self.contract.action.elements))
        if actions.shape != chunk:
            raise ValueError(f"member {_MEMBER!r}: {_OUTPUT} must be {_sizes(*chunk)}, got {_sizes(*actions.shape)}")
        return ActionChunk(actions.astype(np.float64))


def graph_artifact(contract: Contract, graph: bytes, training: Mapping[str, Any] | None = None, git: str = "") -> Artifact:
    """Put an exported graph into an artifact.

    Args:
        contract: what the graph consumes and produces.
        graph: the serialised ONNX model.
        training: summary of the training run, plain data.
        git: commit it was made from.

    Raises:
        ValueError: the graph does not fit the contract or is refused by the audit.
    """
    artifact = Artifact(contract, "graph", {_MEMBER: graph}, training or {}, git=git)
    artifact.policy()
    return artifact


def _check_inputs(contract: Contract, inputs: list[Any]) -> None:
    found = {item.name: item for item in inputs}
    names = [signal.name for signal in contract.observation]
    for name in found:
        if name not in names:
            raise ValueError(f"member {_MEMBER!r}: input {name!r} is not a signal of the contract; {strict.suggest(name, names)}")
    for signal in contract.observation:
        if signal.name not in found:
            raise ValueError(f"member {_MEMBER!r} has no input {signal.name!r}; its inputs: {', '.join(found) or 'none'}")
        item = found[signal.name]
        if _TYPES.get(item.type) != signal.dtype:
            raise ValueError(f"member {_MEMBER!r}: input {signal.name!r} must be {signal.dtype}, got {_TYPES.get(item.type, item.type)}")
        if not item.shape or isinstance(item.shape[0], int) or tuple(item.shape[1:]) != (signal.history, *signal.shape):
            expected = f"{_sizes('B', signal.history, *signal.shape)} with a free batch axis"
            raise ValueError(f"member {_MEMBER!r}: input {signal.name!r} must be {expected}, got {_sizes(*item.shape)}")


def _check_outputs(contract: Contract, outputs: list[Any]) -> None:
    names = [item.name for item in outputs]
    if names != [_OUTPUT]:
        raise ValueError(f"member {_MEMBER!r} must have one output {_OUTPUT!r}, got {', '.join(names)}")
    (item,) = outputs
    if _TYPES.get(item.type) not in ("float32", "float64"):
        raise ValueError(f"member {_MEMBER!r}: {_OUTPUT} must be float32 or float64, got {_TYPES.get(item.type, item.type)}")
    sizes = (contract.horizon, len(contract.action.elements))
    # Exporters leave sizes open that they could not infer; `act` checks what comes out.
    declared = all(not isinstance(axis, int) or axis == size for axis, size in zip(item.shape[1:], sizes, strict=False))
    if len(item.shape) != 3 or not declared:
        raise ValueError(f"member {_MEMBER!r}: {_OUTPUT} must be {_sizes('B', *sizes)}, got {_sizes(*item.shape)}")


def _sizes(*axes: object) -> str:
    return f"[{', '.join(str(axis) for axis in axes)}]"
