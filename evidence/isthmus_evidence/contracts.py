"""Whether a policy was made for a task, and the task as a policy that emits sequences sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from isthmus.contract import Contract
from isthmus.sequence import sequence_contract
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["check_contract", "task_for"]

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


def check_contract(contract: Contract, task: Task | SuiteTask) -> None:
    """Refuse a policy that was made for something else.

    Raises:
        ValueError: the digests differ; the message lists the differences.
    """
    if contract.digest() != task.contract.digest():
        lines = contract.diff(task.contract)
        if contract.robot != task.contract.robot:
            lines = lines[:2]  # for another robot everything differs
        raise ValueError(f"the policy (here) has another contract than task {task.name!r} (there): {'; '.join(lines)}")
