"""From a trained torch module to a policy file, with the proof that both compute the same."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds.graph import graph_artifact
from isthmus.ladder import PARITY
from isthmus.records import Array

__all__ = ["PARITY_SAMPLES", "PARITY_TOLERANCE", "export_graph"]

PARITY_TOLERANCE = 1e-5  # of each action's range
PARITY_SAMPLES = 1000
_MARGIN = 10.0  # times what the network's own rounding costs
_MOST = 1e-2  # of each action's range, whatever rounding costs
_TIE = 1e-5  # margin of a router below which rounding may send an observation to another expert
_TIES = 1000  # observations, of which one may be sent so


class _NamedInputs(torch.nn.Module):
    """Gives a module that takes one mapping the separate named inputs of an ONNX graph."""

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self._module, self._names = module, names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return self._module(dict(zip(self._names, values, strict=True)))


def export_graph(
    contract: Contract,
    module: torch.nn.Module,
    observations: Mapping[str, Array],
    *,
    training: Mapping[str, Any] | None = None,
    git: str = "",
) -> Artifact:
    """Export a module that maps raw SI observations to SI actions.

    A recurrence makes rounding grow from action to action. Where the exported graph differs by more than `PARITY_TOLERANCE`, the module is therefore
    run in double precision too, and the graph may differ from it by ten times what that changes in the same action or an earlier one, but never by
    more than a hundredth of the range.

    A module that routes has a method `margin`, of the same mapping: by how much the experts were chosen, `[B]`. Where that is a tie, another choice
    is no fault; of a thousand observations one may be decided so.

    Args:
        contract: what the module consumes and produces.
        module: on any device, mapping of `[B, history, *shape]` per signal → `[B, H, A]`.
        observations: up to `PARITY_SAMPLES` observations from training, on which exported and eager are compared.
        training: summary for the manifest.
        git: state of the source tree, for the manifest.

    Returns:
        the policy file, with the largest difference as evidence (`isthmus.ladder.PARITY`), as a share of an action's range.

    Raises:
        ValueError: an argument is of another type, or a signal is not among the observations. The exported graph differs from the module by more
            than that, as a share of an action's range; the message names the action. Or too many observations are at a tie.
    """
    strict.instance("contract", contract, Contract)
    strict.instance("module", module, torch.nn.Module)
    strict.instance("observations", observations, Mapping)
    names = tuple(signal.name for signal in contract.observation)
    if missing := [name for name in names if name not in observations]:
        raise ValueError(
            f"observations have no {missing[0]!r}, which the contract observes; there are: {', '.join(observations) or 'none'}"
        )
    samples = {name: np.ascontiguousarray(observations[name][:PARITY_SAMPLES]) for name in names}
    example = tuple(torch.from_numpy(samples[name][:2]) for name in names)
    module = copy.deepcopy(module).cpu().eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            _NamedInputs(module, names).eval(),
            example,
            buffer,
            input_names=list(names),
            output_names=["actions"],
            dynamic_axes={name: {0: "batch"} for name in (*names, "actions")},
            dynamo=False,
        )
    artifact = graph_artifact(contract, _with_inputs(buffer.getvalue(), contract), training=training, git=git)
    eager = _run(module, samples)
    exported = artifact.policy().act(samples).actions
    span = np.array(contract.action.high) - np.array(contract.action.low)
    difference = _apart(module, samples, np.abs(exported - eager) / span).max(axis=0)  # [H, A]
    told = {"samples": len(eager), "difference": float(difference.max()), "allowed": PARITY_TOLERANCE}
    if (difference <= PARITY_TOLERANCE).all():
        return artifact.with_evidence(PARITY, told)
    allowed = np.clip(_MARGIN * _rounding(module, samples, eager, span), PARITY_TOLERANCE, _MOST)[:, None]
    if not (difference <= allowed).all():
        step, action = np.unravel_index(np.argmax(difference / allowed), difference.shape)
        raise ValueError(
            f"exported graph differs from the trained one by {difference[step, action]:.1e} of the range of {contract.action.elements[action]}, "
            f"allowed is {allowed[step, 0]:g}"
        )
    return artifact.with_evidence(PARITY, {**told, "allowed": float(allowed.max())})


def _with_inputs(graph: bytes, contract: Contract) -> bytes:
    """The graph with an input for every signal: the exporter leaves out those that the module does not use."""
    import onnx

    model = onnx.load_from_string(graph)
    found = {item.name for item in model.graph.input}
    for signal in contract.observation:
        if signal.name not in found:
            kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(signal.dtype))
            model.graph.input.append(onnx.helper.make_tensor_value_info(signal.name, kind, ["batch", signal.history, *signal.shape]))
    return model.SerializeToString() if len(found) < len(contract.observation) else graph


def _apart(module: torch.nn.Module, samples: Mapping[str, Array], difference: Array) -> Array:
    """The differences `[B, H, A]` without those of observations that were sent to other experts at a tie."""
    off = difference.max(axis=(1, 2)) > PARITY_TOLERANCE
    margin = getattr(module, "margin", None)
    if margin is None or not off.any():
        return difference
    with torch.no_grad():
        off &= (margin({name: torch.from_numpy(value) for name, value in samples.items()}) < _TIE).numpy()
    if (count := np.count_nonzero(off)) > (allowed := -(-len(off) // _TIES)):
        raise ValueError(
            f"the router is at a tie in {count} of {len(off)} observations, and the exported graph decides it in another way; allowed are {allowed}"
        )
    return np.where(off[:, None, None], 0.0, difference)


def _rounding(module: torch.nn.Module, samples: Mapping[str, Array], eager: Array, span: Array) -> Array:
    """How far double precision leads away from the eager actions `[B, H, A]`, up to each action of a chunk, as a share of the range, `[H]`."""
    if not np.array_equal(_run(module, samples), eager):  # a module that computes something else every time
        return np.zeros(eager.shape[1])
    doubled = {name: value if value.dtype == np.uint8 else value.astype(np.float64) for name, value in samples.items()}
    precise = _run(copy.deepcopy(module).double(), doubled)
    return np.asarray(np.maximum.accumulate((np.abs(precise - eager) / span).max(axis=(0, 2))))


def _run(module: torch.nn.Module, samples: Mapping[str, Array]) -> Array:
    with torch.no_grad():
        return np.asarray(module({name: torch.from_numpy(value) for name, value in samples.items()}).numpy())
