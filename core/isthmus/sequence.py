"""Policies that emit sequences of primitive actions for a task whose contract asks for one at a time."""

from __future__ import annotations

from dataclasses import replace

from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.signals import Signal

__all__ = ["PREVIOUS", "default_replan", "sequence_contract"]

PREVIOUS = "previous_action"


def sequence_contract(contract: Contract, horizon: int) -> Contract:
    """The same task for a policy that decides once per several primitive actions: it also observes the action that was executed last.

    Args:
        contract: of the task.
        horizon: primitive actions per decision.

    Raises:
        ValueError: horizon < 1, or a signal that is no previous action is named so.
    """
    action = contract.action
    added: tuple[Signal, ...] = ()
    if not any(signal.source == PREVIOUS for signal in contract.observation):
        added = (Signal(PREVIOUS, PREVIOUS, action.elements, action.unit, action.low, action.high),)
    return replace(contract, observation=(*contract.observation, *added), horizon=horizon)


def default_replan(artifact: Artifact) -> int | None:
    """Actions of a chunk to execute before the policy decides again, as its training says; None means all."""
    found = artifact.training.get("replan")
    return found if isinstance(found, int) and 1 <= found <= artifact.contract.horizon else None
