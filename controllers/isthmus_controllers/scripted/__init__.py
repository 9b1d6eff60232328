"""Policies written by hand, one per task: what a task looks like when it is solved, and a yardstick for what is learned.

They have a contract and no memory, like every policy; what they know beyond their observation stands at the top of each module. Some can be told
more: their class names its `SETTINGS` with the range of each. A policy file of kind `scripted` holds contract, name of the script and settings, so
that they run wherever a learned policy runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.policy import Policy

__all__ = ["STRIKE", "ScriptedKind", "scripted_artifact", "scripted_policy", "scripted_tasks", "settings_of"]

STRIKE = "strike"
"""The script that explores an object; it is no task's."""

_MEMBER = "scripted.json"

_POLICIES = {
    "door": "door:DoorPolicy",
    "navigate": "navigate:NavigatePolicy",
    "peg-cross-state": "peg:PegPolicy",
    "peg-square-state": "peg:PegPolicy",
    "peg-state": "peg:PegPolicy",
    "push": "push:PushPolicy",
    "reach": "reach:ReachPolicy",
    "reach-effort": "reach:ReachPolicy",
    "reach-pixels-state": "reach:ReachPolicy",
    "reach-position": "reach:ReachPolicy",
    "reach-wide": "reach:ReachPolicy",
    "rod": "rod:RodPolicy",
    "slide": "slide:SlidePolicy",
    STRIKE: "strike:StrikePolicy",
    "walk": "walk:TrotPolicy",
    "walk-rough": "walk:TrotPolicy",
}
"""Task → module of this package and class, which takes the contract."""


def scripted_tasks() -> list[str]:
    """Names of the tasks that have a scripted policy, sorted."""
    return sorted(set(_POLICIES) - {STRIKE})


def settings_of(script: str) -> Mapping[str, tuple[float, float]]:
    """What a script can be told: name → range; empty if nothing.

    Raises:
        ValueError: there is no such script.
    """
    found: Mapping[str, tuple[float, float]] = getattr(_script(script), "SETTINGS", {})
    return found


def scripted_policy(task: str, contract: Contract, settings: Mapping[str, Any] | None = None) -> Policy:
    """The scripted policy of a task.

    Args:
        task: its name.
        contract: of the task.
        settings: what it is told, numbers within `settings_of`, or arrays with one for each row.

    Raises:
        ValueError: the task has none, a setting is unknown or out of its range; the message lists what there is.
    """
    script, told = _script(task), dict(settings or {})
    known = settings_of(task)
    for name, value in told.items():
        if name not in known:
            raise ValueError(f"the script of {task!r} has no setting {name!r}; {strict.suggest(name, known)}")
        low, high = known[name]
        if not (np.isfinite(value).all() and np.min(value) >= low and np.max(value) <= high):
            raise ValueError(f"setting {name!r} of the script of {task!r} must be in {low:g} … {high:g}, got {value}")
    policy: Policy = script(contract, **told)
    return policy


def scripted_artifact(contract: Contract, settings: Mapping[str, float] | None = None, script: str = "") -> Artifact:
    """A policy file with a scripted policy.

    Args:
        contract: of what it does.
        settings: what the script is told.
        script: its name; by default that of the contract's task.

    Raises:
        ValueError: there is none; the message lists those that there are.
    """
    told = {name: float(value) for name, value in (settings or {}).items()}
    scripted_policy(script or contract.task, contract, told)
    return Artifact(contract, "scripted", {_MEMBER: strict.canonical_json(_Choice(script or contract.task, told))})


class ScriptedKind:
    """The kind `scripted` of policy files."""

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> Policy:
        """Build the policy.

        Raises:
            ValueError: the task has no scripted policy, or the contract is not what it needs.
        """
        choice = _read(artifact.members)
        return scripted_policy(choice.task, artifact.contract, choice.settings)

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse a member that is no choice of a scripted policy.

        Raises:
            ValueError: the message names the member.
        """
        task = _read(members).task
        if task not in _POLICIES:
            raise ValueError(f"member {_MEMBER!r}: task {task!r} has no scripted policy; {strict.suggest(task, _POLICIES)}")


@dataclass(frozen=True, slots=True)
class _Choice:
    task: str
    settings: dict[str, float] = field(default_factory=dict)


def _script(task: str) -> Any:
    """Its class."""
    if task not in _POLICIES:
        raise ValueError(f"task {task!r} has no scripted policy; {strict.suggest(task, _POLICIES)}")
    module, _, name = _POLICIES[task].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def _read(members: Mapping[str, bytes]) -> _Choice:
    where = f"member {_MEMBER!r}"
    return strict.decode(_Choice, strict.load_json(members[_MEMBER], where), where)
