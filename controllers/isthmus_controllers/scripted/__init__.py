"""Policies written by hand, one per task: what a task looks like when it is solved, and a yardstick for what is learned.

They have a contract and no memory, like every policy; what they know beyond their observation stands at the top of each module. A policy
file of kind `scripted` holds the contract and the task's name, so that they run wherever a learned policy runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.policy import Policy

__all__ = ["ScriptedKind", "scripted_artifact", "scripted_policy", "scripted_tasks"]

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
    "reach-position": "reach:ReachPolicy",
    "reach-wide": "reach:ReachPolicy",
    "rod": "rod:RodPolicy",
    "slide": "slide:SlidePolicy",
    "walk": "walk:TrotPolicy",
    "walk-rough": "walk:TrotPolicy",
}
"""Task → module of this package and class, which takes the contract."""


def scripted_tasks() -> list[str]:
    """Names of the tasks that have a scripted policy, sorted."""
    return sorted(_POLICIES)


def scripted_policy(task: str, contract: Contract) -> Policy:
    """The scripted policy of a task.

    Args:
        task: its name.
        contract: of the task.

    Raises:
        ValueError: the task has none; the message lists those that have one.
    """
    if task not in _POLICIES:
        raise ValueError(f"task {task!r} has no scripted policy; {strict.suggest(task, _POLICIES)}")
    module, _, name = _POLICIES[task].partition(":")
    policy: Policy = getattr(importlib.import_module(f"{__name__}.{module}"), name)(contract)
    return policy


def scripted_artifact(contract: Contract) -> Artifact:
    """A policy file with the scripted policy of the contract's task.

    Raises:
        ValueError: the task has none; the message lists those that have one.
    """
    scripted_policy(contract.task, contract)
    return Artifact(contract, "scripted", {_MEMBER: strict.canonical_json(_Choice(contract.task))})


class ScriptedKind:
    """The kind `scripted` of policy files."""

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> Policy:
        """Build the policy.

        Raises:
            ValueError: the task has no scripted policy, or the contract is not what it needs.
        """
        return scripted_policy(_read(artifact.members).task, artifact.contract)

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


def _read(members: Mapping[str, bytes]) -> _Choice:
    where = f"member {_MEMBER!r}"
    return strict.decode(_Choice, strict.load_json(members[_MEMBER], where), where)
