"""Kind `mpc`: model predictive control on an installed model; the file names the model and has its parameters and the settings of the solver.

Models are installed in the entry-point group `isthmus.models`, by the part of a task's name before its colon, or by the whole name: a function of
the task's name and the parameters. A file chooses among them and brings no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.installed import find_installed, installed_names, load_installed
from isthmus.kind import PolicyData
from isthmus.policy import Policy
from isthmus_controllers.npc.model import Model
from isthmus_controllers.planners.mpc_settings import MpcSettings

__all__ = ["MpcKind", "installed_model", "mpc_artifact"]

_MODELS = "isthmus.models"

_MEMBER = "mpc.json"


@dataclass(frozen=True, slots=True)
class _Choice:
    settings: MpcSettings
    parameters: Mapping[str, Any]


class MpcKind:
    """Builds the planner of a file."""

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> Policy:
        """See `isthmus.kind.Kind`; the model is that of the contract's task."""
        from isthmus_controllers.planners.mpc import MpcPlanner

        choice = _read(artifact.members)
        return MpcPlanner(artifact.contract, installed_model(artifact.contract.task, choice.parameters), choice.settings)

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse settings that cannot be read."""
        _read(members)


def installed_model(task: str, parameters: Mapping[str, Any]) -> Model:
    """The installed model of a task.

    Args:
        task: its name.
        parameters: that the model asks for, plain data.

    Raises:
        ValueError: there is none, or it does not take these parameters.
    """
    name = task.partition(":")[0]
    entry = find_installed(_MODELS, name)
    if entry is None:
        raise ValueError(f"there is no installed model of task {task!r}; {strict.suggest(name, installed_names(_MODELS))}")
    model: Model = load_installed(entry)(task, parameters)
    return model


def mpc_artifact(contract: Contract, parameters: Mapping[str, Any], settings: MpcSettings, git: str = "") -> Artifact:
    """Put a controller into an artifact.

    Args:
        contract: of a task that has an installed model; its horizon is the model's.
        parameters: of the model.
        settings: of the solver.
        git: state of the source tree, for the manifest.

    Raises:
        ValueError: there is no such model, or contract and parameters do not fit it.
    """
    artifact = Artifact(contract, "mpc", {_MEMBER: strict.canonical_json(_Choice(settings, parameters))}, git=git)
    artifact.policy()
    return artifact


def _read(members: Mapping[str, bytes]) -> _Choice:
    where = f"member {_MEMBER!r}"
    return strict.decode(_Choice, strict.load_json(members[_MEMBER], where), where)
