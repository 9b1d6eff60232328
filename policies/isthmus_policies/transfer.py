"""From a policy file back to a learner: the actor's weights, which the exported graph holds under their own names."""

from __future__ import annotations

import torch

from isthmus.artifact import Artifact
from isthmus_policies.learner import Learner

__all__ = ["load_actor"]

_PREFIX = "_module."  # of the names in an exported graph, see `isthmus_policies.export`
_STARTS = {"sac": ("sac", "bc"), "dsac-t": ("dsac-t",), "srl": ("srl",), "bc": ("bc", "sac")}  # learner and what it can go on from
_UNUSED = "actor.log_std."  # how much SRL explores, which its deterministic policy does not know


def load_actor(learner: Learner, artifact: Artifact) -> None:
    """Give a new learner the actor of a policy of the same algorithm, or of one with the same networks. Critics, temperature and replay begin anew.

    Raises:
        ValueError: the file is of another algorithm, contract or shape, or does not hold the weights; the message says what can be started from.
    """
    made_by = " ".join(str(artifact.training[name]) for name in ("engine", "algorithm") if name in artifact.training) or artifact.kind
    if learner.algorithm not in _STARTS:
        raise ValueError(f"a training with {learner.algorithm} begins anew; --from goes with {', '.join(_STARTS)}")
    if artifact.kind != "graph" or made_by not in _STARTS[learner.algorithm]:
        writers = " or ".join(f"isthmus train {name}" for name in _STARTS[learner.algorithm])
        raise ValueError(
            f"the policy was made by {made_by!r}; a training with {learner.algorithm} starts from a policy that {writers} wrote"
        )
    if differing := artifact.contract.diff(learner.contract):
        raise ValueError(f"the policy has another contract than this training: {'; '.join(differing)}")
    weights = _weights(artifact.members["policy.onnx"])
    found = {name: parameter for name, parameter in learner.policy().named_parameters() if not name.startswith(_UNUSED)}
    for name, parameter in found.items():
        if name not in weights:
            raise ValueError(f"the policy file does not hold the weights {name}, so no training can start from it")
        if weights[name].shape != parameter.shape:
            raise ValueError(
                f"the policy has {name} of shape {list(weights[name].shape)}, this training {list(parameter.shape)}; "
                "give the widths of its layers (isthmus inspect POLICY shows them under training)"
            )
    with torch.no_grad():
        for name, parameter in found.items():
            parameter.copy_(weights[name])


def _weights(graph: bytes) -> dict[str, torch.Tensor]:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(graph)
    return {
        tensor.name.removeprefix(_PREFIX): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in model.graph.initializer
        if tensor.name.startswith(_PREFIX)
    }
