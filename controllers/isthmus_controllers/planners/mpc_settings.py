"""Settings of model predictive control, which are read without the solver."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MpcSettings"]


@dataclass(frozen=True, slots=True)
class MpcSettings:
    """Settings of the optimisation.

    Attributes:
        constraints: whether `always` of a predicate is a constraint; otherwise all is robustness.
        temperature: of the smooth robustness.
        budget: s of CPU per decision.
        iterations: of IPOPT at most.
    """

    constraints: bool = True
    temperature: float = 0.05
    budget: float = 1.0
    iterations: int = 100

    def __post_init__(self) -> None:
        for name in ("temperature", "budget", "iterations"):
            if not (value := getattr(self, name)) > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
