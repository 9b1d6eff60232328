"""Which command was in force in each control period of an episode, by what the guard said of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError

__all__ = ["commands_in_force"]


def commands_in_force(
    answers: Mapping[int, Any], executed: Mapping[int, Any], first: int, last: int, period: int, share: float
) -> tuple[list[Any], list[int]]:
    """The command in force in each control period, and when these began.

    Where a command was dropped, that is what the guard sent last under the number before, and the period began between its neighbours.

    Args:
        answers: what the guard sent for each command, messages of guard/executed by sequence number.
        executed: the newest that it sent under each number.
        first: number of the first command.
        last: of the last.
        period: control period, ns.
        share: of the commands that may be missing.

    Returns:
        messages, last - first + 1 of them, and ns, one more: the end of the last period.

    Raises:
        RosError: too many commands are missing, or all.
    """
    numbers = range(first, last + 1)
    heard = [number for number in numbers if number in answers]
    missing = len(numbers) - len(heard)
    before = max((number for number in executed if number < first), default=None)
    if not heard or missing > share * len(numbers) or (heard[0] > first and before is None):
        raise RosError(
            f"{missing} of {len(numbers)} commands were dropped by the guard, or lost on guard/executed; the episode cannot be scored"
        )
    commands: list[Any] = []
    newest = None if before is None else executed[before]
    for number in numbers:
        commands.append(answers.get(number, newest))
        newest = executed.get(number, newest)
    stamps = {number: wire.nanoseconds_of(answers[number].header.stamp) for number in heard}
    began = stamps[heard[0]]
    knots = {first: began - (heard[0] - first) * period, **stamps, last + 1: stamps[heard[-1]] + (last + 1 - heard[-1]) * period}
    since = np.interp(np.arange(first, last + 2), list(knots), [stamp - began for stamp in knots.values()])
    return commands, [began + round(time) for time in since]
