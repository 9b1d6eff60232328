"""Several parameters drawn together, as a calibration found them to depend on each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus_sim.parameters import Parameter
from isthmus_sim.randomization.distribution import check_inside

__all__ = ["BoundGaussian", "Correlated"]

_SMALLEST_SHARE = 0.02  # of the draws that lie in the valid ranges; below it the file says something else than what would be drawn
_SINGULAR = 1e-9  # smallest eigenvalue of a correlation matrix that is told from 0


@dataclass(frozen=True, slots=True)
class Correlated:
    """A joint normal distribution of named parameters; draws outside the valid ranges are drawn again.

    Attributes:
        names: parameters, at least one.
        mean: one per name, in its unit.
        covariance: symmetric and positive definite, in products of the units.
        units: one per name, or empty; given units are checked.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.names)
        if not count or len(set(self.names)) != count:
            raise ValueError(f"names must be at least one, each once, got {list(self.names)}")
        if len(self.mean) != count or not all(math.isfinite(value) for value in self.mean):
            raise ValueError(f"mean must be {count} finite numbers, one per name, got {list(self.mean)}")
        if self.units and len(self.units) != count:
            raise ValueError(f"units must be {count}, one per name, got {list(self.units)}")
        if len(self.covariance) != count or any(len(row) != count for row in self.covariance):
            raise ValueError(f"covariance must be {count} × {count}, got rows of {[len(row) for row in self.covariance]}")
        if not np.isfinite(self.covariance).all():
            raise ValueError(f"covariance of {', '.join(self.names)} must be finite")
        for name, variance in zip(self.names, np.diag(self.covariance), strict=True):
            if not 0 < variance < math.inf:
                raise ValueError(f"covariance must be positive definite: the variance of {name!r} must be > 0, got {variance:g}")
        correlation = self._correlation()
        if not np.allclose(correlation, correlation.T, rtol=0, atol=1e-6):
            row, column = np.unravel_index(np.abs(correlation - correlation.T).argmax(), correlation.shape)
            raise ValueError(f"covariance must be symmetric, but differs for {self.names[row]!r} and {self.names[column]!r}")
        if not (smallest := float(np.linalg.eigvalsh(correlation)[0])) > _SINGULAR:
            raise ValueError(
                f"covariance of {', '.join(self.names)} must be positive definite; the smallest eigenvalue of its correlations is {smallest:.3g}"
            )

    def within(self, table: Mapping[str, Parameter]) -> BoundGaussian:
        """The distribution as it is drawn for these parameters.

        Args:
            table: has every name.

        Raises:
            ValueError: a mean out of its valid range, another unit, or hardly any draw in the valid ranges.
        """
        parameters = [table[name] for name in self.names]
        for parameter, mean, unit in zip(parameters, self.mean, self.units or [parameter.unit for parameter in parameters], strict=True):
            check_inside(parameter, mean)
            if unit != parameter.unit:
                raise ValueError(f"parameter {parameter.name!r} is in {parameter.unit}, got unit {unit!r}")
        low, high = (np.array([getattr(parameter, end) for parameter in parameters]) for end in ("low", "high"))
        deviation = np.sqrt(np.diag(self.covariance))
        factor = deviation[:, None] * np.linalg.cholesky(self._correlation())
        bound = BoundGaussian(np.array(self.mean), factor, low, high)
        generator = np.random.default_rng(0)
        share = float(np.mean([bound.inside(bound.propose(generator)) for _ in range(1000)]))
        if share < _SMALLEST_SHARE:
            raise ValueError(
                f"only {100 * share:g} % of the joint draws of {', '.join(self.names)} lie in the valid ranges; the covariance is too wide"
            )
        return bound

    def _correlation(self) -> Array:
        covariance = np.array(self.covariance)
        deviation = np.sqrt(np.diag(covariance))
        return np.asarray(covariance / deviation[:, None] / deviation)


@dataclass(frozen=True, slots=True)
class BoundGaussian:
    """A joint normal distribution, cut to a box.

    Attributes:
        mean: `[k]`.
        factor: lower triangular, `[k, k]`; times its transpose it is the covariance.
        low: of the box, `[k]`.
        high: of the box, `[k]`.
    """

    mean: Array
    factor: Array
    low: Array
    high: Array

    def draw(self, generator: np.random.Generator) -> Array:
        """One value of every parameter, `[k]`, inside the box."""
        while not self.inside(values := self.propose(generator)):
            pass
        return values

    def propose(self, generator: np.random.Generator) -> Array:
        """The same, wherever it falls."""
        return np.asarray(self.mean + self.factor @ generator.standard_normal(len(self.mean)))

    def inside(self, values: Array) -> bool:
        """Whether values `[k]` are in the box."""
        return bool(((self.low <= values) & (values <= self.high)).all())
