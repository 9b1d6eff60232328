"""A simulator beside copies of it, which get the same commands and other parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.records import Array, Command, Measurement
from isthmus_sim.identification.information_outputs import Outputs
from isthmus_sim.plants.mujoco import MujocoPlant

__all__ = ["ComparedPlant"]


class ComparedPlant:
    """B rows, each with c copies in a second batch. Whoever commands it sees the B rows alone.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: B.
        realtime: False.
        scene: what stands around the robot.
        parameters: what `reset` can be told.
        values: of the unknown parameters of each row, `[B, p]`, in their units.
        chosen: of its copies, `[B, c, p]`.
        differences: of the outputs of each copy from those of its row, after the newest period, in multiples of their noise, `[B, c, K]`.
    """

    realtime = False

    def __init__(
        self,
        plant: MujocoPlant,
        copies: MujocoPlant,
        unknown: Sequence[str],
        choose: Callable[[Array, Array], Array],
        outputs: Outputs,
        every: int | None = None,
    ) -> None:
        """Bind both batches.

        Args:
            plant: B rows.
            copies: of the same robot in the same scene, with B·c rows.
            unknown: names of the p parameters that copies differ in; every reset must tell them.
            choose: rows `[n]` that begin and values of their unknown parameters `[n, p]` → values of their copies, `[n, c, p]`.
            outputs: what is compared.
            every: control periods after which copies take over the state of their row; None means never.
        """
        if copies.batch % plant.batch:
            raise ValueError(f"copies of {plant.batch} rows must be a multiple of them, got {copies.batch}")
        self.plant, self.copies = plant, copies
        self.robot, self.period, self.batch = plant.robot, plant.period, plant.batch
        self.scene, self.parameters = plant.scene, plant.parameters
        self._each = copies.batch // plant.batch
        self._unknown, self._choose, self._outputs, self._every = tuple(unknown), choose, outputs, every
        self._steps = np.zeros(self.batch, dtype=np.int64)
        self.values = np.zeros((self.batch, len(unknown)))
        self.chosen = np.zeros((self.batch, self._each, len(unknown)))
        self.differences = np.zeros((self.batch, self._each, 0))

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; the parameters must name the unknown ones."""
        told = dict(parameters or {})
        ids = np.arange(self.batch) if rows is None else np.asarray(rows)
        self.plant.reset(rows, seeds, state, told)
        self.values[ids] = np.stack([told[name] for name in self._unknown], axis=1)
        self.chosen[ids] = self._choose(ids, self.values[ids])
        wide = {name: np.repeat(value, self._each) for name, value in told.items()}
        wide |= {name: self.chosen[ids, :, number].ravel() for number, name in enumerate(self._unknown)}
        placed = {name: np.repeat(value, self._each, axis=0) for name, value in (state or {}).items()}
        self.copies.reset(self._of(ids), None, placed, wide)
        self._steps[ids] = 0

    def read(self) -> Measurement:
        """What the sensors of the B rows say."""
        return self.plant.read()

    def truth(self) -> Measurement:
        """The exact state of the B rows."""
        return self.plant.truth()

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        self.plant.write(command)
        self.copies.write(Command(command.mode, command.joints, np.repeat(command.values, self._each, axis=0)))

    def advance(self) -> None:
        """Step everything by one control period, and compare."""
        if self._every is not None and (due := np.flatnonzero((self._steps > 0) & (self._steps % self._every == 0))).size:
            self.copies.follow(self.plant, np.repeat(due, self._each), self._of(due))
        self.plant.advance()
        self.copies.advance()
        self._steps += 1
        self.differences = self._outputs.differences(self.plant.truth(), self.copies.truth())

    def stop(self, reason: str) -> None:
        """See `Plant.stop`."""
        self.plant.stop(reason)
        self.copies.stop(reason)

    def close(self) -> None:
        """Release both."""
        self.plant.close()
        self.copies.close()

    def render(self, row: int = 0, **look: Any) -> Array:
        """See `RenderedSimulator.render`."""
        return self.plant.render(row, **look)

    def _of(self, rows: Array) -> Array:
        """Indices of the copies of rows, `[n·c]`."""
        return np.asarray((rows[:, None] * self._each + np.arange(self._each)).ravel())
