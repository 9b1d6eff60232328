"""One control period: observe, guard, write, advance. Environments and the runner are both built on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import Decision, LimitGuard
from isthmus.monitors import finite
from isthmus.observation import ObservationBuilder
from isthmus.plant import Plant
from isthmus.records import Array, Command, Measurement

__all__ = ["ControlStep"]


class ControlStep:
    """Binds a contract to a plant, with the guard between them.

    Call `sense` at the beginning of each control period, `observe` when a decision is due, and `act` with the primitive action.

    Attributes:
        plant: what is controlled.
        contract: what the policy consumes and produces.
        guard: the only guard that acts.
        state: the guard's state.
        measurement: the newest sample.
    """

    def __init__(self, plant: Plant, contract: Contract, guard: LimitGuard | None = None) -> None:
        """Check that contract and plant fit, before anything moves.

        Args:
            plant: what is controlled.
            contract: of the policy.
            guard: None means one with the tighter of the contract's and the robot's limits; its limits may never be looser than those of training.

        Raises:
            ValueError: the contract does not fit the robot, its period is not the plant's, or the guard is for other commands or looser limits;
                the message lists every difference.
        """
        problems = contract.fits(plant.robot)
        if abs(plant.period - contract.control_period) > 1e-9:
            problems.append(f"policy runs every {contract.control_period:g} s, the plant every {plant.period:g} s")
        if problems:
            raise ValueError(f"policy does not fit the robot: {'; '.join(problems)}")
        self.plant = plant
        self.contract = contract
        self.guard = guard or LimitGuard(plant.robot, contract.limits.tightest(plant.robot.limits()), contract.mode)
        if self.guard.mode != contract.mode or self.guard.joints != contract.action.elements:
            raise ValueError(
                f"the guard is for {self.guard.mode} of {', '.join(self.guard.joints)}; "
                f"the policy commands {contract.mode} of {', '.join(contract.action.elements)}"
            )
        if looser := self.guard.limits.looser_than(contract.limits):
            raise ValueError(f"guard limits are looser than those of training: {'; '.join(looser)}")
        self.state = self.guard.initial(plant.batch)
        self._builder = ObservationBuilder(contract, plant.robot, plant.batch)
        self._executed: Command | None = None
        self.measurement = _nothing(plant)

    @property
    def time(self) -> Array:
        """Seconds from each row's reset to its newest sample, `[B]`."""
        return self._builder.time

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """Begin episodes in simulation: reset the plant (see `Plant.reset`), forget all memory of the rows, arm them and take the first sample."""
        self.plant.reset(rows, seeds, state, parameters)
        begun = None
        if rows is not None:
            begun = np.zeros(self.plant.batch, dtype=bool)
            begun[rows] = True
        self.state = self.guard.reset(self.state, begun, armed=True)
        self._builder.reset(rows)
        self.measurement = self.plant.read()
        self._builder.push(self.measurement, None, rows)

    def begin(self) -> None:
        """Begin an episode on a plant that is already where it should be: forget history, previous action and elapsed time."""
        self._builder.reset()
        self._executed = None

    def sense(self) -> Measurement:
        """Read the plant and remember the sample."""
        sample = self.plant.read()
        self._builder.push(sample, self._executed)
        self.measurement = sample
        return sample

    def observe(self, inputs: Mapping[str, Array] | None = None, deciding: Array | None = None) -> dict[str, Array]:
        """The observation of the newest sample: `[B, history, *shape]` per signal.

        Args:
            inputs: external signals, `[B, n]` per name.
            deciding: mask `[B]` of the rows that a decision is due for, None means all; with a value that is not finite, they will hold.
        """
        observation = self._builder.build(inputs)
        for name, values in observation.items():
            if values.dtype != np.uint8 and not finite(values):
                rows = np.asarray(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
                self.hold(f"signal {name!r} is not finite", rows if deciding is None else rows & deciding)
        return observation

    def hold(self, cause: str, rows: Array | None = None) -> None:
        """Let the guard hold in this period, for a reason that it cannot see itself; `rows` is a mask `[B]`, None means all."""
        self.state = self.guard.hold(self.state, cause, rows)

    def act(self, action: Array | None) -> Decision:
        """Guard one primitive action, write what is left of it and advance the plant by one period.

        Args:
            action: `[B, A]` in SI units, in the contract's joint order; None if there is no decision, which makes the guard hold.
        """
        decision = self.decide(action)
        self.plant.advance()
        return decision

    def decide(self, action: Array | None) -> Decision:
        """As `act`, but time does not pass: guard and write only. A plant that was never armed is not written to.

        Raises:
            ValueError: some rows were armed and others were not, but a plant is written to as a whole.
        """
        asked = None if action is None else Command(self.contract.mode, self.contract.action.elements, action)
        decision, self.state = self.guard.check(self.state, asked, self.measurement, self.contract.control_period)
        self._executed = decision.command
        if decision.command is not None:
            if not decision.armed.all():
                unarmed = ", ".join(str(row) for row in np.flatnonzero(~decision.armed))
                raise ValueError(f"rows {unarmed} of the plant are not armed, the others are: reset all of them first")
            self.plant.write(decision.command)
        return decision


def _nothing(plant: Plant) -> Measurement:
    """What is known before the first sample."""
    unknown = np.full((plant.batch, len(plant.robot.joints)), np.nan)
    return Measurement(np.full(plant.batch, -np.inf), plant.robot.joint_names, unknown, unknown)
