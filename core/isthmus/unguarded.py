"""No guard at all: for benchmarks of outside suites, whose rules let every action through. Never for a robot."""

from __future__ import annotations

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import PASS, Decision, GuardState, LimitGuard
from isthmus.monitors import MonitorState
from isthmus.records import Array, Command, Measurement, Told
from isthmus.timing import Timing

__all__ = ["Unguarded"]


class Unguarded(LimitGuard):
    """Lets every command through and remembers nothing.

    Attributes:
        limits: of the contract; they are not enforced.
        joints: commanded joints, in the order of the contract.
        mode: command mode.
    """

    def __init__(self, contract: Contract) -> None:
        self.limits = contract.limits
        self.joints = contract.action.elements
        self.mode = contract.mode

    def initial(self, batch: int, *, armed: bool = True) -> GuardState:
        """State of `batch` rows, always armed."""
        zeros, no, none = np.zeros((batch, len(self.joints))), np.zeros(batch, dtype=bool), np.zeros(batch)
        monitors = MonitorState(none, none, *(zeros,) * 9, zeros > 0)
        rung = np.full(batch, PASS, dtype=np.int8)
        return GuardState(~no, rung, zeros, zeros, zeros, no, no, none, none, no, ("",) * batch, monitors)

    def reset(self, state: GuardState, rows: Array | None = None, *, armed: bool = True) -> GuardState:
        """Nothing is remembered, so nothing is forgotten."""
        return state

    def hold(self, state: GuardState, cause: str, rows: Array | None = None) -> GuardState:
        """Nothing holds."""
        return state

    def stop(self, state: GuardState, cause: str) -> GuardState:
        """Nothing stops.

        Raises:
            RuntimeError: always; whoever needs to stop a plant needs a guard.
        """
        raise RuntimeError("there is no guard that could stop")

    def watch(self, state: GuardState, measurement: Measurement, timing: float | Timing, told: Told | None = None) -> GuardState:
        """Nothing is looked at."""
        return state

    def again(self, state: GuardState, measurement: Measurement, timing: Timing) -> tuple[Command | None, GuardState]:
        """Nothing is judged once more."""
        return None, state

    def check(
        self, state: GuardState, command: Command | None, measurement: Measurement, timing: float | Timing, told: Told | None = None
    ) -> tuple[Decision, GuardState]:
        """Pass the command as it is.

        Raises:
            ValueError: there is no command.
        """
        if command is None:
            raise ValueError("without a guard there must be a command in every control period")
        return Decision(command, state.rung, state.armed, state.cause), state
