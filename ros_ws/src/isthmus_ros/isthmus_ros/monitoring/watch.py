"""One run after the other against a specification: which samples a run has, and what is known of it so far.

Sample k is what the robot said last when command k + 1 of the run was executed: the end of control period k, as in an evaluation. Nothing here needs
messages to come in step: commands and states are kept until both are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.specification import Specification
from isthmus_controllers import stl
from isthmus_ros.common.history import StateHistory

__all__ = ["RunWatch"]

_NOWHERE = -1
_COMMANDS = 1000
_MEMORY = 10 * 10**9  # ns
_PATIENCE = 10**9  # ns that a sample may be incomplete while commands go on


class RunWatch:
    """Feeds a monitor with the samples of the newest run.

    Attributes:
        formula: what is watched, in control periods.
        history: what the robot said.
        motion: number of the motion that is watched, as in the policy's status; -1 before the first.
        verdict: what is known.
        values: the formula's signals at the newest sample.
        missed: commands that were not heard, whose time was taken from those around them.
        problem: why this run cannot be watched any further, such as a measurement that is no number; "" if it can.
    """

    def __init__(
        self,
        specification: Specification,
        contract: Contract,
        robot: Robot,
        inputs: Callable[[], Mapping[str, Array]],
        prefix: str = "",
    ) -> None:
        """Watch nothing yet; `inputs` gives the newest value `[1, elements]` of each input of the policy, `prefix` is that of the joints' names.

        Raises:
            ValueError: the specification cannot be read, or names what is not measured.
        """
        bound = stl.BoundSpecification(specification, contract)
        self.formula, self.history = bound.formula, StateHistory(robot, prefix)
        self._monitor, self._inputs = stl.Monitor(bound.formula), inputs
        self._signals = stl.MeasuredSignals(bound, contract, robot, 1)
        self._needed = {
            signal.name for signal in contract.inputs if any(f"{signal.name}.{name}" in bound.elements for name in signal.elements)
        }
        self._period = round(contract.control_period * 1e9)
        self._executed: dict[int, int] = {}  # sequence number → stamp in ns
        self._newest = _NOWHERE, 0  # sequence number and stamp
        self._told_at = _NOWHERE  # number of the newest command when the run's beginning was told: it may be that of a process before
        self.motion = self._first = self._last = _NOWHERE
        self.values: dict[str, float] = {}
        self.missed = 0
        self.problem = ""

    @property
    def verdict(self) -> stl.Verdict:
        """See the class."""
        return self._monitor.newest

    @property
    def finished(self) -> bool:
        """Whether nothing that still happens in this run can change what is known."""
        return self._monitor.finished

    def execute(self, sequence: int, stamp: int) -> None:
        """Take a command: its sequence number, and when it was sent (ns)."""
        if sequence < self._newest[0]:  # the policy's process has begun anew, and so have its numbers
            self._executed.clear()
            if self._newest[0] > self._told_at:  # the run that is watched was the old process's; its next one may have the same numbers
                self.motion = self._first = self._last = _NOWHERE
            self._told_at = _NOWHERE
        self._executed.setdefault(sequence, stamp)  # what follows under the same number is the guard's own braking
        self._newest = sequence, stamp

    def follow(self, motion: int, first: int, last: int) -> None:
        """Take what the policy says of its run.

        Args:
            motion: number of the motion.
            first: sequence number of the run's first command, negative before it.
            last: of its last command, negative while it goes on.
        """
        if first >= 0 and (motion, first) != (self.motion, self._first):
            self.motion, self._first, self._told_at = motion, first, self._newest[0]
            self._monitor.reset()
            self._signals.reset()
            self.values, self.missed, self.problem = {}, 0, ""
        if motion == self.motion:
            self._last = last

    def give_up(self, problem: str) -> bool:
        """Watch this run no further; True if that is new. Before the first run, and of one that is decided, there is nothing to give up."""
        if self._first < 0 or self._last >= 0 or self.finished or self.problem:
            return False
        self.problem = problem
        return True

    def advance(self) -> bool:
        """Take all samples that are complete; True if what is known has changed, or a problem has come up."""
        changed, known_problem = False, self.problem
        while not (self.finished or self.problem) and (time := self._next()) is not None:
            inputs = self._inputs()
            missing = self._needed - inputs.keys()
            if silent := self.history.unheard(time) or (f"input {min(missing)!r}" if missing else ""):
                if self._newest[1] - time <= _PATIENCE:
                    break
                self.problem = f"{silent} has been missing for {_PATIENCE / 1e9:g} s of the run"
            else:
                before = self.verdict
                try:
                    signals = self._signals.read(self.history.at(time), inputs)
                    self.values = {name: float(values[0]) for name, values in signals.items()}
                    after = self._monitor.update(self.values)
                except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # nothing that was said may end the watcher
                    self.problem = str(error.args[0] if error.args else error)
                else:
                    changed |= (after.low, after.high) != (before.low, before.high)
        self._forget()
        return changed or self.problem != known_problem

    def _next(self) -> int | None:
        """When the next sample was taken (ns); None if that is not known yet, or the run has no more."""
        if self._first < 0:
            return None
        number = self._first + self.verdict.sample + 2
        if 0 <= self._last < number - 1:
            return None
        if number in self._executed:
            return self._executed[number]
        over = self._last == number - 1
        if not (over or self._newest[0] > number):
            return None
        if number - 1 not in self._executed:  # so this is the first sample: of all others the command before is known, or was made up
            if self._last < 0 and self._newest[0] > max(number, self._told_at):
                self.problem = "its first two commands were not heard"
            return None
        self.missed += not over
        before = self._executed[number - 1]
        later = min((other for other in self._executed if other > number), default=None)
        self._executed[number] = before + (self._period if later is None else (self._executed[later] - before) // (later - number + 1))
        return self._executed[number]

    def _forget(self) -> None:
        """Keep enough to begin a run late, since its beginning is told after its first commands, and no more."""
        while len(self._executed) > _COMMANDS:
            del self._executed[next(iter(self._executed))]
        self.history.forget(self.history.newest - _MEMORY)
