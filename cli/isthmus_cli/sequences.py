"""Policies that emit sequences, on tasks that ask for one action at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.sequence import sequence_contract
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["default_replan", "task_for"]

AnyTask = TypeVar("AnyTask", bound=Task | SuiteTask)


def task_for(task: AnyTask, contract: Contract) -> AnyTask:
    """The task as a policy of that contract sees it: with the previous action and the horizon, if it emits sequences for this very task.

    Args:
        task: what is asked.
        contract: of the policy.
    """
    if contract.horizon > 1 and contract.digest() == sequence_contract(task.contract, contract.horizon).digest():
        return replace(task, contract=contract)
    return task


def default_replan(artifact: Artifact) -> int | None:
    """Actions of a chunk to execute before the policy decides again, as its training says; None means all."""
    found = artifact.training.get("replan")
    return found if isinstance(found, int) and 1 <= found <= artifact.contract.horizon else None
