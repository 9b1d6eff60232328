"""What an exploration must keep to, beside telling something: a specification in Signal Temporal Logic, and a bound on how hard it pushes.

The force is the change of the struck body's momentum over a control period, divided by the period: a mean over 50 ms at 20 Hz, without what friction
takes meanwhile. The peak of a hard contact within the period is higher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from isthmus.records import Array, Measurement
from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_controllers import stl
from isthmus_sim.identification.information_task import exploration_contract
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.task import Task

__all__ = ["SAFETY", "Bounds", "Watch"]

SAFETY = 1.25
"""Times as much force as a search may find in its draws is allowed: few draws of the prior do not hold the hardest push of all."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What must hold in every run.

    Attributes:
        formula: over `SIGNAL.ELEMENT` of what the exploration observes; "" demands nothing.
        force: largest, N.
    """

    formula: str = ""
    force: float = math.inf

    def __post_init__(self) -> None:
        if not self.force > 0:
            raise ValueError(f"bound of a force must be > 0 N, got {self.force:g} N")

    @property
    def searched(self) -> Bounds:
        """What a search keeps to: a force that leaves a margin."""
        return replace(self, force=self.force / SAFETY)

    @property
    def specification(self) -> Specification | None:
        """What travels with the policy file, for the monitor on the robot; the force is not measured there."""
        return Specification(self.formula) if self.formula else None


class Watch:
    """One run of B rows, watched period by period.

    Attributes:
        force: largest so far, N, `[B]`; 0 where no free body is unknown.
    """

    def __init__(self, task: Task, unknown: Sequence[Unknown], bounds: Bounds, rows: int) -> None:
        """Bind.

        Args:
            task: with episodes as long as the run.
            unknown: parameters; the mass of their bodies counts, as drawn or nominal.
            bounds: what must hold.
            rows: B.

        Raises:
            ValueError: the formula cannot be read, or names what is not observed.
        """
        self._period, self._bounds = task.contract.control_period, bounds
        contract = exploration_contract(task)
        owners = {one.name.partition(".")[0] for one in unknown}
        self._mass = (
            {body.name: body.mass for body in task.scene.bodies if body.name in owners and body.joint == "free"} if task.scene else {}
        )
        bound = stl.BoundSpecification(bounds.specification, contract) if bounds.specification else None
        self._signals = stl.MeasuredSignals(bound, contract, load_robot(contract.robot), rows) if bound else None
        self._formula = bound.formula if bound else None
        self._samples: list[dict[str, Array]] = []
        self._before: dict[str, Array] = {}
        self.force = np.zeros(rows)

    def __call__(self, truth: Measurement, alive: Array) -> None:
        """Take the state after one control period; rows that have ended do not count."""
        for name, mass in self._mass.items():
            velocity = truth.twists[name][:, :3]
            pushed = mass * np.linalg.norm(velocity - self._before.get(name, np.zeros_like(velocity)), axis=1) / self._period
            self.force = np.where(alive, np.fmax(self.force, pushed), self.force)
            self._before[name] = velocity.copy()
        if self._signals:
            self._samples.append(self._signals.read(truth, {}))

    def robustness(self) -> Array:
        """Of the formula, `[B]`; infinite without one."""
        if self._formula is None:
            return np.full(len(self.force), math.inf)
        return np.asarray(
            stl.robustness(self._formula, {name: np.stack([one[name] for one in self._samples], axis=1) for name in self._formula.signals})
        )

    def kept(self) -> Array:
        """Rows in which everything held, `[B]` bool."""
        return np.asarray((self.robustness() >= 0) & (self.force <= self._bounds.force))

    def excess(self) -> Array:
        """How far beyond its bounds each row is, `[B]`: 0 where all holds, else missing robustness and the share of force that is too much."""
        return np.maximum(-self.robustness(), 0.0) + np.maximum(self.force / self._bounds.force - 1, 0.0)
