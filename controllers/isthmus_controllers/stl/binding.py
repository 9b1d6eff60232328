"""From measurements to the signals of a specification: in evaluation, where the truth is known, and on a robot, where only sensors are."""

from __future__ import annotations

import dataclasses
import graphlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.contract import Contract
from isthmus.observation import ObservationBuilder
from isthmus.records import Array, Measurement
from isthmus.robot import Robot
from isthmus.specification import Specification
from isthmus_controllers.stl.expressions import Expression
from isthmus_controllers.stl.parsing import FormulaError, parse, parse_expression

__all__ = ["BoundSpecification", "MeasuredSignals"]

_MEASURED = ("joint_position", "joint_velocity", "joint_effort", "pose", "twist", "wrench", "input", "time")


class BoundSpecification:
    """A specification for the observation of a contract.

    Attributes:
        formula: its intervals are in control periods.
        elements: names of the elements of the observation that are used, `SIGNAL.ELEMENT`.

    Raises:
        ValueError: formula or definition cannot be read; a name is neither defined nor an element that can be measured.
    """

    def __init__(self, specification: Specification, contract: Contract) -> None:
        known = {f"{signal.name}.{element}" for signal in _measured(contract) for element in signal.elements} | set(specification.signals)
        self.formula = parse(specification.formula, contract.control_period)
        definitions: dict[str, Expression] = {}
        for name, text in specification.signals.items():
            try:
                definitions[name] = parse_expression(text)
            except FormulaError as error:
                raise ValueError(f"signal {name!r}: {error}") from None
            _check_names(definitions[name].names(), known, f"signal {name!r}")
        _check_names(self.formula.signals, known, "the formula")
        try:
            order = graphlib.TopologicalSorter({name: definition.names() for name, definition in definitions.items()}).static_order()
            self._definitions = {name: definitions[name] for name in order if name in definitions}
        except graphlib.CycleError as error:
            raise ValueError(f"signals are defined by each other: {' → '.join(error.args[1])}") from None
        used = self.formula.signals.union(*(definition.names() for definition in definitions.values()))
        self.elements = used - frozenset(definitions)

    def values(self, elements: Mapping[str, Any]) -> dict[str, Any]:
        """The formula's signals.

        Args:
            elements: `SIGNAL.ELEMENT` → numbers, or arrays of one shape, numpy, torch or CasADi alike.
        """
        values = {name: elements[name] for name in self.elements}
        for name, definition in self._definitions.items():
            values[name] = definition.values(values)
        return {name: values[name] for name in self.formula.signals}


class MeasuredSignals:
    """Computes the signals of a specification from measurements, batch first."""

    def __init__(self, bound: BoundSpecification, contract: Contract, robot: Robot, batch: int) -> None:
        used = [signal for signal in _measured(contract) if any(f"{signal.name}.{name}" in bound.elements for name in signal.elements)]
        self._signals = [dataclasses.replace(signal, history=1, stride=1) for signal in used]
        self._clocks = [f"{signal.name}.{signal.elements[0]}" for signal in used if signal.source == "time"]
        self._builder = ObservationBuilder(dataclasses.replace(contract, observation=tuple(self._signals)), robot, batch)
        self._bound, self._period, self._batch, self._samples = bound, contract.control_period, batch, 0

    def reset(self) -> None:
        """Begin a run: the next measurement is the end of its first control period."""
        self._builder.reset()
        self._samples = 0

    def read(self, measurement: Measurement, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The formula's signals, `[B]` each.

        Args:
            measurement: one control period after the one before.
            inputs: `[B, elements]` per input of the contract.

        Raises:
            KeyError: a pose, twist or input is missing.
        """
        self._samples += 1
        self._builder.push(measurement, None)
        observation = self._builder.build(inputs)
        elements = {
            f"{signal.name}.{element}": observation[signal.name][:, 0, index].astype(np.float64)
            for signal in self._signals
            for index, element in enumerate(signal.elements)
        }
        elements |= dict.fromkeys(self._clocks, np.full(self._batch, self._samples * self._period))
        return self._bound.values(elements)


def _measured(contract: Contract) -> list[Any]:
    return [signal for signal in contract.observation if signal.source in _MEASURED]


def _check_names(names: frozenset[str], known: set[str], where: str) -> None:
    for name in sorted(names):
        if name not in known:
            raise ValueError(f"{where} names {name!r}, which is neither defined nor measured; {strict.suggest(name, known)}")
