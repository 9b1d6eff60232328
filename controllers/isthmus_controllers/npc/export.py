"""From a trained network and its model to a policy file, with the proof that all of them compute the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus_controllers.npc.model import Model
from isthmus_controllers.npc.network import PlanNetwork
from isthmus_controllers.npc.policy import BackupSettings, NpcPolicy, settings_member

__all__ = ["npc_artifact"]

PARITY = 1e-5  # of each control's range
_SAMPLES = 1000


class _Planning(torch.nn.Module):  # type: ignore[misc]
    """Observations, each `[B, 1, n]` → plan."""

    def __init__(self, network: PlanNetwork) -> None:
        super().__init__()
        self._network = network

    def forward(self, *observations: torch.Tensor) -> torch.Tensor:
        return self._network(torch.cat([observation[:, 0] for observation in observations], 1))


class _Predicting(torch.nn.Module):  # type: ignore[misc]
    """State `[B, n]` and plan `[B, T, m]` → trajectory `[B, T + 1, n]` and signals `[B, T', S]`."""

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        super().__init__()
        self._model, self._names = model, names

    def forward(self, state: torch.Tensor, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        trajectory = self._model.rollout(state, actions)
        signals = self._model.signals(trajectory[:, self._model.first :])
        return trajectory, torch.stack([signals[name] for name in self._names], 2)


def npc_artifact(
    contract: Contract, network: PlanNetwork, model: Model, *, training: Mapping[str, Any] | None = None, git: str = "", backup: bool = True
) -> Artifact:
    """Export a trained network with its model.

    Args:
        contract: observes the model's state, without history; commands its controls; its horizon is that of the model.
        network: trained.
        model: what it was trained on.
        training: summary for the manifest.
        git: state of the source tree, for the manifest.
        backup: whether the policy may search; without, its own plans are executed whatever their robustness.

    Raises:
        ValueError: an exported graph differs from its original by more than `PARITY`.
    """
    sizes = [int(np.prod(signal.shape)) for signal in contract.observation]
    if sum(sizes) != len(model.states) or contract.horizon != model.horizon:
        raise ValueError(
            f"the model has {len(model.states)} states and {model.horizon} steps, the contract {sum(sizes)} and {contract.horizon}"
        )
    state = torch.from_numpy(model.sample(_SAMPLES, np.random.default_rng(1))).float()
    names = tuple(sorted(model.signals(model.rollout(state[:2], network(state[:2])))))
    observations = tuple(piece[:, None] for piece in torch.split(state, sizes, dim=1))
    with torch.no_grad():
        plan = network(state)
    members = {
        "policy.onnx": _exported(_Planning(network), observations, [signal.name for signal in contract.observation], ["actions"]),
        "dynamics.onnx": _exported(_Predicting(model, names), (state, plan), ["state", "actions"], ["states", "signals"]),
        "specification.txt": model.specification.encode(),
        "npc.json": settings_member(
            BackupSettings(
                names, model.safety, model.end, model.choices, model.prefix if backup else 0, model.candidates, model.fail_safe, model.hold
            )
        ),
    }
    artifact = Artifact(contract, "npc", members, training or {}, git=git)
    policy = artifact.policy()
    assert isinstance(policy, NpcPolicy)  # noqa: S101
    _compare(policy, model, state, plan, names)
    return artifact


def _exported(module: torch.nn.Module, inputs: tuple[Any, ...], names: list[str], outputs: list[str]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            module.eval(),
            tuple(value[:2] for value in inputs),
            buffer,
            input_names=names,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)},
            dynamo=False,
        )
    return buffer.getvalue()


def _compare(policy: NpcPolicy, model: Model, state: Any, plan: Any, names: Sequence[str]) -> None:
    span = np.array(model.high) - np.array(model.low)
    planned = policy.plan(state.numpy())
    if (worst := float((np.abs(planned - plan.numpy()) / span).max())) > PARITY:
        raise ValueError(f"the exported network differs from the trained one by {worst:.1e} of a control's range, allowed is {PARITY:g}")
    trajectory, _ = policy.predict(state.numpy(), plan.numpy())
    expected = model.rollout(state, plan).numpy()
    scale = np.maximum(np.abs(expected).max(axis=(0, 1)), 1.0)
    if (worst := float((np.abs(trajectory - expected) / scale).max())) > PARITY:
        raise ValueError(f"the exported model differs from its original by {worst:.1e} of a state's scale, allowed is {PARITY:g}")
