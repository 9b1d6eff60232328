"""`calibration.yaml`: what was found, how sure it is, of which data, and what it was tried on; and how the rest of isthmus uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.files import write_whole
from isthmus_sim.parameters import Parameter
from isthmus_sim.randomization import Correlated, Entry, Estimate, Randomization

__all__ = ["Calibration", "Found", "calibrated", "calibration_randomization", "load_calibration", "save_calibration"]

_SMALLEST = 1e-6  # of the value, or of one: standard deviation that a randomisation file needs at least


@dataclass(frozen=True, slots=True)
class Found:
    """One parameter.

    Attributes:
        value: in its unit.
        sd: standard deviation.
        interval: of 95 %.
        verdict: how sure it is.
        unit: SI.
        nominal: of the model before.
    """

    value: float
    sd: float
    interval: tuple[float, float]
    verdict: str
    unit: str
    nominal: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a file says.

    Attributes:
        target: task, robot or model file.
        parameters: by name.
        covariance: in the order of the parameters.
        chi2_dof: of the fit.
        held_out: errors of prediction by horizon.
        data: SHA-256 by log.
        holdout: what was held out.
        engine: with its version.
        timestep: of the physics, s.
        forced: sentences that would have kept it from being written; empty if there were none.
    """

    target: str
    parameters: Mapping[str, Found]
    covariance: tuple[tuple[float, ...], ...]
    chi2_dof: float
    held_out: Mapping[str, Any]
    data: Mapping[str, str]
    holdout: str
    engine: str
    timestep: float
    forced: tuple[str, ...] = field(default_factory=tuple)

    @property
    def values(self) -> dict[str, float]:
        """By name."""
        return {name: found.value for name, found in self.parameters.items()}

    def summary(self) -> dict[str, Any]:
        """For a policy's manifest and for evidence."""
        return {"target": self.target, "values": self.values, "data": dict(self.data), "forced": list(self.forced)}

    def within(self, table: Mapping[str, Parameter], where: str) -> dict[str, float]:
        """The values, once it is known that a plant has these parameters.

        Raises:
            ValueError: it cannot express one, or a value is out of its range; the message names it.
        """
        for name, found in self.parameters.items():
            if name not in table:
                raise ValueError(
                    f"{where} cannot express parameter {name!r} of the calibration of {self.target}; {strict.suggest(name, table)}"
                )
            row = table[name]
            if not row.low <= found.value <= row.high:
                raise ValueError(
                    f"parameter {name!r} of the calibration must be in {row.low:g} … {row.high:g} {row.unit}, got {found.value:g}"
                )
        return self.values


def load_calibration(path: Path) -> Calibration:
    """Read a file.

    Raises:
        ValueError: it is no calibration; the message names the place.
        OSError: it cannot be read.
    """
    return strict.decode(Calibration, strict.load_yaml(path), str(path))


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a file that `load_calibration` reads back as the same.

    Raises:
        OSError: it cannot be written.
    """
    import yaml

    write_whole(path, yaml.safe_dump(strict.encode(calibration), sort_keys=False, allow_unicode=True, width=140))


def calibrated(randomization: Randomization | None, path: Path | str | None) -> Randomization | None:
    """A randomisation with the values of a calibration for all that it does not draw itself; None if there is neither.

    Raises:
        ValueError: the file is no calibration.
        OSError: it cannot be read.
    """
    if path is None:
        return randomization
    drawn = randomization or Randomization()
    patterns = [entry.pattern for entry in drawn.entries] + [name for block in drawn.correlated for name in block.names]
    fixed = tuple(
        Entry(name, Estimate(found.value), found.unit)
        for name, found in load_calibration(Path(path)).parameters.items()
        if not any(fnmatchcase(name, pattern) for pattern in patterns)
    )
    return Randomization((*drawn.entries, *fixed), drawn.correlated, drawn.appearance)


def calibration_randomization(calibration: Calibration, factor: float = 2.0) -> Randomization:
    """N(value, factor · covariance), to train for what is not known; a variance of nothing is made a very small one.

    Args:
        calibration: what was found.
        factor: of the covariance.
    """
    names = tuple(calibration.parameters)
    found = list(calibration.parameters.values())
    covariance = factor * np.array(calibration.covariance)
    least = np.array([_SMALLEST * max(abs(one.value), 1e-3) for one in found]) ** 2
    covariance = (covariance + covariance.T) / 2 + np.diag(np.maximum(least - np.diag(covariance), 0.0))
    deviation = np.sqrt(np.diag(covariance))
    size, axes = np.linalg.eigh(covariance / deviation[:, None] / deviation)
    if size[0] < 1e-6:  # of a direction in which nothing is known apart
        covariance = (axes * np.maximum(size, 1e-6)) @ axes.T * deviation[:, None] * deviation
        covariance = (covariance + covariance.T) / 2
    rows = tuple(tuple(float(value) for value in row) for row in covariance)
    block = Correlated(names, tuple(one.value for one in found), rows, tuple(one.unit for one in found))
    return Randomization(correlated=(block,))
