"""A recording as a plant, and as the source of the observations that it led to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.observation import ObservationBuilder
from isthmus.recording import Trace
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot

__all__ = ["ReplayPlant", "replay_observations"]


class ReplayPlant:
    """Plays a recording back, one row, no clock. What is commanded changes nothing, but it is kept: compare `written` with `trace.executed`.

    Attributes:
        trace: the recording.
        robot: profile of the recorded robot.
        period: control period of the recorded contract, s.
        batch: 1.
        realtime: False.
        reasons: what `stop` was called with since the last reset; the recording goes on.
    """

    def __init__(self, trace: Trace, robot: Robot) -> None:
        """Begin at the first measurement.

        Raises:
            ValueError: the recording is of another robot.
        """
        if trace.contract.robot != robot.name:
            raise ValueError(f"the recording is of robot {trace.contract.robot!r}, not of {robot.name!r}")
        self.trace = trace
        self.robot = robot
        self.period = trace.contract.control_period
        self.batch = 1
        self.realtime = False
        self.reasons: list[str] = []
        self._step = 0
        self._written: dict[int, Array] = {}

    @property
    def written(self) -> Array:
        """What was commanded in each period since the last reset, `[step, A]`, columns as in `contract.action.elements`; NaN where nothing was."""
        nothing = np.full(len(self.trace.contract.action.elements), np.nan)
        return np.array([self._written.get(step, nothing) for step in range(self._step)]).reshape(self._step, len(nothing))

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """Go back to the first measurement. Seeds have no effect: the noise is recorded.

        Raises:
            ValueError: a state or a parameter is given; a recording has its own.
        """
        for name in (*(state or ()), *(parameters or ())):
            raise ValueError(f"a recording cannot be reset with {name!r}; it has its own state and parameters")
        self._step = 0
        self._written.clear()
        self.reasons.clear()

    def read(self) -> Measurement:
        """The measurement of the present period.

        Raises:
            IndexError: the recording has ended.
        """
        if self._step >= len(self.trace):
            raise IndexError(f"the recording has {len(self.trace)} measurements and has ended")
        return self.trace.measurement(self._step)

    def write(self, command: Command) -> None:
        """Keep the command of the coming control period."""
        self._written[self._step] = reorder(command.values, command.joints, self.trace.contract.action.elements)[0].copy()

    def advance(self) -> None:
        """Go to the next measurement; behind the last one there is nothing to read.

        Raises:
            IndexError: the recording has ended.
        """
        if self._step >= len(self.trace):
            raise IndexError(f"the recording has {len(self.trace)} measurements and has ended")
        self._step += 1

    def stop(self, reason: str) -> None:
        """Keep the reason."""
        self.reasons.append(reason)

    def close(self) -> None:
        """Nothing is held open."""


def replay_observations(trace: Trace, robot: Robot) -> dict[str, Array]:
    """Feed a recording through `ObservationBuilder`.

    The recording must begin with the first period after a reset, since the builder's memory begins there.

    Returns:
        the observations of the recorded decisions, `[Td, history, *shape]` per signal; they equal `trace.observations` bit for bit.

    Raises:
        KeyError: the recording lacks a joint, pose, image or input of the contract.
    """
    builder = ObservationBuilder(trace.contract, robot, batch=1)
    decided = set(trace.decisions.tolist())
    observations: list[dict[str, Array]] = []
    for step in range(len(trace)):
        builder.push(trace.measurement(step), trace.executed_command(step - 1) if step else None)
        if step in decided:
            observations.append(builder.build({name: values[step : step + 1] for name, values in trace.inputs.items()}))
    return {
        signal.name: np.concatenate([observation[signal.name] for observation in observations])
        if observations
        else np.zeros((0, signal.history, *signal.shape), dtype=signal.dtype)
        for signal in trace.contract.observation
    }
