"""Policies that emit sequences, on tasks that ask for one action at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from isthmus.contract import Contract
from isthmus.sequence import sequence_contract
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["task_for"]

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
