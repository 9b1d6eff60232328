"""The physical parameters that every engine lets one set at reset, by the same names and in the same units.

The table says what a name means; each plant says how its engine is told (`MujocoPlant`, `PybulletPlant`), and the plants' conformance
test shows that each one changes the motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus import strict
from isthmus.records import Array

__all__ = ["PARAMETERS", "Parameter", "parameter_rows"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named physical quantity.

    Attributes:
        name: as typed in randomisation and identification files.
        unit: SI unit.
        nominal: value where nothing is said.
        low: smallest valid value.
        high: largest valid value.
        description: one line.
    """

    name: str
    unit: str
    nominal: float
    low: float
    high: float
    description: str


PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter("gravity", "m/s^2", 9.81, 0.0, 20.0, "gravitational acceleration, downwards"),
        Parameter("payload", "kg", 0.0, 0.0, 20.0, "point mass at the tool frame"),
        Parameter("joint_damping", "N*m*s/rad", 0.0, 0.0, 50.0, "viscous friction of every joint"),
    )
}


def parameter_rows(parameters: Mapping[str, Array] | None, count: int) -> dict[str, Array]:
    """Check values for `count` rows, `[count]` per name.

    Raises:
        ValueError: an unknown name, a wrong shape or a value out of range.
    """
    rows = {}
    for name, values in (parameters or {}).items():
        if name not in PARAMETERS:
            raise ValueError(f"unknown parameter {name!r}; {strict.suggest(name, PARAMETERS)}")
        parameter = PARAMETERS[name]
        row = np.asarray(values, dtype=np.float64)
        if row.shape != (count,):
            raise ValueError(f"parameter {name!r} must be [{count}], one value per row, got {list(row.shape)}")
        if bad := [value for value in row if not parameter.low <= value <= parameter.high]:
            raise ValueError(f"parameter {name!r} must be in {parameter.low:g} … {parameter.high:g} {parameter.unit}, got {bad[0]:g}")
        rows[name] = row
    return rows
