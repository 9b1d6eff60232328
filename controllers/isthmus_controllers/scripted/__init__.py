"""Policies written by hand, one per task: what a task looks like when it is solved, and a yardstick for what is learned.

They have a contract and no memory, like every policy; what they know beyond their observation stands at the top of each module.
"""

from __future__ import annotations

import importlib

from isthmus import strict
from isthmus.contract import Contract
from isthmus.policy import Policy

__all__ = ["scripted_policy", "scripted_tasks"]

_POLICIES = {
    "navigate": "navigate:NavigatePolicy",
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
