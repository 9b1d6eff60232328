"""From a trained torch module to a policy file, with the proof that both compute the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kinds.graph import graph_artifact
from isthmus.records import Array

__all__ = ["PARITY_SAMPLES", "PARITY_TOLERANCE", "export_graph"]

PARITY_TOLERANCE = 1e-5  # of each action's range
PARITY_SAMPLES = 1000


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
    feedback: bool = False,
) -> Artifact:
    """Export a module that maps raw SI observations to SI actions.

    Args:
        contract: what the module consumes and produces.
        module: mapping of `[B, history, *shape]` per signal → `[B, H, A]`.
        observations: up to `PARITY_SAMPLES` observations from training, on which exported and eager are compared.
        training: summary for the manifest.
        git: state of the source tree, for the manifest.
        feedback: whether each action of a chunk is computed from the one before, so that rounding adds up: the k-th may differ k times as much.

    Raises:
        ValueError: the exported graph differs from the module by more than `PARITY_TOLERANCE` of an action's range; the message names the action.
    """
    names = tuple(signal.name for signal in contract.observation)
    samples = {name: np.ascontiguousarray(observations[name][:PARITY_SAMPLES]) for name in names}
    example = tuple(torch.from_numpy(samples[name][:2]) for name in names)
    module = module.eval()
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
    artifact = graph_artifact(contract, buffer.getvalue(), training=training, git=git)
    with torch.no_grad():
        eager = module({name: torch.from_numpy(samples[name]) for name in names}).numpy()
    exported = artifact.policy().act(samples).actions
    span = np.array(contract.action.high) - np.array(contract.action.low)
    steps = 1 + np.arange(contract.horizon)[:, None] if feedback else 1
    difference = (np.abs(exported - eager) / span / steps).max(axis=(0, 1))
    if not (difference <= PARITY_TOLERANCE).all():
        worst = int(np.argmax(difference))
        raise ValueError(
            f"exported graph differs from the trained one by {difference[worst]:.1e} of the range of {contract.action.elements[worst]}, "
            f"allowed is {PARITY_TOLERANCE:g}"
        )
    return artifact
