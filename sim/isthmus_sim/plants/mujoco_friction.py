"""Dry friction that is higher at rest (Stribeck) and under load, for rows of a MuJoCo batch.

|friction| ≤ frictionloss + stiction · exp(−(v / stribeck_velocity)²) + load_friction · |effort of the drive|; Olsson et al., "Friction Models and
Friction Compensation" (European Journal of Control 1998). It is MuJoCo's own dry friction, whose size is written before each physics step, so that a
joint that sticks really rests. MuJoCo's LuGre term (of DC motors alone) knows no load and makes the drive another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array

__all__ = ["FRICTION_LAW", "FrictionLaw", "dry_friction"]

FRICTION_LAW = ("stiction", "stribeck_velocity", "load_friction")
"""Quantities of a joint beside `frictionloss`."""
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)


def dry_friction(law: Array, velocity: Array, effort: Array) -> Array:
    """Largest dry friction, N·m or N.

    Args:
        law: frictionloss, stiction, Stribeck velocity (rad/s or m/s) and share of the load, `[4, …]`.
        velocity: rad/s or m/s, `[…]`.
        effort: of the drive, N·m or N, `[…]`.
    """
    coulomb, stiction, slow, share = law
    return np.asarray(coulomb + stiction * np.exp(-((velocity / slow) ** 2)) + share * np.abs(effort))


class FrictionLaw:
    """The joints of all rows whose friction is more than Coulomb's."""

    def __init__(self, batch: Any, field: Array) -> None:
        """Begin without any joint.

        Args:
            batch: of the simulations.
            field: `dof_frictionloss` of its rows, `[B, nv]`.
        """
        self._batch, self._field = batch, field
        self._dofs: list[int] = []
        self._law = np.zeros((4, batch.nsim, 0))
        self._velocity, self._effort = batch.bind("qvel"), batch.bind("qfrc_actuator")

    def set(self, ids: Array, dof: int, law: Array) -> None:
        """Give rows of a joint their law, `[4, n]`, see `dry_friction`."""
        if dof not in self._dofs:
            self._dofs.append(dof)
            fresh = np.zeros((4, self._batch.nsim, 1))
            fresh[0, :, 0], fresh[2] = self._field[:, dof], 1.0
            self._law = np.concatenate([self._law, fresh], axis=2)
        self._law[:, ids, self._dofs.index(dof)] = law

    def of(self, row: int) -> Array:
        """The law of every degree of freedom of a row, `[4, nv]`."""
        law = np.zeros((4, self._field.shape[1]))
        law[0], law[2] = self._field[row], 1.0
        law[:, self._dofs] = self._law[:, row]
        return law

    def apply(self) -> None:
        """Write the friction of all rows for the step that follows."""
        self._field[:, self._dofs] = dry_friction(self._law, self._velocity[:, self._dofs], self._effort[:, self._dofs])

    def rollout(self, steps: int, *, control: Array, control_spec: int = _CONTROL, record: Sequence[str], ids: Array) -> dict[str, Array]:
        """What `Batch.rollout` does for rows `ids` from 0 on, with this friction; joint efforts are recorded in any case."""
        names, count = tuple(dict.fromkeys([*record, "qfrc_actuator"])), len(ids)
        effort: Array = np.zeros((count, len(self._dofs)))
        found: dict[str, Array] = {}
        for step in range(steps):
            self._field[:count, self._dofs] = dry_friction(self._law[:, :count], self._velocity[:count, self._dofs], effort)
            part = self._batch.rollout(1, control=control[:, step : step + 1], control_spec=control_spec, record=names, ids=ids)
            effort = part["qfrc_actuator"][:, 0, self._dofs]
            for name, values in part.items():
                found.setdefault(name, np.empty((count, steps, *values.shape[2:])))[:, step] = values[:, 0]
        return found
