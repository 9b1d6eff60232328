"""Rewards of a real robot, as far as its topics tell what a task scores."""

from __future__ import annotations

from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.task import Outcome, Scorer, Transition

__all__ = ["scored"]


def scored(scorer: Scorer, task: str, transition: Transition) -> Outcome:
    """What a control period earns.

    Raises:
        RosError: no topic tells what the task of that name scores.
    """
    try:
        return scorer.score(transition)
    except (KeyError, AssertionError) as error:
        missing = repr(error.args[0]) if isinstance(error, KeyError) else "joint efforts"
        raise RosError(f"task {task!r} cannot be rewarded on this robot: no topic tells {missing}") from None
